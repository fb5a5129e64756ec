# Copyright (c) The mmvc contributors. All rights reserved.
"""The transforms of mmcv and mmdet that recipes apply to clips: shared over the clip, or drawn per frame."""
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mmvc.registry import TRANSFORMS

HEIGHT, WIDTH, LENGTH = 60, 90, 4


def clip(dtype, seed=0):
    """T equal frames whose pixels are their mask values, so that image and mask can be compared."""
    values = np.random.RandomState(seed).randint(0, 250, (HEIGHT, WIDTH))
    if dtype == np.int32:
        values = values * 1000  # segment ids beyond 16 bits
    image = np.repeat((values % 251).astype(np.uint8)[..., None], 3, axis=2)
    return dict(
        img=[image.copy() for _ in range(LENGTH)],
        gt_seg_map=[values.astype(dtype) for _ in range(LENGTH)],
        img_shape=[(HEIGHT, WIDTH)] * LENGTH,
        homography_matrix=[np.eye(3, dtype=np.float32)] * LENGTH)


def apply(transforms, share, dtype=np.uint8, seed=0):
    with DefaultScope.overwrite_default_scope('mmvc'):
        broadcaster = TRANSFORMS.build(
            dict(type='TransformBroadcaster', share_random_params=share, transforms=transforms))
    np.random.seed(seed)
    return broadcaster(clip(dtype))


def distinct(arrays):
    return len({array.tobytes() for array in map(np.ascontiguousarray, arrays)})


FLIP = dict(type='mmdet.RandomFlip', prob=0.5)
CROP = dict(type='mmdet.RandomCrop', crop_size=(20, 30))
RANGE_CROP = dict(type='mmdet.RandomCrop', crop_size=(20, 40), crop_type='absolute_range')
RESIZE = dict(
    type='RandomChoiceResize',
    scales=[(500, side) for side in range(40, 100, 4)],
    resize_type='mmdet.Resize',
    keep_ratio=True)


@pytest.mark.parametrize('dtype', [np.uint8, np.int32])
@pytest.mark.parametrize('transforms', [[FLIP], [CROP], [RANGE_CROP], [RESIZE], [RESIZE, RANGE_CROP, FLIP]])
def test_shared_geometry_is_one_for_the_clip(transforms, dtype):
    outcomes = set()
    for seed in range(8):
        results = apply(transforms, True, dtype, seed)
        assert distinct(results['img']) == distinct(results['gt_seg_map']) == 1
        assert results['gt_seg_map'][0].dtype == dtype
        assert set(np.unique(results['gt_seg_map'][0])) <= set(np.unique(clip(dtype)['gt_seg_map'][0]))
        assert results['gt_seg_map'][0].shape == results['img'][0].shape[:2] == results['img_shape'][0]
        outcomes.add(results['img'][0].tobytes())
    assert len(outcomes) > 1, 'nothing random happened'


@pytest.mark.parametrize('dtype', [np.uint8, np.int32])
@pytest.mark.parametrize('transforms', [[FLIP], [CROP], [RANGE_CROP]])
def test_image_and_mask_move_together(transforms, dtype):
    for share in (True, False):
        results = apply(transforms, share, dtype)
        for image, seg_map in zip(results['img'], results['gt_seg_map']):
            assert (image[..., 0] == seg_map % 251).all()


@pytest.mark.parametrize('transforms', [[FLIP], [CROP], [RESIZE]])
def test_geometry_that_is_not_shared_differs_between_frames(transforms):
    assert max(distinct(apply(transforms, False, seed=seed)['img']) for seed in range(4)) > 1


def test_range_crop_stays_in_its_range():
    sizes = {apply([RANGE_CROP], True, seed=seed)['img_shape'][0] for seed in range(20)}
    assert len(sizes) > 5
    assert all(20 <= side <= 40 for size in sizes for side in size)


def test_colour_jitter_is_shared_or_not_and_leaves_the_mask():
    jitter = [dict(type='mmdet.PhotoMetricDistortion')]
    assert distinct(apply(jitter, True)['img']) == 1
    results = apply(jitter, False)
    assert distinct(results['img']) > 1
    assert (results['gt_seg_map'][0] == clip(np.uint8)['gt_seg_map'][0]).all()


def test_instances_keep_labels_ids_and_masks_together():
    """Two instances of a YouTube-VIS clip through mmdet's loading, shared geometry and packing."""

    def square(left):
        return [[left, 10, left + 20, 10, left + 20, 40, left, 40]]

    images = []
    for frame_id in range(3):
        instances = [
            dict(bbox=[left, 10, left + 20, 40], bbox_label=label, instance_id=track, mask=square(left), ignore_flag=0)
            for left, label, track in ((5 + frame_id, 2, 20), (60, 7, 30))
        ]
        images.append(
            dict(
                img=np.full((HEIGHT, WIDTH, 3), 9, np.uint8), img_path='frame.jpg', frame_id=frame_id, height=HEIGHT,
                width=WIDTH, img_shape=(HEIGHT, WIDTH), ori_shape=(HEIGHT, WIDTH), instances=instances[frame_id % 2:]))
    with DefaultScope.overwrite_default_scope('mmvc'):
        pipeline = TRANSFORMS.build(
            dict(
                type='Compose',
                transforms=[
                    dict(type='SampleAllFrames'),
                    dict(
                        type='TransformBroadcaster',
                        share_random_params=True,
                        transforms=[
                            dict(type='mmdet.LoadTrackAnnotations', with_mask=True), RESIZE,
                            dict(type='mmdet.RandomCrop', crop_size=(60, 40), allow_negative_crop=True), FLIP
                        ]),
                    dict(type='PackVideoSegInputs')
                ]))
    seen = set()
    for seed in range(10):
        np.random.seed(seed)
        sample = pipeline(dict(video_id='v', video_length=3, images=images))['data_samples']
        for frame in sample:
            entities = frame.gt_instances
            pairs = list(zip(entities.labels.tolist(), entities.instances_ids.tolist()))
            assert set(pairs) <= {(2, 20), (7, 30)}
            assert entities.masks.masks.shape == (len(pairs), *frame.img_shape)
            assert entities.masks.masks.any(axis=(1, 2)).all()
            seen.add(tuple(pairs))
    assert {((2, 20), (7, 30)), ((7, 30), )} <= seen
