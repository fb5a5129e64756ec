# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvc.formats.rle_counts import decode_runs
from mmvc.utils.errors import DataError


def runs_of(mask):
    """Lengths of the runs down the columns, of background first."""
    pixels = mask.T.reshape(-1)
    runs = np.diff([0, *(np.flatnonzero(np.diff(pixels)) + 1), pixels.size]).tolist()
    return [0, *runs] if pixels[0] else runs


def encode(mask):
    return mask_utils.encode(np.asfortranarray(mask))['counts']


def test_runs_equal_pixels():
    """Masks of one to hundreds of runs, of runs of one to four digits, all together."""
    rng = np.random.default_rng(0)
    masks = [(rng.random((40, 50)) < share).astype(np.uint8) for share in (0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999, 1)]
    masks += [np.kron(mask, np.ones((30, 20), np.uint8)) for mask in masks]
    expected = [runs_of(mask) for mask in masks]
    runs, starts = decode_runs([encode(mask) for mask in masks])
    assert runs.tolist() == sum(expected, [])
    assert starts.tolist() == np.cumsum([0, *(len(of_mask) for of_mask in expected)])[:-1].tolist()


@pytest.mark.parametrize('text, runs', [(b'0', [0]), (b'?', [15]), (b'P1', [32]), (b'1234', [1, 2, 3, 6]),
                                        (b'O', [-1]), (b'55O', [5, 5, -1]), (b'555O', [5, 5, 5, 4])])
def test_small_texts(text, runs):
    assert decode_runs([text])[0].tolist() == runs
    assert decode_runs([b'1', text, text])[0].tolist() == [1, *runs, *runs]


@pytest.mark.parametrize('text, message', [(b'P', 'cut off'), (b'1P', 'cut off'), (b'!', 'damaged'), (b'p', 'damaged'),
                                           (b'o' * 7 + b'1', 'too many digits')])
def test_damage(text, message):
    with pytest.raises(DataError, match=message):
        decode_runs([b'12', text])
    with pytest.raises(DataError):
        decode_runs([text, b'12'])
