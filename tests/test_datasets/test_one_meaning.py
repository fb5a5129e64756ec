# Copyright (c) The mmvc contributors. All rights reserved.
"""Files as strangers have them mean the same in training, check, conversion and scoring."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from mmvc.datasets import BaseVideoSegDataset
from mmvc.datasets.checks import check_vipseg, check_vspw
from mmvc.datasets.converters import convert_coco, convert_vspw
from mmvc.utils.errors import DataError
from tests.helpers.tiny_datasets import (
    HEIGHT,
    WIDTH,
    build,
    write_coco,
    write_image,
    write_vipseg,
    write_vis,
    write_vspw,
)


def beside(root, name):
    """A folder for a converted dataset, not inside of the source."""
    return root.parent / f'{root.name}_{name}'


def rewrite(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def check(root):
    return check_vspw(root, splits=('train', ), own=True, num_classes=2)


def test_endings_in_capitals(tmp_path):
    write_vspw(tmp_path)
    (tmp_path / 'data/left/origin/1.jpg').rename(tmp_path / 'data/left/origin/1.JPG')
    (tmp_path / 'data/right/mask/0.png').rename(tmp_path / 'data/right/mask/0.PNG')
    dataset, report = build('vspw', tmp_path), check(tmp_path)
    assert [len(dataset[index]['inputs']) for index in range(2)] == [2, 2]
    assert report.counts['train'] == dict(videos=2, frames=4, labelled=4) and not report.problems
    write_vipseg(tmp_path / 'vps')
    for path in ('images/left/1.jpg', 'panomasksRGB/right/0.png'):
        path = tmp_path / 'vps' / path
        path.rename(path.with_suffix(path.suffix.upper()))
    (tmp_path / 'vps/train.json').rename(tmp_path / 'vps/panoptic_gt_VIPSeg_train.json')
    assert not check_vipseg(tmp_path / 'vps', splits=('train', ), own=True).problems
    (tmp_path / 'vps/panoptic_gt_VIPSeg_train.json').rename(tmp_path / 'vps/train.json')
    assert [len(build('vipseg', tmp_path / 'vps')[index]['inputs']) for index in range(2)] == [2, 2]


def test_a_mask_without_a_frame(tmp_path):
    write_vspw(tmp_path)
    (tmp_path / 'data/left/origin/1.jpg').rename(tmp_path / 'data/left/origin/1.jpeg')
    message = 'video "left": 1 masks have no frame in ".*left/origin": 1'
    for options in (dict(), dict(test_mode=True)):
        with pytest.raises(DataError, match=message):
            build('vspw', tmp_path, **options)
    report = check(tmp_path)
    assert ('mask without frame', f'{tmp_path}/data/left/mask/1.png') in report.problems
    assert any('1 images beside the frames' in line and '1.jpeg' in line for line in report.remarks())
    (tmp_path / 'data/left/origin/1.jpeg').unlink()
    with pytest.raises(DataError, match=message):
        convert_vspw(tmp_path, beside(tmp_path, 'small'), height=6)


def test_two_files_of_one_frame(tmp_path):
    write_vspw(tmp_path)
    (tmp_path / 'data/left/origin/1.JPG').write_bytes((tmp_path / 'data/left/origin/1.jpg').read_bytes())
    with pytest.raises(DataError, match='two files for the frame "1": 1.JPG and 1.jpg'):
        build('vspw', tmp_path)
    assert 'two files' in [kind for kind, _ in check(tmp_path).problems]


def test_repeated_names_with_another_spelling(tmp_path):
    write_vspw(tmp_path)
    (tmp_path / 'train.txt').write_text('left\n./left\nright/\n')
    for read in (lambda: build('vspw', tmp_path), lambda: convert_vspw(tmp_path, beside(tmp_path, 'small'), height=6)):
        with pytest.raises(DataError, match='names videos twice: left'):
            read()
    assert ('list', f'{tmp_path}/train.txt: names video "left" 2 times') in check(tmp_path).problems


def test_endings_that_differ(tmp_path):
    write_vspw(tmp_path)
    for path in list((tmp_path / 'data').rglob('*.*')):
        path.rename(path.with_name(path.stem + ('_leftImg8bit.jpg' if path.suffix == '.jpg' else '_labelIds.png')))
    dataset = build('vspw', tmp_path, img_suffix='_leftImg8bit.jpg', seg_map_suffix='_labelIds.png')
    frames = dataset[0]['data_samples'].video_data_samples
    assert [frame.frame_name for frame in frames] == ['0', '1']


@pytest.mark.parametrize('options, message', [
    (dict(void_values=(0, )), r'the void_values \[0\] are also classes, which have the mask values 0 to 1'),
    (dict(label_offset=1, void_values=(0, 256)), r'from 0 to 255, got \[256\]'),
    (dict(label_offset=1, void_values=(-1, )), r'from 0 to 255, got \[-1\]'),
    (dict(label_offset=-1), r'from 0 to 255, got \[-1\]'),
])
def test_void_values(tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        BaseVideoSegDataset(ann_file='train.txt', metainfo=dict(classes=('cup', 'plate')), lazy_init=True, **options)


@pytest.mark.parametrize('kind, write, images', [('vis', write_vis, 'videos'), ('coco', write_coco, 'images')])
def test_annotations_of_another_frame_size(tmp_path, kind, write, images):
    write(tmp_path)
    polygon = [2, 2, 30, 2, 30, 22, 2, 22]

    def enlarge(content):
        for image in content[images]:
            image.update(height=2 * HEIGHT, width=2 * WIDTH)
        for annotation in content['annotations']:
            key = 'segmentations' if kind == 'vis' else 'segmentation'
            annotation[key] = [[polygon]] * 2 if kind == 'vis' else [polygon]

    rewrite(tmp_path / 'train.json', enlarge)
    with pytest.raises(DataError, match=r'has the size \(12, 16\) .*the annotation file says \(24, 32\)'):
        build(kind, tmp_path)[0]


def test_an_object_without_a_mask(tmp_path):
    write_coco(tmp_path)
    rewrite(tmp_path / 'train.json', lambda content: content['annotations'][0].update(segmentation=[]))
    rewrite(tmp_path / 'train.json', lambda content: content['images'][0].update(height=12, width=16))
    for read in (lambda: build('coco', tmp_path),
                 lambda: convert_coco(tmp_path / 'train.json', tmp_path / 'x', 'ovis')):
        with pytest.raises(DataError, match='annotation 5 has no mask'):
            read()


@pytest.mark.parametrize('orientation', [3, 6])
def test_frames_are_turned_in_loading_converting_and_checking(tmp_path, orientation):
    write_vspw(tmp_path)
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[:, :8] = 255  # turned by 180 degrees the right half, by 90 degrees the upper half
    exif = Image.Exif()
    exif[0x112] = orientation
    seen = frame[::-1, ::-1] if orientation == 3 else np.rot90(frame, -1)
    for path in (tmp_path / 'data').rglob('*.jpg'):
        Image.fromarray(frame).save(path, exif=exif, quality=100)
        write_image(path.parents[1] / f'mask/{path.stem}.png', (1 + (seen[..., 0] > 0)).astype(np.uint8))
    report = check(tmp_path)
    assert not report.problems and set(report.sizes) == {seen.shape[1::-1]}
    assert any('4 images have an EXIF orientation' in line for line in report.remarks())
    for height in (seen.shape[0], seen.shape[0] // 2):
        convert_vspw(tmp_path, beside(tmp_path, height), height=height)
        assert convert_vspw(tmp_path, beside(tmp_path, height), height=height).already_there == 8  # all are whole
        for root in (tmp_path, beside(tmp_path, height)):
            sample = build('vspw', root)[0]
            cup = sample['data_samples'].video_data_samples[0].gt_instances.masks.masks[1].astype(bool)
            assert sample['inputs'][0].numpy()[:, cup].mean() > 240 > 20 > sample['inputs'][0].numpy()[:, ~cup].mean()


def test_frames_of_16_bits(tmp_path):
    write_vspw(tmp_path)
    for path in (tmp_path / 'data').rglob('*.jpg'):
        path.write_bytes(cv2.imencode('.png', np.full((HEIGHT, WIDTH), 100 * 256 + 7, np.uint16))[1].tobytes())
    convert_vspw(tmp_path, beside(tmp_path, 'small'), height=6)
    means = [build('vspw', root)[0]['inputs'].float().mean() for root in (tmp_path, beside(tmp_path, 'small'))]
    assert means == [100, pytest.approx(100, abs=1)]


def test_masks_that_lose_values(tmp_path):
    write_vspw(tmp_path)
    mask = Image.open(tmp_path / 'data/left/mask/0.png').convert('RGB')
    mask.save(tmp_path / 'data/left/mask/0.png', 'WEBP')
    assert 'changes the values' in check(tmp_path).problems[0][1]
    target = beside(tmp_path, 'small')
    for read in (lambda: build('vspw', tmp_path)[0], lambda: convert_vspw(tmp_path, target, height=6)):
        with pytest.raises(ValueError, match='changes the values'):
            read()
