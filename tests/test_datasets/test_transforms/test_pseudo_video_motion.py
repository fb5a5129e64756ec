# Copyright (c) The mmvc contributors. All rights reserved.
"""MovingCrop and RotatePseudoVideo on clips whose pixels tell where they come from."""
import numpy as np
import pytest
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import DefaultScope

from mmvc.datasets.transforms import MovingCrop, PackVideoSegInputs, RotatePseudoVideo
from mmvc.registry import TRANSFORMS

HEIGHT, WIDTH, LENGTH = 60, 80, 5


def clip(length=LENGTH, **extra):
    """Frames with one bright instance in the middle and one in a corner."""
    masks = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    masks[0, 24:36, 30:50] = 1
    masks[1, :8, :8] = 1
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(HEIGHT)[:, None], np.arange(WIDTH)
    image[..., 2] = 100 * masks[0] + 200 * masks[1]
    everything = dict(
        img=image,
        img_shape=(HEIGHT, WIDTH),
        gt_masks=BitmapMasks(masks, HEIGHT, WIDTH),
        gt_bboxes=None,
        gt_bboxes_labels=np.array([4, 5]),
        gt_instances_ids=np.array([11, 12]),
        **extra)
    return {key: [value] * length for key, value in everything.items()}


def draw(transform, seed=0, **extra):
    np.random.seed(seed)
    return transform(clip(**extra))


def corners(results):
    return np.array([frame[0, 0, :2] for frame in results['img']]).astype(int)


def test_window_glides_on_a_line_and_stays_inside():
    transform = MovingCrop((20, 40))
    directions = set()
    for seed in range(30):
        results = draw(transform, seed)
        shapes = {frame.shape[:2] for frame in results['img']}
        assert len(shapes) == 1 and shapes == set(results['img_shape'])
        height, width = shapes.pop()
        assert 20 <= height <= 40 and 20 <= width <= 40
        steps = np.diff(corners(results), axis=0)
        for axis in range(2):
            assert (steps[:, axis] >= 0).all() or (steps[:, axis] <= 0).all()
        directions |= set(np.sign(steps).reshape(-1).tolist())
    assert directions == {-1, 0, 1}


def test_masks_and_boxes_move_with_the_image():
    for seed in range(5):
        results = draw(MovingCrop((20, 40)), seed)
        for image, masks, boxes in zip(results['img'], results['gt_masks'], results['gt_bboxes']):
            assert (masks.masks[0] == (image[..., 2] == 100)).all()
            assert (masks.masks[1] == (image[..., 2] == 200)).all()
            assert (boxes.tensor == masks.get_bboxes('hbox').tensor).all()


def test_an_instance_outside_of_the_window_is_absent_after_packing():
    seen = set()
    for seed in range(40):
        results = draw(MovingCrop((10, 40)), seed)
        for image, frame in zip(results['img'], PackVideoSegInputs()(results)['data_samples']):
            ids = frame.gt_instances.instances_ids.tolist()
            assert ids == [i for i, level in ((11, 100), (12, 200)) if (image[..., 2] == level).any()]
            seen.add(tuple(ids))
    assert {(), (11, ), (12, )} <= seen


def test_semantic_maps_are_cropped_too():
    np.random.seed(0)
    results = clip()
    results['gt_seg_map'] = [image[..., 0].copy() for image in results['img']]
    results = MovingCrop((20, 40))(results)
    assert all((image[..., 0] == seg_map).all() for image, seg_map in zip(results['img'], results['gt_seg_map']))


def test_small_frames_limit_the_window():
    assert draw(MovingCrop((70, 100)))['img_shape'][0] == (60, pytest.approx(75, abs=5))


def test_crop_in_a_randomly_applied_part_of_a_pipeline():
    with DefaultScope.overwrite_default_scope('mmvc'):
        transform = TRANSFORMS.build(
            dict(type='RandomApply', prob=0.5, transforms=[dict(type='MovingCrop', crop_size=(20, 40))]))
    cropped = [draw(transform, seed)['img_shape'][0] != (HEIGHT, WIDTH) for seed in range(40)]
    assert 8 < sum(cropped) < 32


def test_crop_inside_the_broadcaster_is_an_error():
    with DefaultScope.overwrite_default_scope('mmvc'):
        inside = [dict(type='MovingCrop', crop_size=(20, 40))]
        with pytest.raises(ValueError, match='take it out of TransformBroadcaster'):
            TRANSFORMS.build(dict(type='TransformBroadcaster', transforms=inside))(clip())


@pytest.mark.parametrize('crop_size', [(0, 4), (5, 4)])
def test_wrong_crop_size(crop_size):
    with pytest.raises(ValueError, match='0 < smallest <= largest'):
        MovingCrop(crop_size)


def test_angles_grow_or_fall_and_stay_in_range():
    transform = RotatePseudoVideo(max_angle=15)
    trends, signs, largest = set(), set(), 0
    for seed in range(60):
        np.random.seed(seed)
        angles = transform.draw_angles(6)
        assert angles.shape == (6, ) and np.abs(angles).max() <= 15
        assert (angles >= 0).all() or (angles <= 0).all()
        trend = np.sign(np.diff(np.abs(angles)))
        assert abs(trend.sum()) == 5, 'monotonic'
        trends.add(int(trend[0]))
        signs.add(bool(angles[0] > 0))
        largest = max(largest, np.abs(angles).max())
    assert trends == {-1, 1} and signs == {True, False} and largest > 12


def slope_of(mask):
    """Angle in degrees between the longer axis of a region and the horizontal."""
    y, x = np.nonzero(mask)
    values, vectors = np.linalg.eigh(np.cov(np.stack([x, y])))
    return np.degrees(np.arctan(vectors[1, 1] / vectors[0, 1]))


def test_frames_turn_with_their_masks_about_one_point():
    for seed in range(4):
        results = draw(RotatePseudoVideo(max_angle=15), seed, pseudo_video=True)
        np.random.seed(seed)
        angles = RotatePseudoVideo(max_angle=15).draw_angles(LENGTH)
        for image, masks, boxes, angle in zip(results['img'], results['gt_masks'], results['gt_bboxes'], angles):
            assert image.shape == (HEIGHT, WIDTH, 3)
            assert slope_of(masks.masks[0]) == pytest.approx(-angle, abs=3), 'counter-clockwise'
            assert (image[16:44, 20:60, 2] > 50).sum() == pytest.approx(masks.masks[0].sum(), abs=20)
            assert np.abs(image[..., 2][masks.masks[0] == 1] - 100.).mean() < 8
            assert (boxes.tensor == masks.get_bboxes('hbox').tensor).all()
        middle = [np.argwhere(masks.masks[0]).mean(axis=0) for masks in results['gt_masks']]
        assert np.ptp(middle, axis=0).max() < 4, 'the centre stays'


def test_rotation_of_a_flipped_clip():
    """Flips leave views of the arrays, which OpenCV must take."""
    with DefaultScope.overwrite_default_scope('mmvc'):
        flip = TRANSFORMS.build(dict(type='TransformBroadcaster', transforms=[dict(type='mmdet.RandomFlip', prob=1.)]))
    results = clip(pseudo_video=True)
    results['gt_bboxes'] = [masks.get_bboxes('hbox') for masks in results['gt_masks']]
    flipped = flip(results)
    images = [image.copy() for image in flipped['img']]
    np.random.seed(0)
    turned = RotatePseudoVideo()(flipped)['img']
    assert [image.shape for image in turned] == [image.shape for image in images]
    assert not np.array_equal(turned[-1], images[-1])


@pytest.mark.parametrize('extra', [{}, dict(pseudo_video=None)])
def test_real_videos_do_not_turn(extra):
    results = clip(**extra)
    state = np.random.get_state()[1].tolist()
    turned = RotatePseudoVideo()(dict(results))
    assert turned['img'] is results['img'] and turned['gt_masks'] is results['gt_masks']
    assert np.random.get_state()[1].tolist() == state


@pytest.mark.parametrize('kwargs', [dict(max_angle=-1), dict(max_angle=200), dict(center_range=(0.6, 0.4))])
def test_wrong_rotation(kwargs):
    with pytest.raises(ValueError, match='RotatePseudoVideo'):
        RotatePseudoVideo(**kwargs)


def test_no_instances():
    results = clip(pseudo_video=True)
    results['gt_masks'] = [BitmapMasks(np.zeros((0, HEIGHT, WIDTH), np.uint8), HEIGHT, WIDTH)] * LENGTH
    results = RotatePseudoVideo()(MovingCrop((20, 40))(results))
    assert results['gt_masks'][0].masks.shape == (0, *results['img_shape'][0])
