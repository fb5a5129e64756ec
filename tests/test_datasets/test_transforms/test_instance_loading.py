# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvc.datasets.transforms import LoadFrameInstances


def frame(*masks, **extra):
    instances = [dict(mask=mask, bbox_label=3, instance_id=7 + i, ignore_flag=0) for i, mask in enumerate(masks)]
    return dict(img=np.zeros((5, 6, 3), np.uint8), img_path='v/0.jpg', instances=instances, **extra)


RECTANGLE = np.zeros((5, 6), np.uint8, order='F')
RECTANGLE[1:4, 2:5] = 1
TEXT = dict(size=[5, 6], counts=mask_utils.encode(RECTANGLE)['counts'].decode())


@pytest.mark.parametrize('mask', [
    TEXT,
    dict(size=[5, 6], counts=mask_utils.encode(RECTANGLE)['counts']),
    dict(size=[5, 6], counts=[11, 3, 2, 3, 2, 3, 6]),
    [[2, 1, 5, 1, 5, 4, 2, 4]],
    [[2, 1, 5, 1, 5, 4, 2, 4], [0, 0, 1, 1]],  # two points enclose nothing
])
def test_encodings(mask):
    results = LoadFrameInstances()(frame(mask))
    assert (results['gt_masks'].masks == RECTANGLE).all()
    assert results['gt_bboxes'].tensor.tolist() == [[2, 1, 5, 4]]
    assert results['gt_bboxes_labels'].tolist() == [3] and results['gt_instances_ids'].tolist() == [7]
    assert results['gt_ignore_flags'].tolist() == [False]


def test_no_instances():
    results = LoadFrameInstances()(frame())
    assert results['gt_masks'].masks.shape == (0, 5, 6) and len(results['gt_bboxes']) == 0
    assert results['gt_instances_ids'].dtype == np.int64


def test_a_mask_without_pixels_stays_empty():
    assert not LoadFrameInstances()(frame([[0, 0, 1, 1]]))['gt_masks'].masks.any()


@pytest.mark.parametrize('mask, message', [
    (dict(TEXT, size=[6, 5]), r'instance 7 of frame "v/0\.jpg": the mask has the size \[6, 5\], the frame \[5, 6\]'),
    (dict(size=[5, 6], counts=[11, 3]), 'add up to 14 pixels instead of 30'),
    ([[0, 0, 1, 1, 2, 2, 3]], 'odd number'),
    ([], 'it has no mask'),
])
def test_wrong_masks(mask, message):
    with pytest.raises(ValueError, match=message):
        LoadFrameInstances()(frame(mask))


def test_frames_without_instances():
    with pytest.raises(ValueError, match='test_mode=False'):
        LoadFrameInstances()(dict(frame(), instances=None))
