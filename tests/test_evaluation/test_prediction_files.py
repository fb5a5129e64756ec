# Copyright (c) The mmvc contributors. All rights reserved.
"""Folders of predictions, scored from their files: the goldens, written out, give the official numbers."""

import gzip
import json
import math
import shutil
import weakref

import cv2
import numpy as np
import pytest

from mmvc.evaluation.files import evaluate_vis, evaluate_vps, evaluate_vss, find_ending
from mmvc.evaluation.functional import STQCounts, stq, vss_numbers
from mmvc.formats.label_maps import encode_panoptic_map
from mmvc.formats.vspw import list_masks
from mmvc.utils.errors import DataError

CLASSES = [f'class {index}' for index in range(124)]


def close(value, expected):
    return math.isnan(value) if expected is None else value == pytest.approx(expected, abs=1e-9, rel=0)


def write_png(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), array)


# --- VSS ---


def write_vss(data_dir, case, root):
    """Masks in the layout of VSPW and predictions; returns both folders and the expected numbers."""
    arrays = np.load(data_dir / f'metrics/vss/{case}.npz')
    names = sorted(key[3:] for key in arrays.files if key.startswith('gt_'))
    for name in names:
        for t, (gt, pred) in enumerate(zip(arrays[f'gt_{name}'], arrays[f'pred_{name}'])):
            write_png(root / f'gt/data/{name}/mask/{t:08d}.png', gt)
            write_png(root / f'pred/{name}/{t:08d}.png', pred)
    (root / 'gt/val.txt').write_text('\n'.join(names))
    expected = json.loads((data_dir / 'metrics/vss/expected.json').read_text())[case]
    return root / 'pred', root / 'gt', expected


def test_vss_equals_official(data_dir, tmp_path):
    pred, gt, expected = write_vss(data_dir, 'main', tmp_path)
    report = evaluate_vss(pred, list_masks(gt), CLASSES)
    official = expected['DVIS_Plus_eval_miou']
    for ours, theirs in dict(mIoU='mIoU', aAcc='Acc', mAcc='Acc_class', fwIoU='fwIoU').items():
        assert close(report.numbers[ours], official[theirs])
    for n in (8, 16):
        assert close(report.numbers[f'VC{n}'], expected['VSPW_baseline_VC_perclip'][f'VC{n}'])
    assert close(report.numbers['VC16_pooled'], expected['DVIS_Plus_eval_vc']['VC16'])
    assert close(report.numbers['video_mIoU'], expected['VSPW_baseline_test']['video_mIoU'])
    iou = {row['class']: row['IoU'] for row in report.classes}
    assert list(iou) == [f'class {index}' for index in official['classes_in_gt']]
    assert all(close(iou[f'class {index}'], value) for index, value in official['IoU_per_class_in_gt'].items())
    for row in report.videos:
        of_video = expected['videos'][row['video']]
        assert close(row['mIoU'], of_video['mIoU']) and row['missing'] == 0
        clips = [value for value in of_video['VC8_clips'] if value is not None]
        assert close(row['VC8'], np.mean(clips) if clips else None)
    worst = [row['video'] for row in report.worst_videos(3)]
    assert worst == sorted(expected['videos'], key=lambda video: expected['videos'][video]['mIoU'])[:3]
    assert not report.missing and not report.unused and not report.undefined()


def test_vss_undefined_numbers_are_explained(data_dir, tmp_path):
    pred, gt, _ = write_vss(data_dir, 'short', tmp_path)
    report = evaluate_vss(pred, list_masks(gt), CLASSES)
    text = report.to_text()
    assert 'VC8, VC16, VC16_pooled: not defined here, needs a video of more than n frames' in text
    assert 'nan' not in text.lower() and '| VC8 ' not in text.split('videos, ')[-1]
    written = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert written['numbers']['VC8'] is None and written['numbers']['mIoU'] == 100 * report.numbers['mIoU']


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_workers(data_dir, tmp_path):
    pred, gt, _ = write_vss(data_dir, 'main', tmp_path / 'vss')
    one, three = (evaluate_vss(pred, list_masks(gt), CLASSES, workers=workers) for workers in (1, 3))
    assert one.to_dict() == three.to_dict()
    pred, ann_file, masks, _ = write_vps(data_dir, 'basic', tmp_path / 'vps')
    one, three = (evaluate_vps(pred, ann_file, masks, workers=workers) for workers in (1, 3))
    assert one.to_dict() == three.to_dict()
    results, ann_file, _ = write_vis(data_dir, 'ovis', tmp_path)
    one, three = (evaluate_vis(results, ann_file, workers=workers) for workers in (1, 3))
    assert one.to_dict() == three.to_dict()
    next((tmp_path / 'vss/pred').iterdir()).joinpath('00000000.png').write_bytes(b'')
    with pytest.raises(ValueError, match='00000000.png" cannot be decoded'):
        evaluate_vss(tmp_path / 'vss/pred', list_masks(tmp_path / 'vss/gt'), CLASSES, workers=2)


@pytest.fixture
def vss(tmp_path):
    """Two videos of 12 frames, one class each, predicted without a mistake."""
    for video, value in (('a', 1), ('b', 2)):
        for t in range(12):
            write_png(tmp_path / f'gt/data/{video}/mask/{t}.png', np.full((4, 6), value, np.uint8))
            write_png(tmp_path / f'pred/{video}/{t}.png', np.full((4, 6), value - 1, np.uint8))
    (tmp_path / 'gt/val.txt').write_text('a\nb\n')
    return tmp_path / 'pred', tmp_path / 'gt'


def test_vss_missing_frames(vss):
    pred, gt = vss
    (pred / 'a/3.png').unlink()
    (pred / 'a/5.png').unlink()
    shutil.rmtree(pred / 'b')
    write_png(pred / 'a/77.png', np.zeros((4, 6), np.uint8))
    write_png(pred / 'stranger/0.png', np.zeros((4, 6), np.uint8))
    masks = list_masks(gt)
    assert [path.rsplit('/', 1)[1] for path in masks['a']] == [f'{t}.png' for t in range(12)]  # 2 before 10
    with pytest.raises(FileNotFoundError, match=r'14 frames .* a/3, a/5, b/0, b/1, b/2 and 9 more \(1 whole videos: b'
                       r'\).*--allow-missing'):
        evaluate_vss(pred, masks, CLASSES[:2])
    report = evaluate_vss(pred, masks, CLASSES[:2], allow_missing=True)
    assert report.missing == ['a/3', 'a/5', *(f'b/{t}' for t in range(12))]
    assert report.unused == ['stranger', 'a/77']
    assert [row['missing'] for row in report.videos] == [2, 12]
    assert [row['IoU'] for row in report.classes] == [pytest.approx(10 / 12), 0]
    assert report.numbers['mIoU'] == pytest.approx(5 / 12) and report.numbers['VC8'] == 0
    text = report.to_text()
    assert 'WARNING: 14 frames without a prediction count as empty: a/3' in text
    assert 'not used: stranger, a/77' in text


def test_vss_windows_without_a_missing_frame_stay_consistent(vss):
    pred, gt = vss
    (pred / 'b/0.png').unlink()
    report = evaluate_vss(pred, list_masks(gt), CLASSES[:2], allow_missing=True)
    assert [row['VC8'] for row in report.videos] == [1, 0.75]  # the first of four windows has it


def test_vss_own_classes_and_void(tmp_path):
    """CamVid: class 0 is 0, 11 is void."""
    write_png(tmp_path / 'gt/Annotations/v/0.png', np.array([[0, 10, 11, 11]], np.uint8))
    write_png(tmp_path / 'pred/v/0.png', np.array([[0, 9, 3, 255]], np.uint8))
    (tmp_path / 'gt/list.txt').write_text('v')
    masks = list_masks(tmp_path / 'gt', 'list.txt', 'Annotations/{video}')
    report = evaluate_vss(tmp_path / 'pred', masks, CLASSES[:11], label_offset=0)
    assert report.numbers['mIoU'] == 0.5 and [row['class'] for row in report.classes] == ['class 0', 'class 10']


def test_vss_errors(vss):
    pred, gt = vss
    masks = list_masks(gt)

    def fails(error, match, pred=pred, masks=masks):
        with pytest.raises(error, match=match):
            evaluate_vss(pred, masks, CLASSES[:2])

    fails(FileNotFoundError, 'nowhere" does not exist', pred=pred / 'nowhere')
    fails(ValueError, 'empty', masks={})
    write_png(pred / 'b/4.png', np.zeros((8, 12), np.uint8))
    fails(ValueError, r'b/4.png", ground truth ".*b/mask/4.png": prediction of size \(8, 12\) for .* \(4, 6\)')
    write_png(pred / 'b/4.png', np.full((4, 6), 2, np.uint8))
    fails(ValueError, 'b/4.png".*predicted class 2 is out of range: expected 0..1')
    (gt / 'data/b/mask/4.png').write_bytes(b'')
    fails(ValueError, 'mask/4.png" cannot be decoded')
    shutil.rmtree(gt / 'data/b')
    with pytest.raises(FileNotFoundError, match='video "b" .* has no folder ".*data/b/mask"'):
        list_masks(gt)
    with pytest.raises(FileNotFoundError, match='test.txt" does not exist'):
        list_masks(gt, 'test.txt')
    with pytest.raises(ValueError, match='{video}'):
        list_masks(gt, masks='masks')


@pytest.mark.parametrize('reduce', [
    lambda matrices: vss_numbers(matrices, {8: []})[0]['video_mIoU'],
    lambda matrices: stq(STQCounts(matrix, 0.0, 0) for matrix in matrices)['SQ'],
])
def test_one_confusion_matrix_is_in_memory_at_a_time(reduce):
    """However many videos there are; the sum is another one."""
    made, most = [], []

    def matrices():
        for _ in range(20):
            matrix = np.eye(4, 5, dtype=np.int64)
            made.append(weakref.ref(matrix))
            most.append(sum(reference() is not None for reference in made))
            yield matrix
            del matrix

    assert reduce(matrices()) == 1
    assert len(most) == 20 and max(most) <= 3


# --- VPS ---


def write_vps(data_dir, case, root):
    folder = data_dir / 'metrics/vps'
    arrays = np.load(folder / f'{case}.npz')
    gt, pred = (gzip.open(folder / f'{case}_{side}.json.gz').read() for side in ('gt', 'pred'))
    for video in json.loads(gt)['annotations']:
        name = video['video_id']
        for t, frame in enumerate(video['annotations']):
            for key, path in (('gt', root / 'masks'), ('pred', root / 'pred/pan_pred')):
                path = path / name / frame['file_name']
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode_panoptic_map(arrays[f'{key}_id_{name}'][t]))
    (root / 'gt.json').write_bytes(gt)
    (root / 'pred/pred.json').write_bytes(pred)
    expected = json.loads((folder / 'expected.json').read_text())[case]
    return root / 'pred', root / 'gt.json', f'{root}/masks/{{video}}', expected


@pytest.mark.parametrize('case', ['all', 'crowd'])
def test_vps_equals_official(data_dir, tmp_path, case):
    *files, expected = write_vps(data_dir, case, tmp_path)
    report = evaluate_vps(*files)
    numbers = report.numbers
    official = expected['vpq_vipseg']
    for suffix, key in (('', 'mean_paper_k_1_2_4_6'), ('_script', 'mean_script_k_1_2_4_6_8')):
        for group, name in {'': 'all', '_thing': 'thing', '_stuff': 'stuff'}.items():
            assert 100 * numbers[f'VPQ{suffix}{group}'] == pytest.approx(official[key][f'vpq_{name}'], abs=1e-9)
    for k in (1, 2, 4, 6, 8):
        of_k = official['per_k'][str(k)]
        assert close(numbers[f'VPQ{k}'], of_k['All']['pq'])
        ours = [row[f'k={k}'] for row in report.classes if not math.isnan(row[f'k={k}'])]
        assert ours == pytest.approx([of_k['per_class'][c]['pq'] for c in of_k['per_class']], abs=1e-9)
    for suffix, key in (('', 'stq_deeplab2_ids_from_1'), ('_vipseg_script', 'stq_vipseg')):
        assert all(close(numbers[f'{name}{suffix}'], expected[key][name]) for name in ('STQ', 'AQ'))
    stq = expected['stq_deeplab2_ids_from_1']
    assert close(numbers['SQ'], stq['SQ'])
    for index, row in enumerate(report.videos):
        assert all(close(row[name], stq[f'{name}_per_seq'][index]) for name in ('STQ', 'AQ', 'SQ'))


def test_vps_missing_frames(data_dir, tmp_path):
    """A frame without a PNG, or without an entry in the JSON, is void."""
    pred, ann_file, masks, _ = write_vps(data_dir, 'short', tmp_path)
    content = json.loads((pred / 'pred.json').read_text())
    video, other = content['annotations'][:2]
    gone = [f'{video["video_id"]}/{video["annotations"][0]["file_name"][:-4]}',
            f'{other["video_id"]}/{other["annotations"][1]["file_name"][:-4]}']
    (pred / f'pan_pred/{gone[0]}.png').unlink()
    del other['annotations'][1]
    (pred / 'pred.json').write_text(json.dumps(content))
    with pytest.raises(FileNotFoundError, match=f'2 frames .*: {gone[0]}, {gone[1]}. Expected .*pred.json'):
        evaluate_vps(pred, ann_file, masks)
    report = evaluate_vps(pred, ann_file, masks, allow_missing=True)
    assert report.missing == gone
    # the same, predicted as void
    for name in gone:
        path = tmp_path / f'masks/{name}.png'
        write_png(pred / f'pan_pred/{name}.png', np.zeros_like(cv2.imread(str(path))))
    video['annotations'][0]['segments_info'] = []
    other['annotations'].insert(1, dict(file_name=gone[1].split('/')[1] + '.png', segments_info=[]))
    (pred / 'pred.json').write_text(json.dumps(content))
    assert evaluate_vps(pred, ann_file, masks).numbers == report.numbers


def test_vps_errors(data_dir, tmp_path):
    pred, ann_file, masks, _ = write_vps(data_dir, 'tooshort', tmp_path)
    content = json.loads((pred / 'pred.json').read_text())

    def fails(error, match, **options):
        with pytest.raises(error, match=match):
            evaluate_vps(pred, ann_file, **{'masks': masks, **options})

    frame = content['annotations'][0]['annotations'][0]
    category_id = frame['segments_info'][0]['category_id']
    frame['segments_info'][0]['category_id'] = 124
    (pred / 'pred.json').write_text(json.dumps(content))
    fails(ValueError, r'pred.json": segment \d+ of frame .* has the category 124, the categories are 0..123')
    frame['segments_info'][0]['category_id'] = category_id
    gone = frame['segments_info'].pop(0)
    (pred / 'pred.json').write_text(json.dumps(content))
    fails(ValueError, f'{frame["file_name"]}".*prediction has pixels of segment {gone["id"]}, which its segments_info')
    fails(FileNotFoundError, 'does not exist for . of . videos .*--masks', masks=f'{tmp_path}/elsewhere/{{video}}')
    fails(ValueError, '{video}', masks='masks')
    del frame['file_name']
    (pred / 'pred.json').write_text(json.dumps(content))
    fails(ValueError, r'pred.json": annotations\[0\].annotations\[0\] has no file_name')
    (pred / 'pred.json').write_text('{')
    fails(ValueError, 'pred.json" is not valid JSON')
    (pred / 'pred.json').unlink()
    fails(FileNotFoundError, 'pred.json" does not exist')
    ann_file.write_text(json.dumps(dict(annotations=[])))
    fails(ValueError, 'gt.json" has no categories')


# --- VIS ---


def write_vis(data_dir, case, root):
    folder = data_dir / 'metrics/vis'
    for kind in ('gt', 'results'):
        (root / f'{kind}.json').write_bytes(gzip.open(folder / f'{case}_{kind}.json.gz').read())
    expected = json.loads((folder / 'expected.json').read_text())[case]
    return root / 'results.json', root / 'gt.json', expected.get('ovis_cocoapi_oviseval',
                                                                 expected['DVIS_Plus_ytvoseval'])


@pytest.mark.parametrize('case', ['main', 'ovis'])
def test_vis_equals_official(data_dir, tmp_path, case):
    results, ann_file, expected = write_vis(data_dir, case, tmp_path)
    report = evaluate_vis(results, ann_file)
    assert len(report.numbers) == (18 if case == 'ovis' else 12)
    levels = dict(so='_occ_light', mo='_occ_medium', ho='_occ_heavy')
    for name, value in report.numbers.items():
        official = expected[name[:2] + levels.get(name[2:], name[2:])]
        assert close(value, None if official == -1 else official), name
    names = {str(c['id']): c['name'] for c in json.loads(ann_file.read_text())['categories']}
    per_class = {row['class']: row['AP'] for row in report.classes}
    assert per_class == pytest.approx({names[c]: value for c, value in expected['AP_per_category'].items()}, abs=1e-9)
    assert sum(row['detections'] for row in report.videos) == len(json.loads(results.read_text()))
    worst = report.worst_videos(100)
    assert [row['AP'] for row in worst] == sorted(row['AP'] for row in worst)
    assert all(row['tracks'] for row in worst)  # without one there is no AP


def test_vis_errors(data_dir, tmp_path):
    results, ann_file, _ = write_vis(data_dir, 'oneframe', tmp_path)
    found, gt = json.loads(results.read_text()), json.loads(ann_file.read_text())

    def fails(match, error=ValueError, **changes):
        results.write_text(json.dumps([dict(found[0], **changes)]))
        with pytest.raises(error, match=match):
            evaluate_vis(results, ann_file)

    fails("tracks with video_id '1'", video_id='1')
    fails('tracks with category_id 99', category_id=99)
    fails('results.json", video .*2 masks for 1 frames', segmentations=[None, None])
    fails('results.json", video .*the mask has the size',
          segmentations=[dict(size=[3, 3], counts=[9])])
    results.write_text('[{"score": 1}]')
    with pytest.raises(ValueError, match=r'results.json": \[0\] has no video_id, category_id, segmentations'):
        evaluate_vis(results, ann_file)
    results.write_text('[]')
    report = evaluate_vis(results, ann_file)
    assert report.numbers['AP'] == 0
    count = len(gt['videos'])
    assert f'{count} of {count} videos have no detections: ' in report.to_text()
    tracks = [dict(gt['annotations'][0], segmentations=[None, None]), *gt['annotations'][1:]]
    ann_file.write_text(json.dumps(dict(gt, annotations=tracks)))
    with pytest.raises(ValueError, match='annotation .* of ".*gt.json" has masks for 2 frames, its video has 1'):
        evaluate_vis(results, ann_file)
    ann_file.write_text(json.dumps(dict(gt, videos=[dict(gt['videos'][0], file_names=[]), *gt['videos'][1:]])))
    with pytest.raises(ValueError, match='gt.json": video .* has no frames'):
        evaluate_vis(results, ann_file)
    ann_file.write_text(json.dumps(dict(gt, annotations=None)))
    with pytest.raises(ValueError, match='no annotations, so there is no AP: .* not public'):
        evaluate_vis(results, ann_file)
    results.write_text('{}')
    ann_file.write_text(json.dumps(gt))
    with pytest.raises(ValueError, match='results.json" is {}, not a list: expected a list of dict'):
        evaluate_vis(results, ann_file)


def test_vss_predictions_without_ground_truth(vss):
    pred, gt = vss
    write_png(pred / 'a/77.png', np.zeros((4, 6), np.uint8))
    with pytest.raises(FileNotFoundError, match='1 frames have a prediction and no ground truth: a/77'):
        evaluate_vss(pred, list_masks(gt), CLASSES[:2])
    report = evaluate_vss(pred, list_masks(gt), CLASSES[:2], allow_missing=True)
    assert report.notes == ['WARNING: 1 frames have no ground truth, not scored: a/77']


def test_vss_values_that_are_neither_class_nor_void(vss):
    pred, gt = vss
    with pytest.raises(DataError, match=r'the mask values \[2\] are neither classes nor void'):
        evaluate_vss(pred, {'b': list_masks(gt)['b']}, CLASSES[:2], 3, void_values=(0, 255))
    with pytest.raises(ValueError, match=r'the void values \[1\] are also classes'):
        evaluate_vss(pred, list_masks(gt), CLASSES[:2], void_values=(1, ))


def test_vss_endings_that_masks_share(vss):
    pred, gt = vss
    for path in list((gt / 'data').rglob('*.png')):
        path.rename(path.with_name(f'{path.stem}_labelIds.png'))
    masks = list_masks(gt)
    assert find_ending(pred, masks) == '_labelIds.png'
    report = evaluate_vss(pred, masks, CLASSES[:2], mask_ending='_labelIds.png')
    assert report.numbers['mIoU'] == 1 and not report.missing and not report.unused
