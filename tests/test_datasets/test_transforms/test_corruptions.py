# Copyright (c) The mmvc contributors. All rights reserved.
"""CorruptFrames and DropFrames: the same for every model, another for every frame, and nothing else is touched."""

import sys

import numpy as np
import pytest
import torch

from mmvc.datasets.transforms import CorruptFrames, DropFrames, PackVideoSegInputs
from mmvc.utils.errors import UsageError

KINDS = ('gaussian_noise', 'impulse_noise', 'defocus_blur', 'jpeg_compression', 'spatter')


def clip(num_frames=4, height=40, width=48, video='street'):
    frames = [np.random.RandomState(i).randint(0, 256, (height, width, 3)).astype(np.uint8) for i in range(num_frames)]
    return dict(img=frames, video_id=[video] * num_frames, frame_id=list(range(num_frames)))


@pytest.fixture(scope='module')
def library():
    return pytest.importorskip('imagecorruptions')


@pytest.mark.parametrize('kind', KINDS)
def test_a_frame_is_corrupted_the_same_way_in_every_run(library, kind):
    transform = CorruptFrames(kind, severity=3)
    np.random.seed(1)
    first = transform(clip())['img']
    np.random.seed(2)
    half = {key: values[2:] for key, values in clip().items()}  # another worker, another order
    again = CorruptFrames(kind, severity=3)(half)['img']
    assert all((a == b).all() for a, b in zip(first[2:], again))
    for before, after in zip(clip()['img'], first):
        assert after.shape == before.shape and after.dtype == np.uint8 and (after != before).any()


def test_frames_videos_and_seeds_differ(library):
    results = clip(2)
    results['img'] = [results['img'][0]] * 2
    one, two = CorruptFrames('gaussian_noise')(dict(results))['img']
    other_video = CorruptFrames('gaussian_noise')(dict(results, video_id=['park'] * 2))['img'][0]
    other_seed = CorruptFrames('gaussian_noise', seed=1)(dict(results))['img'][0]
    assert all((one != other).any() for other in (two, other_video, other_seed))


def test_it_is_the_corruption_of_the_library_in_rgb(library):
    frame = clip(1)['img'][0]
    expected = library.corrupt(frame[..., ::-1], severity=4, corruption_name='jpeg_compression')[..., ::-1]
    assert (CorruptFrames('jpeg_compression', 4)(clip(1))['img'][0] == expected).all()
    levels = [np.abs(CorruptFrames('gaussian_noise', level)(clip(1))['img'][0].astype(int) - frame).mean()
              for level in range(1, 6)]
    assert levels == sorted(levels)


def test_other_randomness_and_the_input_stay(library):
    results, frames = clip(1), clip(1)['img']
    np.random.seed(3)
    torch.manual_seed(3)
    CorruptFrames('gaussian_noise')(results)
    np.testing.assert_array_equal(np.random.rand(3), np.random.RandomState(3).rand(3))
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(3)))
    given = clip(1)
    CorruptFrames('gaussian_noise')(dict(given))
    assert (given['img'][0] == frames[0]).all()


def test_single_images_and_packing(library):
    results = clip(2)
    image = CorruptFrames('gaussian_noise')(dict(img=results['img'][1], video_id='street', frame_id=1))['img']
    corrupted = CorruptFrames('gaussian_noise')(dict(results))
    assert (image == corrupted['img'][1]).all()
    alone = [CorruptFrames('gaussian_noise')(dict(img=results['img'][0], img_path=name))['img'] for name in 'ab']
    assert (alone[0] != alone[1]).any()
    packed = PackVideoSegInputs()(dict(corrupted, img_path=['a', 'b']))['inputs']
    assert (packed[1].permute(1, 2, 0).numpy() == image).all()


@pytest.mark.parametrize('arguments, message', [
    (dict(corruption='rainbow'), 'no corruption "rainbow", expected one of brightness'),
    (dict(corruption='fog', severity=6), 'whole number from 1 to 5'),
    (dict(corruption='fog', severity=2.5), 'whole number from 1 to 5'),
    (dict(corruption='fog', seed=-1), 'at least 0'),
])
def test_wrong_arguments(library, arguments, message):
    with pytest.raises(ValueError, match=message):
        CorruptFrames(**arguments)


def test_small_frames_are_refused(library):
    with pytest.raises(ValueError, match='frame "street/0" has 20 x 48 pixels'):
        CorruptFrames('fog')(clip(height=20))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'imagecorruptions', None)
    with pytest.raises(UsageError, match='pip install imagecorruptions-imaug'):
        CorruptFrames('fog')


def test_a_lost_frame_shows_the_last_one_that_arrived():
    results = clip(200, 2, 2)
    for i, frame in enumerate(results['img']):
        frame[:] = i
    shown = [int(frame[0, 0, 0]) for frame in DropFrames(0.3)(dict(results))['img']]
    assert shown[0] == 0
    assert all(now in (i, shown[i - 1]) for i, now in enumerate(shown) if i)
    assert 0.15 < np.mean([now != i for i, now in enumerate(shown)]) < 0.45
    again = [int(frame[0, 0, 0]) for frame in DropFrames(0.3)(dict(results))['img']]
    other = [int(frame[0, 0, 0]) for frame in DropFrames(0.3)(dict(results, video_id=['park'] * 200))['img']]
    assert shown == again != other
    assert [int(frame[0, 0, 0]) for frame in results['img']][:5] == [0, 1, 2, 3, 4]  # the input is as before


def test_limits_of_dropping():
    frames = clip()['img']
    assert all((a == b).all() for a, b in zip(DropFrames(0.)(clip())['img'], frames))
    assert all((frame == frames[0]).all() for frame in DropFrames(1.)(clip())['img'])
    with pytest.raises(ValueError, match=r'prob must be in \[0, 1\]'):
        DropFrames(1.5)
    with pytest.raises(ValueError, match='whole video'):
        DropFrames()(dict(img=frames[0], video_id='a'))
