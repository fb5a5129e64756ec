# Copyright (c) The mmvc contributors. All rights reserved.
import pickle

import numpy as np
import pytest
import torch
from mmdet.models import DetDataPreprocessor
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope

from mmvc.datasets.transforms import RandomPatchMask, TubeMask
from mmvc.registry import TRANSFORMS
from mmvc.utils import normalisation
from mmvc.utils.patch_mask import expand_patch_mask

MEAN = np.array([123.675, 116.28, 103.53])
STD = np.array([58.395, 57.12, 57.375])


def clip(num_frames=3, height=70, width=100, dtype=np.uint8):
    return [np.random.RandomState(i).randint(130, 256, (height, width, 3)).astype(dtype) for i in range(num_frames)]


def normalised(image):
    """What a data preprocessor makes of a BGR image."""
    return (image[..., ::-1].astype(np.float64) - MEAN) / STD


@pytest.fixture(autouse=True)
def seed():
    np.random.seed(0)


@pytest.mark.parametrize('transform', [RandomPatchMask, TubeMask])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_hidden_pixels_are_zero_after_normalisation_and_others_untouched(transform, dtype):
    frames = clip(dtype=dtype)
    results = transform(patch_size=16, prob=1)(dict(img=frames))
    assert results['masked'] == [True] * 3 and results['patch_size'] == [16] * 3
    for before, after, grid in zip(frames, results['img'], results['patch_mask']):
        hidden = expand_patch_mask(grid, 16, 70, 100)
        assert 0 < hidden.mean() < 1
        assert after.dtype == dtype
        assert np.abs(normalised(after)[hidden]).max() < (0.01 if dtype == np.uint8 else 1e-5)
        assert (after[~hidden] == before[~hidden]).all()
    assert all((before == fresh).all() for before, fresh in zip(frames, clip(dtype=dtype))), 'wrote into its input'


def test_partial_patches_are_patches():
    grid = RandomPatchMask(prob=1)(dict(img=clip(1)[0]))['patch_mask']
    assert grid.shape == (3, 4) and grid.dtype == bool
    pixels = expand_patch_mask(np.arange(12).reshape(3, 4) == 11, 32, 70, 100)
    assert pixels.shape == (70, 100)
    assert pixels[64:, 96:].all() and pixels.sum() == 6 * 4
    with pytest.raises(ValueError, match='70x129 image'):
        expand_patch_mask(grid, 32, 70, 129)


def test_random_patch_mask_draws_per_frame_and_tube_mask_per_clip():
    grids = RandomPatchMask(patch_size=8, prob=1)(dict(img=clip()))['patch_mask']
    assert len({grid.tobytes() for grid in grids}) == 3
    grids = TubeMask(patch_size=8, prob=1)(dict(img=clip()))['patch_mask']
    assert len({grid.tobytes() for grid in grids}) == 1
    with pytest.raises(ValueError, match='differ in size'):
        TubeMask(prob=1)(dict(img=[*clip(1), *clip(1, height=60)]))


@pytest.mark.parametrize('ratio', [0., 0.3, 0.7, 1.])
def test_mask_ratio_is_the_share_of_hidden_patches(ratio):
    grid = RandomPatchMask(patch_size=2, mask_ratio=ratio, prob=1)(dict(img=clip(1, 200, 200)[0]))['patch_mask']
    assert abs(grid.mean() - ratio) < (0.02 if 0 < ratio < 1 else 1e-12)  # 10,000 patches


@pytest.mark.parametrize('transform', [RandomPatchMask, TubeMask])
def test_prob_is_the_probability_of_masking_a_whole_clip(transform):
    mask = transform(prob=0.25)
    masked = []
    for _ in range(800):
        results = mask(dict(img=clip(2, 40, 40)))
        assert results['masked'][0] == results['masked'][1]
        assert results['masked'][0] or not np.any(results['patch_mask'])
        masked.append(results['masked'][0])
    assert abs(np.mean(masked) - 0.25) < 0.07  # 4.6 standard deviations
    assert transform().prob == 0.5


def test_seed_reproduces():
    outcomes = []
    for _ in range(2):
        np.random.seed(3)
        outcomes.append(np.stack(RandomPatchMask(prob=1)(dict(img=clip()))['img']))
    assert (outcomes[0] == outcomes[1]).all()


def test_single_image_and_single_frame():
    image = clip(1)[0]
    results = RandomPatchMask(prob=1)(dict(img=image))
    assert results['img'].shape == image.shape and results['masked'] is True
    assert results['patch_mask'].ndim == 2 and results['patch_size'] == 32
    results = TubeMask(prob=1)(dict(img=[image]))
    assert len(results['img']) == len(results['patch_mask']) == 1


def test_channel_order():
    hidden = {}
    for order in ('bgr', 'rgb'):
        results = RandomPatchMask(prob=1, mask_ratio=1, channel_order=order)(dict(img=clip(1)[0]))
        hidden[order] = results['img'][0, 0].tolist()
    assert hidden == dict(bgr=[104, 116, 124], rgb=[124, 116, 104])


class Network(BaseModel):

    def forward(self, *args, **kwargs):
        """Not used."""


def model_with(**kwargs):
    return Network(DetDataPreprocessor(**kwargs))


OTHER = dict(mean=[10., 20., 30.], std=[2., 2., 2.])


@pytest.mark.parametrize('settings, order, fill', [
    (dict(OTHER, bgr_to_rgb=True), 'bgr', [30, 20, 10]),
    (dict(OTHER, bgr_to_rgb=False), 'rgb', [10, 20, 30]),  # the pipeline reads RGB
    (dict(OTHER, rgb_to_bgr=True), 'rgb', [30, 20, 10]),  # BGR weights, a pipeline that reads RGB
    (dict(mean=[127.5], std=[1.]), 'bgr', [128, 128, 128]),
    (dict(), 'bgr', [0, 0, 0]),  # no normalisation
])
@pytest.mark.parametrize('transform', [RandomPatchMask, TubeMask])
def test_hidden_pixels_follow_the_model(transform, settings, order, fill):
    mask = transform(prob=1, mask_ratio=1, channel_order=order)
    model = model_with(**settings)  # after the transform: what counts is the model when masking begins
    image = mask(dict(img=clip(1)[0]))['img']
    assert image[0, 0].tolist() == fill
    data = dict(inputs=[torch.from_numpy(image).permute(2, 0, 1)])
    assert model.data_preprocessor(data)['inputs'][0].abs().max() <= 0.5


def test_a_worker_that_starts_afresh_gets_the_fill():
    mask = TubeMask(prob=1, mask_ratio=1)
    model = model_with(**OTHER, bgr_to_rgb=True)
    received = pickle.dumps(mask)
    del model
    normalisation._built.clear()
    assert pickle.loads(received)(dict(img=clip()))['img'][0][0, 0].tolist() == [30, 20, 10]


def test_the_models_change_no_draw():
    grids = []
    for settings in (OTHER, {}):
        model = model_with(**settings)
        np.random.seed(5)
        grids.append([RandomPatchMask()(dict(img=clip())) for _ in range(4)])
        del model
    for one, other in zip(*grids):
        assert one['masked'] == other['masked']
        assert np.array_equal(one['patch_mask'], other['patch_mask'])


def test_an_explicit_mean_wins_and_a_mismatch_is_reported(capsys, caplog):
    model = model_with(**OTHER, bgr_to_rgb=True)
    mask = RandomPatchMask(prob=1, mask_ratio=1, mean=[10.2, 20, 30])  # the same, rounded
    assert 'masked pixels' not in caplog.text + capsys.readouterr().err
    mask = RandomPatchMask(prob=1, mask_ratio=1, mean=[1, 2, 3])
    assert mask(dict(img=clip(1)[0]))['img'][0, 0].tolist() == [3, 2, 1]
    printed = capsys.readouterr()
    assert 'mean=[1, 2, 3]' in caplog.text + printed.out + printed.err
    assert '[30.0, 20.0, 10.0]' in caplog.text + printed.out + printed.err
    assert model is not None


@pytest.mark.parametrize('transform', [RandomPatchMask, TubeMask])
def test_sum_mode_leaves_the_image_to_the_model(transform):
    frames = clip()
    for _ in range(5):
        results = transform(mode='sum', patch_size=8)(dict(img=frames))
        assert all((after == before).all() for after, before in zip(results['img'], frames))
        assert results['masked'] == [False] * 3
        assert all(0.3 < grid.mean() < 1 for grid in results['patch_mask'])


@pytest.mark.parametrize('kwargs, message', [
    (dict(patch_size=0), 'patch_size'),
    (dict(mask_ratio=1.1), 'mask_ratio'),
    (dict(prob=-0.1), 'prob'),
    (dict(mode='both'), 'mode'),
    (dict(mode='sum', prob=0.5), 'no meaning'),
    (dict(channel_order='gbr'), 'channel_order'),
])
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=f'TubeMask.*{message}'):
        TubeMask(**kwargs)


@pytest.mark.parametrize('share', [True, False])
def test_masks_refuse_to_see_frames_one_by_one(share):
    with DefaultScope.overwrite_default_scope('mmvc'):
        broadcaster = TRANSFORMS.build(
            dict(type='TransformBroadcaster', share_random_params=share, transforms=[dict(type='TubeMask')]))
    with pytest.raises((ValueError, RuntimeError), match='TransformBroadcaster|cache_random_params'):
        broadcaster(dict(img=clip(), video_length=[3] * 3))
