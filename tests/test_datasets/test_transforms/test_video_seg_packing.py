# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
import pytest
import torch
from mmdet.structures import TrackDataSample
from mmdet.structures.mask import BitmapMasks, PolygonMasks

from mmvc.datasets.transforms import PackVideoSegInputs


def frames(num_frames=2, **keys):
    images = [np.full((4, 6, 3), (1, 2, 3 + i), np.uint8) for i in range(num_frames)]
    return dict(
        img=images,
        video_id=['v'] * num_frames,
        frame_id=list(range(num_frames)),
        video_length=[9] * num_frames,
        img_path=[f'{i}.jpg' for i in range(num_frames)],
        ori_shape=[(8, 12)] * num_frames,
        img_shape=[(4, 6)] * num_frames,
        **keys)


def test_inputs_and_meta_without_annotations():
    packed = PackVideoSegInputs()(frames(scale_factor=[(0.5, 0.5)] * 2, seg_map_path=['0.png', None]))
    inputs, sample = packed['inputs'], packed['data_samples']
    assert inputs.dtype == torch.uint8 and inputs.shape == (2, 3, 4, 6)
    assert inputs[1, :, 0, 0].tolist() == [1, 2, 4]
    assert isinstance(sample, TrackDataSample) and len(sample) == 2
    assert 'gt_instances' not in sample[0]
    assert sample[1].metainfo == dict(
        video_id='v', frame_id=1, video_length=9, img_path='1.jpg', ori_shape=(8, 12), img_shape=(4, 6),
        scale_factor=(0.5, 0.5), flip=False, flip_direction=None, masked=False)
    assert sample[0].seg_map_path == '0.png'


def test_meta_of_masked_frames():
    grid = np.array([[True, False]])
    packed = PackVideoSegInputs()(frames(masked=[True] * 2, patch_mask=[grid] * 2, patch_size=[4] * 2))
    assert packed['data_samples'][1].masked is True
    assert (packed['data_samples'][1].patch_mask == grid).all() and packed['data_samples'][1].patch_size == 4


def test_colour_jitter_is_rounded_and_clipped():
    results = frames(1)
    results['img'] = [np.full((4, 6, 3), (-20., 1.6, 300.), np.float32)]
    assert PackVideoSegInputs()(results)['inputs'][0, :, 0, 0].tolist() == [0, 2, 255]


def test_class_regions():
    seg_maps = [np.full((4, 6), 255, np.uint8), np.full((4, 6), 255, np.uint8)]
    seg_maps[0][:2], seg_maps[0][2, :3] = 7, 0
    sample = PackVideoSegInputs()(frames(gt_seg_map=seg_maps))['data_samples']
    entities = sample[0].gt_instances
    assert entities.labels.tolist() == entities.instances_ids.tolist() == [0, 7]
    assert entities.labels.dtype == entities.instances_ids.dtype == torch.int64
    assert isinstance(entities.masks, BitmapMasks)
    assert (entities.masks.masks == np.stack([seg_maps[0] == 0, seg_maps[0] == 7])).all()
    empty = sample[1].gt_instances
    assert len(empty) == 0 and empty.masks.masks.shape == (0, 4, 6) and empty.labels.shape == (0, )


def test_panoptic_segments():
    seg_map = np.zeros((4, 6), np.int32)
    seg_map[:2], seg_map[2:, 3:] = 70000, 5
    info = [
        dict(id=5, category_id=3, isthing=True),
        dict(id=70000, category_id=9, isthing=False),
        dict(id=8, category_id=3, isthing=True)  # not in this frame, or cropped away
    ]
    packed = PackVideoSegInputs()(frames(1, gt_seg_map=[seg_map], segments_info=[info]))
    entities = packed['data_samples'][0].gt_instances
    assert entities.labels.tolist() == [3, 9]
    assert entities.instances_ids.tolist() == [5, 70000]
    assert entities.masks.masks.sum(axis=(1, 2)).tolist() == [6, 12]


@pytest.mark.parametrize('polygons', [False, True])
def test_instances(polygons):
    """Of four instances one has no pixel left and one is a crowd."""
    if polygons:
        box = [np.array([0., 0., 4., 0., 4., 3., 0., 3.])]
        masks = PolygonMasks([box, [np.zeros(8)], box, box], 4, 6)
    else:
        bitmaps = np.ones((4, 4, 6), np.uint8)
        bitmaps[1] = 0
        masks = BitmapMasks(bitmaps, 4, 6)
    results = frames(
        1,
        gt_masks=[masks],
        gt_bboxes_labels=[np.array([4, 5, 6, 7])],
        gt_instances_ids=[np.array([14, 15, 16, 17], np.int32)],
        gt_ignore_flags=[np.array([False, False, True, False])])
    entities = PackVideoSegInputs()(results)['data_samples'][0].gt_instances
    assert entities.labels.tolist() == [4, 7]
    assert entities.instances_ids.tolist() == [14, 17]
    assert isinstance(entities.masks, BitmapMasks) and entities.masks.masks.any(axis=(1, 2)).all()


def test_frames_of_different_sizes():
    results = frames()
    results['img'][1] = np.zeros((4, 7, 3), np.uint8)
    with pytest.raises(ValueError, match=r'\(4, 6\), \(4, 7\).*share_random_params'):
        PackVideoSegInputs()(results)
