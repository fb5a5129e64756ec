# Copyright (c) The mmvc contributors. All rights reserved.
"""A fault of an annotation file, or of a mask, is the same to training, testing, scoring of files and the check."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from mmvc.datasets.checks import check_vipseg, check_vis, check_vspw
from mmvc.evaluation.files import evaluate_vis, evaluate_vps
from mmvc.evaluation.metrics import VISMetric, VPSMetric
from mmvc.formats.label_maps import read_label_map, read_panoptic_map
from mmvc.utils.errors import DataError
from tests.helpers.tiny_datasets import CUP, FLOOR, HEIGHT, WIDTH, build, cup, write_vipseg, write_vis, write_vspw


def rewrite(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def first_segment(**changes):
    return lambda c: c['annotations'][1]['annotations'][0]['segments_info'][0].update(changes)


VIS_FAULTS = [
    (lambda c: c['categories'].append(dict(id=3, name='cup')), "the category 'cup' twice"),
    (lambda c: c['categories'].append(c['categories'][0]), 'the category id 1 twice'),
    (lambda c: c['videos'].append(c['videos'][0]), 'the video id 1 twice'),
    (lambda c: c['videos'].append(dict(c['videos'][0], id='1')), "the video id '1' twice"),
    (lambda c: c['videos'][0].pop('height'), r'videos\[0\] has no height'),
    (lambda c: c['videos'][0].update(file_names=[]), 'video 1 has no frames'),
    (lambda c: c['annotations'].append(c['annotations'][2]), 'the annotation id 12 twice'),
    (lambda c: c['annotations'][0].update(video_id=9), 'annotation 10 of .* belongs to video 9'),
    (lambda c: c['annotations'][0].update(category_id=9), 'annotation 10 of .* has the category 9'),
    (lambda c: c['annotations'][0]['segmentations'].pop(), 'annotation 10 of .* masks for 1 frames, its video has 2'),
    (lambda c: c['annotations'][0].update(iscrowd='0'), r"annotations\[0\].iscrowd is '0'"),
    (lambda c: c['annotations'][0].update(areas=['36', 36]), r"annotations\[0\].areas\[0\] is '36'"),
    (lambda c: c['annotations'][0].update(occlusion=[None, 'none']), r"annotations\[0\].occlusion\[1\] is 'none'"),
    (lambda c: c['annotations'][0].update(areas=[36]), 'annotation 10 of .* areas for 1 frames, its video has 2'),
    (lambda c: c['annotations'][0].update(occlusion=[None] * 3), 'annotation 10 of .* occlusion for 3 frames'),
    (lambda c: c['videos'][0].update(file_names=['left/0.jpg', './left/0.jpg']), "the frame 'left/0.jpg' twice"),
    (lambda c: c['videos'][0].update(height=0), 'video 1 has the height 0 and the width 16'),
]


@pytest.mark.parametrize('change, message', VIS_FAULTS)
def test_tracks(tmp_path, change, message):
    write_vis(tmp_path)
    path, results = tmp_path / 'train.json', tmp_path / 'results.json'
    results.write_text('[]')
    rewrite(path, change)
    for read in (lambda: build('vis', tmp_path), lambda: VISMetric(str(path)), lambda: evaluate_vis(results, path)):
        with pytest.raises(DataError, match=message):
            read()
    report = check_vis(tmp_path, 'ovis', ['train'], quick=True, own=True)
    assert any(re.search(message, what) for _, what in report.problems)


VIPSEG_FAULTS = [
    (lambda c: c['categories'].append(c['categories'][0]), 'the category id 0 twice'),
    (lambda c: c['videos'].append(c['videos'][0]), "the video 'left' twice"),
    (lambda c: c['videos'][0].update(images=[]), 'video "left" of .* has no frames'),
    (lambda c: c['videos'][0]['images'].append(c['videos'][0]['images'][0]), "the frame '0' twice"),
    (lambda c: c['videos'][0]['images'][0].pop('width'), r'videos\[0\].images\[0\] has no width'),
    (lambda c: c['videos'].pop(), 'video "right", which is not among the videos'),
    (lambda c: c['videos'][0]['images'].pop(), 'frame "1.png" of video "left", which is not among the images'),
    (lambda c: c['annotations'].append(c['annotations'][0]), "the annotated video 'left' twice"),
    (lambda c: c['annotations'][0]['annotations'].append(c['annotations'][0]['annotations'][0]),
     "the annotated frame '0' twice"),
    (first_segment(id=CUP), f'the segment {CUP} twice .*"right/0.png"'),
    (first_segment(category_id=2), f'segment {FLOOR} of frame "right/0.png" has the category 2'),
    (first_segment(category_id=1), f'segment {FLOOR} of frame "right/1.png" has the category 0, in an earlier .* 1'),
]


@pytest.mark.parametrize('change, message', VIPSEG_FAULTS)
def test_segments(tmp_path, change, message):
    write_vipseg(tmp_path)
    path, pred = tmp_path / 'train.json', tmp_path / 'pred'
    shutil.copytree(tmp_path / 'panomasksRGB', pred / 'pan_pred')
    shutil.copy(path, pred / 'pred.json')
    rewrite(path, change)
    shutil.copy(path, tmp_path / 'panoptic_gt_VIPSeg_train.json')
    for read in (lambda: build('vipseg', tmp_path), lambda: VPSMetric(str(path)),
                 lambda: evaluate_vps(pred, path, f'{tmp_path}/panomasksRGB/{{video}}')):
        with pytest.raises(DataError, match=message):
            read()
    report = check_vipseg(tmp_path, ['train'], quick=True, own=True)
    assert any(re.search(message, what) for _, what in report.problems)


def save_transparent(path):
    Image.fromarray(np.dstack([cup(0) * 0] * 3)).save(path, transparency=(9, 9, 9))


def save_palette(path):
    """A cup of segment 2 on a floor of segment 1, in colours of a palette."""
    image = Image.fromarray(1 - cup(0), 'P')
    image.putpalette([2, 0, 0, 1, 0, 0])
    image.save(path)


@pytest.mark.parametrize('write, message', [
    (lambda path: cv2.imwrite(str(path), (cup(0) + 1).astype(np.uint16)), 'more than 8 bits'),
    (lambda path: Image.fromarray(cup(0) * 0).convert('1').save(path), 'bool numbers'),
    (lambda path: path.write_bytes(cv2.imencode('.jpg', cup(0) + 1)[1].tobytes()), 'is a JPEG'),
])
def test_maps_of_classes(tmp_path, write, message):
    write_vspw(tmp_path)
    path = tmp_path / 'data/left/mask/0.png'
    write(path)
    for read in (lambda: build('vspw', tmp_path)[0], lambda: read_label_map(str(path))):
        with pytest.raises(ValueError, match=message):
            read()
    report = check_vspw(tmp_path, ['train'], own=True, num_classes=2)
    assert any(message in what for _, what in report.problems)


@pytest.mark.parametrize('write, areas', [
    (save_transparent, {0: HEIGHT * WIDTH}),
    (lambda path: cv2.imwrite(str(path), cup(0) * 0), {0: HEIGHT * WIDTH}),
    (lambda path: cv2.imwrite(str(path), cup(0).astype(np.uint16) + 1), {1: HEIGHT * WIDTH - 36, 2: 36}),
    (save_palette, {1: HEIGHT * WIDTH - 36, 2: 36}),
])
def test_maps_of_segments(tmp_path, write, areas):
    write_vipseg(tmp_path)
    path = tmp_path / 'panomasksRGB/left/0.png'
    write(path)
    segments = [dict(id=1, category_id=0), dict(id=2, category_id=1)]
    rewrite(tmp_path / 'train.json', lambda c: c['annotations'][0]['annotations'][0].update(segments_info=segments))
    ids, counts = np.unique(read_panoptic_map(str(path)), return_counts=True)
    assert dict(zip(ids.tolist(), counts.tolist())) == areas
    trained = build('vipseg', tmp_path)[0]['data_samples'][0].gt_instances
    assert dict(zip(trained.instances_ids.tolist(), trained.masks.masks.sum((1, 2)).tolist())) == {
        index: area for index, area in areas.items() if index}
