# Copyright (c) The mmvc contributors. All rights reserved.
import csv
import importlib.util
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmvc.datasets.metainfo.vspw import VSPW_CLASSES
from mmvc.formats.label_maps import encode_panoptic_map

TOOL = Path(__file__).parents[2] / 'tools/evaluate.py'


@pytest.fixture
def run(monkeypatch):
    """Run the tool as if from the command line, in this process."""

    def run_tool(*arguments) -> None:
        spec = importlib.util.spec_from_file_location('evaluate_tool', TOOL)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', ['evaluate.py', *map(str, arguments)])
        module.main()

    return run_tool


@pytest.fixture
def vss(tmp_path):
    """Two videos of one frame: the first right, the second wrong."""
    for video, pred in (('good', 0), ('bad', 1)):
        for path, value in ((f'gt/data/{video}/mask/0.png', 1), (f'pred/{video}/0.png', pred)):
            path = tmp_path / path
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), np.full((4, 6), value, np.uint8))
    (tmp_path / 'gt/val.txt').write_text('good\nbad\n')
    return '--pred', tmp_path / 'pred', '--gt', tmp_path / 'gt'


def test_vss(run, vss, tmp_path, capsys):
    run('vss', *vss, '--out', tmp_path / 'out/numbers.json', '--worst', 1)
    out = capsys.readouterr().out
    assert f'| {VSPW_CLASSES[0]}' in out and '| bad ' in out and '| good ' not in out and 'VC8, VC16' in out
    report = json.loads((tmp_path / 'out/numbers.json').read_text())
    assert report['numbers']['mIoU'] == 50 and report['numbers']['VC8'] is None
    with open(tmp_path / 'out/numbers_videos.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['video'], row['mIoU'], row['VC8']) for row in rows] == [('good', '100.0', ''), ('bad', '0.0', '')]
    with open(tmp_path / 'out/numbers_classes.csv', newline='') as file:
        assert [row['IoU'] for row in csv.DictReader(file)] == ['50.0']


def test_own_classes(run, vss, tmp_path, capsys):
    (tmp_path / 'names.txt').write_text('cup\ntable\n')
    for classes in (('--classes', 'cup', 'table'), ('--classes', tmp_path / 'names.txt')):
        run('vss', *vss, *classes)
        assert '| cup ' in capsys.readouterr().out
    run('vss', *vss, '--num-classes', 2, '--label-offset', 0, '--list', 'val.txt', '--masks', 'data/{video}/mask')
    assert '| 1 ' in capsys.readouterr().out


@pytest.mark.parametrize('task, options, message', [
    ('vss', ('--split', 'test'), 'test.txt" does not exist'),
    ('vss', ('--num-classes', 1), 'predicted class 1 is out of range'),
    ('vss', ('--classes', 'nmaes.txt'), '--classes: "nmaes.txt" does not exist'),
    ('vps', (), 'panoptic_gt_VIPSeg_val.json" does not exist'),
    ('vis', (), 'valid/instances.json" does not exist'),
])
def test_errors_are_one_line(run, vss, task, options, message):
    with pytest.raises(SystemExit) as caught:
        run(task, *vss, *options)
    error = str(caught.value.code)
    assert error.startswith('error: ') and message in error and '\n' not in error


def test_missing_frames(run, vss, tmp_path, capsys):
    (tmp_path / 'pred/good/0.png').unlink()
    with pytest.raises(SystemExit, match='good/0 .1 whole videos: good.*--allow-missing'):
        run('vss', *vss)
    run('vss', *vss, '--allow-missing')
    assert 'WARNING: 1 frames without a prediction count as empty: good/0' in capsys.readouterr().out


def test_frames_without_ground_truth(run, vss, tmp_path, capsys):
    for frame in '01':
        path = tmp_path / f'gt/data/good/origin/{frame}.jpg'
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with pytest.raises(SystemExit, match='1 frames have an image and no ground truth: good/1.*--allow-missing'):
        run('vss', *vss)
    run('vss', *vss, '--allow-missing')
    assert 'WARNING: 1 frames have no ground truth, not scored: good/1' in capsys.readouterr().out


@pytest.mark.parametrize('stdout', ['full', 'closed', 'without a reader'])
def test_numbers_are_written_even_if_they_cannot_be_printed(run, vss, tmp_path, monkeypatch, stdout):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, 'w') as pipe, open('/dev/full', 'w') as full, monkeypatch.context() as patch:
        patch.setattr(sys, 'stdout', {'full': full, 'closed': None, 'without a reader': pipe}[stdout])
        try:
            run('vss', *vss, '--out', tmp_path / 'numbers')
        except SystemExit as error:
            assert stdout != 'closed' and error.code
    assert json.loads((tmp_path / 'numbers.json').read_text())['numbers']['mIoU'] == 50


def test_an_output_that_cannot_be_written_is_found_before_scoring(run, vss, tmp_path, capsys):
    with pytest.raises(SystemExit, match='val.txt'):
        run('vss', *vss, '--out', tmp_path / 'gt/val.txt/numbers')
    assert not capsys.readouterr().out
    with pytest.raises(SystemExit, match='2'):
        run('vss', *vss, '--worst', -1)
    assert '--worst: it must be at least 0' in capsys.readouterr().err


def test_vps(run, tmp_path, capsys):
    ids = encode_panoptic_map(np.full((4, 6), 7))
    segments = [dict(id=7, category_id=0)]
    for folder in ('gt/panomasksRGB/v', 'pred/pan_pred/v'):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / '0.png').write_bytes(ids)
    content = dict(annotations=[dict(video_id='v', annotations=[dict(file_name='0.png', segments_info=segments)])],
                   categories=[dict(id=0, name='cat', isthing=1)])
    for path in ('gt/panoptic_gt_VIPSeg_val.json', 'pred/pred.json'):
        (tmp_path / path).write_text(json.dumps(content))
    run('vps', '--pred', tmp_path / 'pred', '--gt', tmp_path / 'gt', '--out', tmp_path / 'numbers')
    assert 'the longest has 1' in capsys.readouterr().out
    assert json.loads((tmp_path / 'numbers.json').read_text())['numbers']['STQ'] == 100


def test_vis(run, tmp_path, capsys):
    masks = [dict(size=[2, 2], counts=[0, 2, 2]), None]
    (tmp_path / 'results.json').write_text(json.dumps(
        [dict(video_id=3, category_id=1, score=0.5, segmentations=masks)]))
    (tmp_path / 'train.json').write_text(json.dumps(dict(
        videos=[dict(id=3, height=2, width=2, length=2, file_names=['v/0.jpg', 'v/1.jpg'])],
        categories=[dict(id=1, name='cat')],
        annotations=[dict(id=1, video_id=3, category_id=1, iscrowd=0, segmentations=masks)])))
    for pred, gt in ((tmp_path, tmp_path), (tmp_path / 'results.json', tmp_path / 'train.json')):
        run('vis', '--pred', pred, '--gt', gt, '--split', 'train', '--out', tmp_path / 'numbers')
        assert 'APm, ARm, APl, ARl: not defined here' in capsys.readouterr().out
        assert json.loads((tmp_path / 'numbers.json').read_text())['numbers']['AP'] == pytest.approx(100)


def test_vis_of_subsets(run, tmp_path, capsys):
    masks = [dict(size=[2, 2], counts=[0, 2, 2])]
    track = dict(category_id=1, segmentations=masks)
    (tmp_path / 'results.json').write_text(json.dumps([dict(track, video_id=3, score=0.5)]))
    (tmp_path / 'gt.json').write_text(json.dumps(dict(
        videos=[dict(id=i, height=2, width=2, length=1, file_names=[f'v{i}/0.jpg']) for i in (3, 4)],
        categories=[dict(id=1, name='cat')],
        annotations=[dict(track, id=i, video_id=i, iscrowd=0) for i in (3, 4)])))
    (tmp_path / 'short.txt').write_text('v3\n')
    (tmp_path / 'long.txt').write_text('v4\n')
    subsets = [f'{name}={tmp_path}/{file}.txt' for name, file in (('S', 'short'), ('L', 'long'))]
    common = ('vis', '--pred', tmp_path, '--gt', tmp_path / 'gt.json')
    run(*common, '--subsets', *subsets, '--out', tmp_path / 'numbers')
    numbers = json.loads((tmp_path / 'numbers.json').read_text())['numbers']
    assert (numbers['AP_S'], numbers['AP_L'], numbers['AP_mean']) == (pytest.approx(100), 0, pytest.approx(50))
    assert '| AR10_L  |   0.00 |' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(*common, '--subsets', 'short.txt')
    assert '"short.txt" is not NAME=FILE' in capsys.readouterr().err


@pytest.mark.parametrize('task', [(), ('vss', ), ('vps', ), ('vis', )])
def test_help_has_examples(run, capsys, task):
    with pytest.raises(SystemExit, match='0'):
        run(*task, '--help')
    assert 'examples:' in capsys.readouterr().out


def test_sparse_labels(run, vss, tmp_path, capsys):
    """A frame with an image and without a mask is an error, unless labels are sparse."""
    for video in ('good', 'bad'):
        (tmp_path / f'gt/data/{video}/origin').mkdir()
        for number in range(2):
            cv2.imwrite(str(tmp_path / f'gt/data/{video}/origin/{number}.png'), np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(SystemExit, match='--sparse-labels'):
        run('vss', *vss)
    run('vss', *vss, '--sparse-labels', '--out', tmp_path / 'numbers')
    assert 'sparse labels: 2 of 4 frames (50.0%)' in capsys.readouterr().out
    assert json.loads((tmp_path / 'numbers.json').read_text())['numbers']['mIoU'] == 50
