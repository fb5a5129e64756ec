# Copyright (c) The mmvc contributors. All rights reserved.
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from mmvc.datasets.transforms import LoadFrameFromFile, LoadVideoSegAnnotations

LUT = np.full(256, -1, dtype=np.int16)
LUT[[0, 255]] = 255
LUT[1:4] = [0, 1, 2]


@pytest.fixture
def frame(tmp_path):
    """Results of a loaded frame of 4 x 6 pixels, with the mask still to be written."""
    cv2.imwrite(str(tmp_path / 'frame.png'), np.zeros((4, 6, 3), np.uint8))
    results = dict(
        img_path=str(tmp_path / 'frame.png'), seg_map_path=str(tmp_path / 'mask.png'), label_lut=LUT)
    return LoadFrameFromFile()(results)


def load(frame, mask):
    cv2.imwrite(frame['seg_map_path'], mask)
    return LoadVideoSegAnnotations()(frame)['gt_seg_map']


def test_raw_values_become_class_indices(frame):
    raw = np.array([[0, 1, 2, 3, 255, 1]] * 4, np.uint8)
    seg_map = load(frame, raw)
    assert seg_map.dtype == np.uint8
    assert seg_map[0].tolist() == [255, 0, 1, 2, 255, 0]


def test_indexed_colour_masks_keep_their_indices(frame):
    image = Image.fromarray(np.array([[3, 2, 1, 0, 0, 0]] * 4, np.uint8), mode='P')
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 9, 9, 9])
    image.save(frame['seg_map_path'])
    assert LoadVideoSegAnnotations()(frame)['gt_seg_map'][0].tolist() == [2, 1, 0, 255, 255, 255]


@pytest.mark.parametrize('mask, message', [
    (np.full((4, 6), 4, np.uint8), r'mask\.png" holds \[4\].*neither classes nor void'),
    (np.full((4, 6), 300, np.uint16), r'mask\.png" holds the value 300'),
    (np.zeros((4, 6, 3), np.uint8), r'mask\.png" is a colour image'),
    (np.zeros((4, 5), np.uint8), r'mask\.png".*\(4, 5\).*frame\.png".*\(4, 6\)'),
])
def test_wrong_masks(frame, mask, message):
    with pytest.raises(ValueError, match=message):
        load(frame, mask)


def test_panoptic_ids_of_colour_and_of_grey_masks(frame):
    frame['segments_info'] = [dict(id=1 + 256 * 2 + 65536 * 3, category_id=0), dict(id=7, category_id=1)]
    rgb = np.zeros((4, 6, 3), np.uint8)
    rgb[:, 2:] = (1, 2, 3)
    seg_map = load(frame, rgb[..., ::-1])
    assert seg_map.dtype == np.int32
    assert seg_map[0].tolist() == [0, 0] + [197121] * 4
    assert load(frame, np.full((4, 6), 7, np.uint16))[0].tolist() == [7] * 6
    with pytest.raises(ValueError, match=r'segment ids \[8\]'):
        load(frame, np.full((4, 6), 8, np.uint16))


@pytest.mark.parametrize('content', [b'', b'not an image', None])
def test_corrupt_files_are_named(frame, tmp_path, content):
    if content is None:  # cut off in the middle
        noise = np.random.RandomState(0).randint(0, 255, (64, 64, 3), np.uint8)
        data = cv2.imencode('.png', noise)[1].tobytes()
        content = data[:len(data) // 2]
    path = tmp_path / 'broken.png'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        LoadFrameFromFile()(dict(img_path=str(path)))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        LoadVideoSegAnnotations()(dict(frame, seg_map_path=str(path)))


def test_missing_files_are_named(frame, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        LoadFrameFromFile()(dict(img_path=str(tmp_path / 'nowhere.png')))
    with pytest.raises(FileNotFoundError, match=r'mask\.png'):
        LoadVideoSegAnnotations()(frame)
    with pytest.raises(FileNotFoundError, match=r'frame\.png" has no mask'):
        LoadVideoSegAnnotations()(dict(frame, seg_map_path=None))
