# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
import pytest

from mmvc.challenge.aggregation import label_similarity, ssim_map


@pytest.mark.parametrize('size', [(7, 7), (23, 40), (64, 31)])
@pytest.mark.parametrize('window', [3, 7])
@pytest.mark.parametrize('data_range', [1, 255])
def test_equals_scikit_image(size, window, data_range):
    structural_similarity = pytest.importorskip('skimage.metrics').structural_similarity
    rng = np.random.default_rng(0)
    first = rng.integers(0, data_range, size, dtype=np.uint8, endpoint=True)
    second = np.where(rng.random(size) < 0.3, rng.integers(0, data_range, size, endpoint=True), first).astype(np.uint8)
    expected, full = structural_similarity(first.astype(float), second.astype(float), win_size=window,
                                           data_range=data_range, full=True)
    ours = ssim_map(first, second, data_range, window)
    np.testing.assert_allclose(ours, full, atol=1e-6)
    pad = window // 2
    inner = ours[pad:size[0] - pad, pad:size[1] - pad]  # scikit-image's mean leaves the border out
    assert abs(inner.mean() - expected) < 1e-6


def test_wrong_images():
    with pytest.raises(ValueError, match='window 7'):
        ssim_map(np.zeros((6, 20)), np.zeros((6, 20)), 1)
    with pytest.raises(ValueError, match='odd number, got 4'):
        ssim_map(np.zeros((9, 9)), np.zeros((9, 9)), 1, 4)
    with pytest.raises(ValueError, match='shapes'):
        ssim_map(np.zeros((9, 9)), np.zeros((9, 8)), 1)


def direct(first, second, valid):
    """Mean over the valid pixels of the SSIM in the maps of a pixel's own two labels."""
    first = np.where(valid, first, second)
    maps = {label: ssim_map(first == label, second == label, 1) for label in np.unique([first, second])}
    values = [(maps[first[p]][p] + maps[second[p]][p]) / 2 for p in zip(*np.nonzero(valid))]
    return np.mean(values)


def blocks(rng, size, classes):
    return np.kron(rng.integers(0, classes, (5, 7)), np.ones((6, 6), int))[:size[0], :size[1]].astype(np.uint8)


@pytest.mark.parametrize('share', [0.0, 0.02, 0.6])
def test_label_similarity_equals_its_definition(share):
    rng = np.random.default_rng(1)
    size = (29, 41)
    first = blocks(rng, size, 4)
    second = np.where(rng.random(size) < share, blocks(rng, size, 6), first)
    second[0, 0] = 255
    valid = rng.random(size) < 0.8
    result = label_similarity(first, second, valid)
    assert result == pytest.approx(direct(first, second, valid), abs=1e-12)
    assert result < 1 or share == 0
    # the numbering of the classes does not matter
    shuffled = rng.permutation(256).astype(np.uint8)
    assert label_similarity(shuffled[first], shuffled[second], valid) == pytest.approx(result, abs=1e-12)


def test_small_and_far_differences():
    size = (20, 20)
    first, second = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    second[10, 10] = 3
    everything = np.ones(size, bool)
    assert label_similarity(first, first, everything) == 1.0
    assert 0.8 < label_similarity(first, second, everything) < 1.0
    everything[10, 10] = False  # the difference was hidden: nothing else differs
    assert label_similarity(first, second, everything) == 1.0
    assert np.isnan(label_similarity(first, second, np.zeros(size, bool)))


def test_grey_treatment_weighs_indices():
    first = np.full((20, 20), 3, np.uint8)
    near, far = first.copy(), first.copy()
    near[5:15, 5:15], far[5:15, 5:15] = 4, 100
    everything = np.ones(first.shape, bool)
    grey = [label_similarity(first, other, everything, 'grey') for other in (near, far)]
    assert grey[0] == pytest.approx(ssim_map(first, near, 255).mean())
    assert grey[0] > grey[1] + 0.3
    classes = [label_similarity(first, other, everything) for other in (near, far)]
    assert classes[0] == pytest.approx(classes[1], abs=1e-12)


def test_wrong_label_maps():
    everything = np.ones((8, 8), bool)
    with pytest.raises(ValueError, match="'colour'"):
        label_similarity(np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8), everything, 'colour')
    with pytest.raises(ValueError, match='cannot be compared'):
        label_similarity(np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8), everything)
