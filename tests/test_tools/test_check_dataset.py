# Copyright (c) The mmvc contributors. All rights reserved.
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmvc.datasets.checks import check_vipseg, check_vis, check_vspw
from mmvc.datasets.synthetic import SyntheticVideoConfig, make_synthetic_dataset
from tests.helpers.sparse_labels import thin_vipseg, thin_vis, thin_vspw

CONFIG = Path(__file__).parents[2] / 'configs/mvc/dvispp_r18_synthetic.py'


@pytest.fixture
def roots(tmp_path):
    return make_synthetic_dataset(
        tmp_path, SyntheticVideoConfig(size=(32, 48), num_frames=3), formats=['vspw', 'vipseg', 'ytvis'],
        num_train=2, num_val=1, seed=1)


def check(roots, name, quick=False, workers=1):
    options = dict(workers=workers, quick=quick, own=True)
    if name == 'vspw':
        return check_vspw(roots[name], ('train', 'val'), num_classes=10, **options)
    if name == 'vipseg':
        return check_vipseg(roots[name], **options)
    return check_vis(roots[name], 'ovis', **options)


@pytest.mark.parametrize('quick', [False, True])
@pytest.mark.parametrize('name', ['vspw', 'vipseg', 'ytvis'])
def test_a_sound_dataset_has_no_problems(roots, name, quick):
    report = check(roots, name, quick)
    assert report.problems == []
    val = 'valid' if name == 'ytvis' else 'val'
    assert {split: (numbers['videos'], numbers['frames']) for split, numbers in report.counts.items()} == {
        'train': (2, 6), val: (1, 3)}
    assert report.sizes == {(48, 32): 9}
    assert 'no problems' in report.to_text()


@pytest.mark.slow
def test_workers_find_the_same(roots):
    (roots['vspw'] / 'data/train_00000/mask').rename(roots['vspw'] / 'away')
    reports = [check(roots, 'vspw', workers=workers).to_dict() for workers in (1, 2)]
    assert reports[0] == reports[1] and len(reports[0]['problems']) == 3


def files(root, pattern):
    return sorted(root.glob(pattern))


def remove(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:60])


def shrink(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), image[:16])


def fill(value):
    def write(path):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), np.full_like(image, value))
    return write


def edit(change):
    def write(path):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    return write


@pytest.mark.parametrize('name, pattern, damage, kinds', [
    ('vspw', 'data/train_*/origin/*.jpg', remove, {'mask without frame'}),
    ('vspw', 'data/train_*/origin/*.jpg', cut, {'unreadable file'}),
    ('vspw', 'data/train_*/mask/*.png', remove, {'frame without mask'}),
    ('vspw', 'data/train_*/mask/*.png', cut, {'unreadable file'}),
    ('vspw', 'data/train_*/mask/*.png', shrink, {'size'}),
    ('vspw', 'data/train_*/mask/*.png', fill(11), {'unknown id'}),
    ('vspw', 'train.txt', remove, {'missing file'}),
    ('vspw', 'train.txt', lambda path: path.write_text('nowhere'), {'missing file'}),
    ('vipseg', 'images/train_*/*.jpg', remove, {'missing file'}),
    ('vipseg', 'images/train_*/*.jpg', shrink, {'size'}),
    ('vipseg', 'panomasksRGB/train_*/*.png', remove, {'missing file'}),
    ('vipseg', 'panomasksRGB/train_*/*.png', cut, {'unreadable file'}),
    ('vipseg', 'panomasksRGB/train_*/*.png', fill(77), {'unknown id', 'annotation'}),
    ('vipseg', 'panomasksRGB/train_*/*.png', fill(0), {'annotation'}),
    ('vipseg', '*_train.json', cut, {'unreadable file'}),
    ('vipseg', '*_train.json', edit(lambda c: c['annotations'].pop()), {'frame without mask'}),
    ('vipseg', '*_train.json', edit(lambda c: c['videos'].pop()), {'annotation'}),
    ('vipseg', '*_train.json', edit(lambda c: c['videos'][0]['images'].pop()),
     {'mask without frame', 'annotation'}),
    ('vipseg', '*_train.json', edit(lambda c: c['categories'].clear()), {'unknown id'}),
    ('vipseg', '*_train.json', edit(lambda c: c.pop('categories')), {'annotation'}),
    ('ytvis', 'train/JPEGImages/*/*.jpg', remove, {'missing file'}),
    ('ytvis', 'train/JPEGImages/*/*.jpg', shrink, {'size'}),
    ('ytvis', 'train/instances.json', edit(lambda c: c.update(annotations=None)), {'annotation'}),
    ('ytvis', 'train/instances.json', edit(lambda c: c['annotations'][0].update(video_id=9)), {'annotation'}),
    ('ytvis', 'train/instances.json', edit(lambda c: c['annotations'][0].update(category_id=0)), {'unknown id'}),
    ('ytvis', 'train/instances.json', edit(lambda c: c['annotations'][0]['segmentations'].pop()), {'annotation'}),
    ('ytvis', 'train/instances.json',
     edit(lambda c: c['annotations'][0].update(segmentations=[None] * 3)), {'annotation'}),
    ('ytvis', 'train/instances.json', edit(
        lambda c: c['annotations'][0].update(segmentations=[dict(size=[32, 48], counts=[5])] * 3)), {'annotation'}),
    ('ytvis', 'train/instances.json', edit(
        lambda c: c['annotations'][0].update(segmentations=[dict(size=[48, 32], counts=[5])] * 3)), {'size'}),
])
def test_damage_is_found(roots, name, pattern, damage, kinds):
    path = files(roots[name], pattern)[0]
    damage(path)
    report = check(roots, name)
    assert {kind for kind, _ in report.problems} == kinds
    text = report.to_text()
    assert all(f'\n{kind}: ' in text for kind in kinds)
    if path.suffix in ('.jpg', '.png'):
        assert path.stem in report.problems[0][1] and 'train_00000' in report.problems[0][1], 'the file is named'


def twice(key):
    return edit(lambda content: content[key].append(content[key][0]))


def change_class(content):
    """Give the first segment of a video another class in the last frame that has it."""
    frames = content['annotations'][0]['annotations']
    segment = frames[0]['segments_info'][0]
    later = [s for frame in frames[1:] for s in frame['segments_info'] if s['id'] == segment['id']]
    later[-1]['category_id'] = (segment['category_id'] + 1) % len(content['categories'])


def repeat_segment(content):
    segments = content['annotations'][0]['annotations'][0]['segments_info']
    segments.append(segments[0])


@pytest.mark.parametrize('name, file, damage, message', [
    ('ytvis', 'train/instances.json', twice('annotations'), 'id in annotations'),
    ('ytvis', 'train/instances.json', twice('videos'), 'id in videos'),
    ('ytvis', 'train/instances.json', twice('categories'), 'id in categories'),
    ('ytvis', 'valid/instances.json', edit(lambda c: c['videos'][0].update(file_names=[])), 'has no frames'),
    ('vipseg', 'panoptic_gt_VIPSeg_train.json', twice('videos'), 'video_id in videos'),
    ('vipseg', 'panoptic_gt_VIPSeg_train.json', twice('annotations'), 'video_id in annotations'),
    ('vipseg', 'panoptic_gt_VIPSeg_train.json', twice('categories'), 'id in categories'),
    ('vipseg', 'panoptic_gt_VIPSeg_train.json', edit(repeat_segment), 'has the segment'),
    ('vipseg', 'panoptic_gt_VIPSeg_train.json', edit(change_class), 'in an earlier frame'),
    ('vipseg', 'panoptic_gt_VIPSeg_train.json', edit(lambda c: c['videos'][0]['images'].pop()), 'not among'),
    ('vipseg', 'panoptic_gt_VIPSeg_train.json', edit(lambda c: c.update(videos=[], annotations=[])), 'has no videos'),
    ('vspw', 'train.txt', lambda path: path.write_text(f'{path.read_text()}\ntrain_00000'), '"train_00000" 2 times'),
    ('vspw', 'train.txt', lambda path: path.write_text('\n'), 'train.txt" is empty'),
    ('vspw', 'val.txt', lambda path: path.write_text('train_00000'), 'and so does train.txt'),
    ('vspw', 'val.txt', lambda path: path.write_text('val_00000 val_00000'), 'val_00000 val_00000'),
])
def test_what_the_datasets_refuse_is_found(roots, name, file, damage, message):
    damage(roots[name] / file)
    assert any(message in what for _, what in check(roots, name, quick=True).problems)


def test_no_annotations_of_a_validation_set_is_no_problem(roots):
    edit(lambda content: content.update(annotations=None))(roots['ytvis'] / 'valid/instances.json')
    report = check(roots, 'ytvis')
    assert report.problems == [] and 'not public' in report.to_text()


@pytest.mark.parametrize('dataset, root, expected', [
    ('vspw', 'vspw', ['train: 2 videos, the benchmark has 2806', 'all: 9 frames, the benchmark has 250412 or 251633']),
    ('vipseg', 'vipseg', ['val: 1 videos, the benchmark has 343', 'not the 124 classes of VIPSeg']),
    ('youtube_vis_2021', 'ytvis', ['train: 2 videos, the benchmark has 2985', 'not the classes of the benchmark']),
    ('youtube_vis_2022', 'ytvis', ['valid: 1 videos, the benchmark has 492']),
    ('ovis', 'ytvis', ['valid: 1 videos, the benchmark has 140']),
])
def test_totals_of_the_benchmarks(convert, roots, capsys, dataset, root, expected, tmp_path):
    assert convert('check_dataset', dataset, roots[root], '--json', tmp_path / 'report.json') == 1
    text = capsys.readouterr().out
    assert all(line in text for line in expected), text
    report = json.loads((tmp_path / 'report.json').read_text())
    assert report['counts']['train']['videos'] == 2 and len(report['problems']) >= len(expected)


def test_command_line(convert, roots, capsys):
    own = ('vspw', roots['vspw'], '--own', '--num-classes', 10, '--splits', 'train', 'val')
    assert convert('check_dataset', *own) == 0
    assert 'no problems' in capsys.readouterr().out
    for path in files(roots['vspw'], 'data/train_00001/mask/*.png'):
        path.unlink()
    assert convert('check_dataset', *own, '--limit', 1) == 1
    text = capsys.readouterr().out
    assert 'frame without mask: 3; download or convert the masks again' in text and '... and 2 more' in text
    assert convert('check_dataset', 'vspw', roots['vspw'] / 'nowhere') == 2
    assert convert('check_dataset', 'ovis', roots['ytvis'], '--splits', 'val') == 2
    assert convert('check_dataset', 'ovis', roots['ytvis'], '--num-classes', 3) == 2


@pytest.mark.parametrize('arguments, status, text', [
    ('{config} {root} --splits val', 0, 'no problems'),
    ('{config} {root} --cfg-options model.num_classes=3', 1, 'model.num_classes is 3'),
    ('{config} nowhere', 2, '"nowhere" is not a folder'),
    ('{config} {root} --own', 2, '--own is for benchmarks'),
    ('{config} {root} --splits valid', 2, 'are train, val, test, got valid'),
    ('nothing.py', 2, 'config "nothing.py" does not exist'),
    ('kitchen {root}', 2, 'DATASET is a config or one of vspw, vipseg'),
    ('vspw', 2, 'vspw needs ROOT'),
    ('{root}', 2, 'is a folder: give its format first (vspw, vipseg, '),
    ('vspw {root} --cfg-options a=1', 2, '--cfg-options needs a config'),
])
def test_a_config_on_the_command_line(convert, roots, capsys, arguments, status, text):
    words = arguments.format(config=CONFIG, root=roots['vspw']).split()
    assert convert('check_dataset', *words) == status
    printed = capsys.readouterr()
    assert text in printed.out + printed.err


@pytest.mark.parametrize('name', ['vspw', 'vipseg', 'ytvis'])
def test_names_that_leave_the_dataset_are_reported_and_not_opened(roots, name):
    if name == 'vspw':
        path = roots['vspw'] / 'train.txt'
        path.write_text(path.read_text() + '../vspw/data/train_00000\n')
    else:
        path = next(roots[name].glob('*_train.json' if name == 'vipseg' else 'train/*.json'))
        content = json.loads(path.read_text())
        content['videos'][0].update(dict(video_id='../x\0') if name == 'vipseg' else dict(id='../x\0'))
        path.write_text(json.dumps(content))
    problems = check(roots, name).problems
    assert [kind for kind, _ in problems if kind == 'name'] == ['name']


THIN = dict(vspw=thin_vspw, vipseg=thin_vipseg, ytvis=lambda root, keep: thin_vis(root, keep, ('train', 'valid')))
TOOL_NAMES = dict(vspw='vspw', vipseg='vipseg', ytvis='ovis')


def sparse_options(roots, name):
    """Command line for a dataset of which only some frames are labelled."""
    options = dict(vspw=['--num-classes', 10, '--splits', 'train', 'val', '--sparse-labels'],
                   vipseg=['--sparse-labels'], ytvis=[])[name]
    return [TOOL_NAMES[name], roots[name], '--own', *options]


@pytest.mark.parametrize('quick', [False, True])
@pytest.mark.parametrize('name', ['vspw', 'vipseg', 'ytvis'])
def test_share_of_labelled_frames(roots, name, quick, convert, capsys, tmp_path):
    THIN[name](roots[name], {1})
    out = tmp_path / 'report.json'
    status = convert('check_dataset', *sparse_options(roots, name), '--json', out, *(['--quick'] if quick else []))
    text = capsys.readouterr().out
    problems = [entry for entry in json.loads(out.read_text())['problems'] if 'not visible' not in entry['what']]
    assert not problems and status == (0 if 'no problems' in text else 1)
    assert 'train: sparse labels, 2 of 6 frames are labelled (33.3%)' in text
    assert 'train_00000: 1 of 3 (33.3%)' in text
    labels = json.loads(out.read_text())['labels']
    assert labels['train'] == [dict(video=f'train_0000{i}', labelled=1, frames=3) for i in range(2)]


@pytest.mark.parametrize('name', ['vspw', 'vipseg'])
def test_frames_without_labels_are_problems_unless_they_are_expected(roots, name, convert, capsys):
    THIN[name](roots[name], {1})
    options = [option for option in sparse_options(roots, name) if option != '--sparse-labels']
    assert convert('check_dataset', *options) == 1
    text = capsys.readouterr().out
    assert 'frame without mask: 6' in text and '--sparse-labels' in text and 'are labelled (' not in text


@pytest.mark.parametrize('name', ['vspw', 'vipseg'])
def test_a_video_without_any_label_is_a_problem(roots, name, convert, capsys):
    THIN[name](roots[name], ())
    assert convert('check_dataset', *sparse_options(roots, name)) == 1
    assert 'no frame of video "train_00000" is labelled' in capsys.readouterr().out


def test_sparse_labels_of_vis_are_in_its_file(roots, convert, capsys):
    assert convert('check_dataset', 'ovis', roots['ytvis'], '--sparse-labels') == 2
    assert 'labelled_frames' in capsys.readouterr().err


@pytest.mark.parametrize('config, name', [('dvispp_r18_synthetic', 'vspw'), ('dvispp_r18_synthetic_vps', 'vipseg'),
                                          ('dvispp_r18_synthetic_vis', 'ytvis')])
def test_share_of_labelled_frames_of_a_config(roots, config, name, convert, capsys):
    THIN[name](roots[name], {0, 2})
    options = [CONFIG.with_name(f'{config}.py'), roots[name], '--splits', 'train', 'val', '--cfg-options']
    assert convert('check_dataset', *options, 'work_dir=a') == 1
    assert 'sparse_labels=True' in capsys.readouterr().out
    assert convert('check_dataset', *options, 'train_dataloader.dataset.sparse_labels=True',
                   'val_dataloader.dataset.sparse_labels=True') == 0
    text = capsys.readouterr().out
    assert 'train: sparse labels, 4 of 6 frames are labelled (66.7%)' in text
    assert 'val: sparse labels, 2 of 3 frames are labelled (66.7%)' in text and ': 2 of 3 (66.7%)' in text
