# Copyright (c) The mmvc contributors. All rights reserved.
import gzip
import json
import os
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from mmvc.datasets import COCOPseudoVideoDataset, VIPSegDataset, VSPWDataset
from mmvc.datasets.converters.files import size_at_height
from mmvc.datasets.converters.panoptic_ids import SegmentIds
from mmvc.datasets.converters.vipseg import CATEGORIES
from mmvc.formats.label_maps import read_panoptic_map
from mmvc.utils.atomic import atomic_path
from mmvc.utils.folder_lock import hold_folder
from tests.helpers.tiny_datasets import write_vspw

GOLDEN_CASES = ('basic', 'short', 'tooshort', 'emptypred', 'predvoid', 'firstthing', 'catswitch')


def golden(data_dir, case):
    folder = data_dir / 'metrics/vps'
    with gzip.open(folder / f'{case}_gt.json.gz') as file:
        return np.load(folder / f'{case}.npz'), json.load(file)


def assert_renamed(ours, theirs, segments, expected):
    """The same segments in the same order, up to their ids; returns the renaming."""
    strip = [[{key: segment[key] for key in ('category_id', 'iscrowd', 'area')} for segment in part]
             for part in (segments, expected)]
    assert strip[0] == strip[1]
    renaming = {segment['id']: other['id'] for segment, other in zip(segments, expected)}
    renaming[0] = 0
    assert len(set(renaming.values())) == len(renaming)
    assert (np.vectorize(renaming.get)(ours) == theirs).all()
    return renaming


@pytest.mark.parametrize('case', GOLDEN_CASES)
def test_ids_equal_the_official_converter_up_to_colours(data_dir, case):
    arrays, annotations = golden(data_dir, case)
    stuff_colours = {c['color'][0] + 256 * c['color'][1] + 65536 * c['color'][2] for c in CATEGORIES
                     if not c['isthing']}
    for video in annotations['annotations']:
        segment_ids, renaming = SegmentIds(video['video_id'], CATEGORIES), {}
        for t, frame in enumerate(video['annotations']):
            ids, segments = segment_ids.encode(arrays[f'gt_raw_{video["video_id"]}'][t])
            found = assert_renamed(ids, arrays[f'gt_id_{video["video_id"]}'][t], segments, frame['segments_info'])
            for ours, theirs in found.items():
                assert renaming.setdefault(ours, theirs) == theirs, 'ids are stable through the video'
            for segment in segments:
                isthing = CATEGORIES[segment['category_id']]['isthing']
                assert isthing != (segment['id'] in stuff_colours), 'stuff has the colour of its class'
        assert len(set(renaming.values())) == len(renaming)


@pytest.fixture
def vipseg_source(data_dir, tmp_path):
    """The raw masks of a golden case as a download, with a test video that has no masks."""
    arrays, annotations = golden(data_dir, 'firstthing')
    root = tmp_path / 'download'
    videos = [video['video_id'] for video in annotations['videos']]
    for video in [*videos, 'zz']:
        (root / 'imgs' / video).mkdir(parents=True)
        raw = arrays[f'gt_raw_{video}'] if video in videos else arrays['gt_raw_v00']
        for t, mask in enumerate(raw):
            cv2.imwrite(str(root / f'imgs/{video}/{t:08d}.jpg'), np.full((*mask.shape, 3), 20 * t, np.uint8))
            if video in videos:
                (root / 'panomasks' / video).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(root / f'panomasks/{video}/{t:08d}.png'), mask)
    (root / 'imgs/.DS_Store').write_text('')
    for split, names in (('train', videos[:1]), ('val', videos[1:]), ('test', ['zz'])):
        (root / f'{split}.txt').write_text('\n'.join(names) + '\n')
    return root, arrays, annotations


def test_vipseg_equals_the_golden_annotations(convert, vipseg_source, tmp_path, capsys):
    src, arrays, annotations = vipseg_source
    dst = tmp_path / 'out'
    assert convert('vipseg_to_720p', src, dst, '--height', 72) == 0
    assert 'converted 3 videos (28 frames); 1 have no masks, 0 were there' in capsys.readouterr().out
    content = json.loads((dst / 'panoptic_gt_VIPSeg.json').read_text())
    assert content['videos'] == annotations['videos'] and content['categories'] == annotations['categories']
    for video, expected in zip(content['annotations'], annotations['annotations']):
        name = video['video_id']
        assert name == expected['video_id']
        for t, (frame, other) in enumerate(zip(video['annotations'], expected['annotations'])):
            assert (frame['image_id'], frame['file_name']) == (other['image_id'], other['file_name'])
            ids = read_panoptic_map(str(dst / 'panomasksRGB' / name / frame['file_name']))
            assert_renamed(ids, arrays[f'gt_id_{name}'][t], frame['segments_info'], other['segments_info'])
            raw = np.array(Image.open(dst / 'panomasks' / name / frame['file_name']))
            assert (raw == arrays[f'gt_raw_{name}'][t]).all()
    for split, names in (('train', ['v00']), ('val', ['v01']), ('test', ['zz'])):
        part = json.loads((dst / f'panoptic_gt_VIPSeg_{split}.json').read_text())
        assert [video['video_id'] for video in part['videos']] == names
        assert [video['video_id'] for video in part['annotations']] == [n for n in names if n != 'zz']
        dataset = VIPSegDataset(
            data_root=str(dst), ann_file=f'panoptic_gt_VIPSeg_{split}.json', test_mode=split == 'test')
        assert os.path.exists(dataset.get_data_info(0)['images'][0]['img_path'])


def test_vipseg_resizes_and_resumes(convert, vipseg_source, tmp_path, capsys):
    src, arrays, _ = vipseg_source
    dst = tmp_path / 'out'
    assert convert('vipseg_to_720p', src, dst, '--height', 36, '--dry-run') == 0
    assert 'would convert 3 videos' in capsys.readouterr().out and not dst.exists()
    damaged = src / 'panomasks/v01/00000004.png'
    intact = damaged.read_bytes()
    damaged.write_bytes(intact[:50])
    assert 'cannot decode' in convert('vipseg_to_720p', src, dst, '--height', 36)
    assert not (dst / 'panoptic_gt_VIPSeg.json').exists(), 'no annotations before everything is there'
    damaged.write_bytes(intact)
    done = dst / 'panomasksRGB/v00/00000000.png'
    before = (done.stat().st_mtime_ns, done.read_bytes())
    assert convert('vipseg_to_720p', src, dst, '--height', 36) == 0
    assert '2 were there already' in capsys.readouterr().out
    assert (done.stat().st_mtime_ns, done.read_bytes()) == before
    assert not list(dst.rglob('*.tmp'))
    raw = np.array(Image.open(dst / 'panomasks/v00/00000003.png'))
    assert raw.shape == (36, 64) and set(np.unique(raw)) <= set(np.unique(arrays['gt_raw_v00'][3]))
    assert cv2.imread(str(dst / 'images/v00/00000003.jpg')).shape == (36, 64, 3)
    content = json.loads((dst / 'panoptic_gt_VIPSeg_train.json').read_text())
    assert (content['videos'][0]['images'][0]['width'], content['videos'][0]['images'][0]['height']) == (64, 36)


@pytest.mark.slow
def test_vipseg_with_workers_gives_the_same(convert, vipseg_source, tmp_path):
    src, _, _ = vipseg_source
    for workers in (1, 2):
        assert convert('vipseg_to_720p', src, tmp_path / f'out{workers}', '--workers', workers) == 0
    contents = [{path.relative_to(root): path.read_bytes() for path in root.rglob('*') if path.is_file()}
                for root in (tmp_path / 'out1', tmp_path / 'out2')]
    assert contents[0] == contents[1] and len(contents[0]) > 70


def rewrite_mask(src, change):
    path = src / 'panomasks/v00/00000000.png'
    mask = change(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    cv2.imwrite(str(path), mask)


def test_value_200_is_void(convert, vipseg_source, tmp_path):
    src, _, _ = vipseg_source
    rewrite_mask(src, lambda mask: np.full_like(mask, 200))
    assert convert('vipseg_to_720p', src, tmp_path / 'out', '--height', 72) == 0
    assert not read_panoptic_map(str(tmp_path / 'out/panomasksRGB/v00/00000000.png')).any()
    content = json.loads((tmp_path / 'out/panoptic_gt_VIPSeg.json').read_text())
    assert content['annotations'][0]['annotations'][0]['segments_info'] == []


@pytest.mark.parametrize('damage, message', [
    (lambda src: (src / 'panomasks/v00/00000002.png').unlink(), 'imgs/v00/00000002.jpg" has no mask'),
    (lambda src: rewrite_mask(src, lambda mask: np.full_like(mask, 150)), 'v00/00000000.png": value 150 is neither'),
    (lambda src: rewrite_mask(src, lambda mask: np.full_like(mask, 12500)), 'value 12500 is neither'),
    (lambda src: rewrite_mask(src, lambda mask: mask[:10]), 'differs in size from its frame'),
    (lambda src: (src / 'val.txt').write_text('nowhere\n'), 'names videos that .* lacks: nowhere'),
    (lambda src: os.rename(src / 'imgs', src / 'images'), 'has no folders of videos'),
])
def test_damaged_vipseg(convert, vipseg_source, tmp_path, damage, message):
    damage(vipseg_source[0])
    error = convert('vipseg_to_720p', vipseg_source[0], tmp_path / 'out')
    assert error.startswith('error: ') and re.search(message, error), error


@pytest.mark.parametrize('size, expected', [((1920, 1080), (853, 480)), ((1280, 720), (853, 480)),
                                            ((720, 1280), (270, 480)), ((854, 480), (854, 480))])
def test_size_of_480p(size, expected):
    assert size_at_height(size, 480) == expected


@pytest.fixture
def vspw_source(tmp_path):
    root = tmp_path / 'VSPW'
    for video, labelled in (('a', True), ('b', True), ('t', False)):
        for folder in ('origin', 'mask')[:1 + labelled]:
            (root / 'data' / video / folder).mkdir(parents=True)
        for t in range(3):
            labels = np.full((60, 100), 5 + t, np.uint8)
            labels[:30, :50], labels[0, 0] = 124, 255
            cv2.imwrite(str(root / f'data/{video}/origin/{t:04d}.jpg'), np.repeat(labels[..., None], 3, 2))
            if labelled:
                mask = Image.fromarray(labels, mode='P')
                mask.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
                mask.save(root / f'data/{video}/mask/{t:04d}.png')
    for split, names in (('train', 'a\n'), ('val', 'b\n'), ('test', 't\n')):
        (root / f'{split}.txt').write_text(names)
    return root


def test_vspw(convert, vspw_source, tmp_path, capsys):
    dst = tmp_path / 'out'
    assert convert('vspw_to_480p', vspw_source, dst, '--height', 40, '--dry-run') == 0
    assert 'would convert 3 videos: 9 frames, 6 masks; 0 of' in capsys.readouterr().out and not dst.exists()
    assert convert('vspw_to_480p', vspw_source, dst, '--height', 40) == 0
    for split in ('train', 'val', 'test'):
        dataset = VSPWDataset(data_root=str(dst), ann_file=f'{split}.txt', test_mode=split == 'test')
        image = dataset.get_data_info(0)['images'][2]
        assert cv2.imread(image['img_path']).shape == (40, 66, 3)
    with Image.open(dst / 'data/a/mask/0002.png') as mask:
        assert mask.size == (66, 40) and mask.mode == 'P'
        assert set(np.unique(np.array(mask))) <= {7, 124, 255}
        nearest = np.array(Image.open(vspw_source / 'data/a/mask/0002.png'))
        rows, columns = ((np.arange(n) + 0.5) * scale for n, scale in ((40, 60 / 40), (66, 100 / 66)))
        assert (np.array(mask) == nearest[rows.astype(int)][:, columns.astype(int)]).all()


def test_vspw_resumes(convert, vspw_source, tmp_path, capsys):
    dst = tmp_path / 'out'
    assert convert('vspw_to_480p', vspw_source, dst) == 0
    kept, lost = dst / 'data/a/mask/0000.png', dst / 'data/b/origin/0001.jpg'
    content, before = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    capsys.readouterr()
    assert convert('vspw_to_480p', vspw_source, dst) == 0
    assert '14 of these files were there already' in capsys.readouterr().out
    assert lost.read_bytes() == content and kept.stat().st_mtime_ns == before


def test_drafts_of_a_killed_conversion_are_removed(convert, vspw_source, tmp_path, monkeypatch):
    dst = tmp_path / 'out'
    assert convert('vspw_to_480p', vspw_source, dst) == 0
    monkeypatch.setattr('mmvc.utils.atomic.is_running', lambda process: False)
    with atomic_path(dst / 'data/a/origin/0000.jpg') as draft:
        draft.touch()
        assert convert('vspw_to_480p', vspw_source, dst) == 0
        assert not draft.exists()
        draft.touch()  # to replace the file


def test_vspw_repairs_and_keeps_its_settings(convert, vspw_source, tmp_path):
    dst = tmp_path / 'out'
    assert convert('vspw_to_480p', vspw_source, dst, '--height', 48) == 0
    damaged = {path: path.read_bytes() for path in (dst / 'data/a/mask/0000.png', dst / 'data/b/origin/0001.jpg')}
    for path, length in zip(damaged, (0, 60)):
        path.write_bytes(damaged[path][:length])
    assert convert('vspw_to_480p', vspw_source, dst, '--height', 48) == 0
    assert all(path.read_bytes() == content for path, content in damaged.items())
    assert 'with height 48, quality 75, not height 32' in convert('vspw_to_480p', vspw_source, dst, '--height', 32)
    assert convert('vspw_to_480p', vspw_source, dst, '--height', 32, '--overwrite') == 0
    assert {cv2.imread(str(path)).shape[0] for path in dst.glob('data/*/*/*')} == {32}


def test_vspw_whose_lists_name_what_is_not_there(convert, vspw_source, tmp_path):
    (vspw_source / 'val.txt').write_text('b\nnowhere\n')
    assert 'names videos that' in convert('vspw_to_480p', vspw_source, tmp_path / 'out')
    (vspw_source / 'val.txt').write_text('b\n')
    (vspw_source / 'data/b/mask/0001.png').unlink()
    assert 'b/origin/0001.jpg" of video "b" of val.txt has no mask' in convert(
        'vspw_to_480p', vspw_source, tmp_path / 'out', '--dry-run')


def test_vipseg_repairs_and_keeps_its_settings(convert, vipseg_source, tmp_path):
    src, dst = vipseg_source[0], tmp_path / 'out'
    assert convert('vipseg_to_720p', src, dst, '--height', 36) == 0
    names = ('images/v00/00000000.jpg', 'panomasks/v00/00000001.png', 'panomasksRGB/v01/00000002.png')
    before = {dst / name: (dst / name).read_bytes() for name in names}
    for path, damage in zip(before, (lambda path: path.unlink(), lambda path: path.write_bytes(b''), os.remove)):
        damage(path)
    assert convert('vipseg_to_720p', src, dst, '--height', 36) == 0
    assert all(path.read_bytes() == content for path, content in before.items())
    assert 'with height 36, quality 75' in convert('vipseg_to_720p', src, dst, '--height', 36, '--quality', 50)
    assert convert('vipseg_to_720p', src, dst, '--height', 18, '--overwrite') == 0
    assert {cv2.imread(str(path)).shape[0] for path in dst.glob('*/v0*/*')} == {18}


def test_frames_that_have_the_size_are_copied(convert, vspw_source, tmp_path):
    assert convert('vspw_to_480p', vspw_source, tmp_path / 'out', '--height', 60) == 0
    name = 'data/a/origin/0000.jpg'
    assert (tmp_path / 'out' / name).read_bytes() == (vspw_source / name).read_bytes()


def test_damaged_vspw(convert, vspw_source, tmp_path):
    (vspw_source / 'data/b/origin/0001.jpg').write_bytes(b'no image')
    assert 'b/origin/0001.jpg' in convert('vspw_to_480p', vspw_source, tmp_path / 'out')
    assert 'has no folders of videos' in convert('vspw_to_480p', tmp_path / 'nowhere', tmp_path / 'out')


def test_vspw_goes_on_past_broken_videos(convert, vspw_source, tmp_path, capsys):
    """One breaks in the check of the names, one while it is converted; a third one is fine."""
    (vspw_source / 'data/a/mask/0001.png').unlink()
    (vspw_source / 'data/b/origin/0001.jpg').write_bytes(b'no image')
    frame = (vspw_source / 'data/b/origin/0000.jpg').read_bytes()
    for workers in (1, 2):
        assert convert('vspw_to_480p', vspw_source, tmp_path / 'out', '--workers', workers) == (
            'error: 2 of 3 videos could not be converted: a, b. See above for the reasons')
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('not converted: ')]
        assert len(lines) == 2 and 'a/origin/0001.jpg' in lines[0] and 'b/origin/0001.jpg' in lines[1]
        assert len(list((tmp_path / 'out/data/t/origin').iterdir())) == 3
        assert not list((tmp_path / 'out').glob('*.txt'))  # the lists would name videos that are not there
    (vspw_source / 'data/b/origin/0001.jpg').write_bytes(frame)
    (vspw_source / 'train.txt').unlink()  # without it, nothing asks for the masks of its videos
    assert convert('vspw_to_480p', vspw_source, tmp_path / 'out') == 0
    assert len(list((tmp_path / 'out/data').glob('*/origin/*'))) == 9 and (tmp_path / 'out/val.txt').exists()


def test_vipseg_goes_on_past_broken_videos(convert, vipseg_source, tmp_path, capsys):
    src, dst = vipseg_source[0], tmp_path / 'out'
    videos = sorted(path.name for path in (src / 'imgs').iterdir() if not path.name.startswith('.'))
    broken = src / 'panomasks/v00/00000000.png'
    content = broken.read_bytes()
    broken.write_bytes(content[:-20])
    error = convert('vipseg_to_720p', src, dst, '--height', 36)
    assert re.match(f'error: 1 of {len(videos)} videos could not be converted: v00: .*00000000.png', error)
    assert not list(dst.glob('panoptic*.json')), 'annotations of a part would not tell that it is one'
    assert sorted(path.stem for path in (dst / '.records').iterdir()) == [video for video in videos if video != 'v00']
    broken.write_bytes(content)
    (dst / f'.records/{videos[1]}.json').write_bytes(b'{"vid')  # a record that was cut off counts as none
    assert convert('vipseg_to_720p', src, dst, '--height', 36) == 0
    assert len(json.loads((dst / 'panoptic_gt_VIPSeg.json').read_text())['videos']) > 1
    (dst / '.settings.json').write_bytes(b'')
    assert '.settings.json" is damaged' in convert('vipseg_to_720p', src, dst, '--height', 36)


@pytest.fixture
def coco_source(tmp_path):
    names = ('person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck', 'boat', 'bird', 'cat',
             'dog', 'horse', 'sheep', 'cow', 'elephant', 'bear', 'zebra', 'giraffe', 'frisbee', 'skis', 'snowboard',
             'skateboard', 'surfboard', 'tennis racket', 'toaster')
    polygon = [[1, 1, 9, 1, 9, 9]]
    annotations = [
        dict(id=i, image_id=image, category_id=names.index(name) + 1, iscrowd=crowd, segmentation=polygon, area=32)
        for i, (image, name, crowd) in enumerate(
            [(1, 'bus', 0), (1, 'bird', 0), (1, 'person', 1), (2, 'toaster', 0), (3, 'skis', 0)], 10)
    ]
    path = tmp_path / 'instances.json'
    path.write_text(
        json.dumps(
            dict(
                images=[dict(id=i, file_name=f'{i}.jpg', width=10, height=10, coco_url='x') for i in (1, 2, 3)],
                categories=[dict(id=i, name=name) for i, name in enumerate(names, 1)],
                annotations=annotations)))
    (tmp_path / 'train2017').mkdir()
    return path


@pytest.mark.parametrize('target, images, objects', [('ovis', [1], [10]), ('youtube_vis_2019', [3], [14]),
                                                     ('youtube_vis_2021', [1, 3], [11, 14])])
def test_coco(convert, coco_source, tmp_path, capsys, target, images, objects):
    dst = tmp_path / f'coco_to_{target}.json'
    assert convert('coco_to_pseudo_video', coco_source, dst, '--target', target, '--dry-run') == 0
    assert f'would keep {len(objects)} of 5 objects' in capsys.readouterr().out and not dst.exists()
    assert convert('coco_to_pseudo_video', coco_source, dst, '--target', target) == 0
    content = json.loads(dst.read_text())
    assert [image['id'] for image in content['images']] == images
    assert [annotation['id'] for annotation in content['annotations']] == objects
    datasets = [COCOPseudoVideoDataset(target=target, data_root=str(tmp_path), ann_file=name)
                for name in ('instances.json', dst.name)]
    assert len(datasets[0]) == len(datasets[1]) == len(images)
    for index in range(len(images)):
        assert datasets[0].get_data_info(index) == datasets[1].get_data_info(index)
    written = dst.stat().st_mtime_ns
    assert convert('coco_to_pseudo_video', coco_source, dst, '--target', target) == 0
    assert 'exists already' in capsys.readouterr().out and dst.stat().st_mtime_ns == written


def test_damaged_coco(convert, coco_source, tmp_path):
    arguments = (tmp_path / 'out.json', '--target', 'ovis')
    assert 'does not exist' in convert('coco_to_pseudo_video', tmp_path / 'nowhere.json', *arguments)
    coco_source.write_text('{"images": []}')
    assert 'instances.json" has no annotations, categories' in convert('coco_to_pseudo_video', coco_source, *arguments)
    assert not (tmp_path / 'out.json').exists()


@pytest.mark.parametrize('name', ['vspw_to_480p', 'vipseg_to_720p', 'coco_to_pseudo_video', 'check_dataset'])
def test_help_has_examples(convert, capsys, name):
    assert convert(name, '--help') == 0
    assert 'examples:' in capsys.readouterr().out


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob('*') if path.is_file()}


@pytest.mark.parametrize('options', [(), ('--overwrite', )])
@pytest.mark.parametrize('place', ['itself', 'link', 'inside', 'around', 'linked folder'])
@pytest.mark.parametrize('name', ['vspw_to_480p', 'vipseg_to_720p'])
def test_a_dataset_is_not_converted_onto_itself(convert, vipseg_source, tmp_path, name, place, options):
    src, linked = vipseg_source[0], 'panomasks'
    if name == 'vspw_to_480p':
        src, linked = tmp_path / 'vspw', 'data'
        write_vspw(src)
    (tmp_path / 'link').symlink_to(src)
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / linked).symlink_to(src / linked)
    dst = {'itself': src, 'link': tmp_path / 'link', 'inside': src / 'small', 'around': src.parent,
           'linked folder': tmp_path / 'other'}[place]
    before = contents(src)
    assert 'would overwrite or mix with the input' in convert(name, src, dst, '--height', 6, *options)
    assert contents(src) == before


def test_two_conversions_do_not_mix(convert, vipseg_source, tmp_path, monkeypatch):
    monkeypatch.setattr('mmvc.utils.folder_lock.PATIENCE', 0.)
    with hold_folder(tmp_path / 'out'):
        assert 'is in use by process' in convert('vipseg_to_720p', vipseg_source[0], tmp_path / 'out')
