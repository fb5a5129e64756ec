# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
import pytest

from mmvc.importers.brush_rle import decode_brush_rle
from mmvc.utils.errors import DataError
from tests.helpers.brush_encoder import bits_of, encode_brush, to_bytes

# 1 x 3 pixels: transparent, red with alpha 255, white without alpha. Lengths of counts: 3, 4, 5 and 6 bits.
HEADER = '00000000000000000000000000001100' '00111' '0010' '0011' '0100' '0101'
BLOCKS = ('1' '00' '011' '00000000'  # 4 times 0
          '0' '01' '0011' '11111111' '00000000' '00000000' '11111111'  # 255, 0, 0, 255
          '1' '10' '00010' '11111111'  # 3 times 255
          '0' '11' '000000' '00000000')  # 0


def test_an_example_computed_by_hand():
    assert decode_brush_rle(to_bytes(HEADER + BLOCKS), 1, 3).tolist() == [[False, True, False]]


@pytest.mark.parametrize('seed', range(5))
def test_round_trip(seed):
    mask = np.random.default_rng(seed).random((23, 31)) < [0.5, 0.02, 0.98, 0, 1][seed]
    decoded = decode_brush_rle(encode_brush(mask), 23, 31)
    assert decoded.dtype == bool and (decoded == mask).all()


def test_a_large_mask_of_long_runs():
    mask = np.zeros((720, 1280), bool)
    mask[100:600, 200:900] = True
    assert (decode_brush_rle(encode_brush(mask), 720, 1280) == mask).all()


@pytest.mark.parametrize(('rle', 'message'), [
    ([], 'cut off'),
    (to_bytes(HEADER), 'cut off'),
    (to_bytes(HEADER + BLOCKS)[:-2], 'cut off'),
    (to_bytes(bits_of(16, 32) + HEADER[32:] + BLOCKS), r'16 values.*1 x 3 pixels.*has 12'),
    (to_bytes(bits_of(12, 32) + '00011' + HEADER[37:] + BLOCKS), '4 bits per value'),
    (to_bytes(HEADER + '1' '11' '111111' '00000000'), 'behind its last value'),
    ([256], 'whole numbers from 0 to 255'),
    ([-1], 'whole numbers from 0 to 255'),
    ([1.5], 'whole numbers from 0 to 255'),
    ([True], 'whole numbers from 0 to 255'),
])
def test_damage_is_named(rle, message):
    with pytest.raises(DataError, match=message):
        decode_brush_rle(rle, 1, 3)


def test_random_bytes_end_in_data_errors():
    rng = np.random.default_rng(0)
    for _ in range(200):
        rle = to_bytes(HEADER[:53]) + rng.integers(0, 256, rng.integers(0, 30)).tolist()
        try:
            assert decode_brush_rle(rle, 1, 3).shape == (1, 3)
        except DataError:
            pass
