# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvc.formats import rle as rle_module
from mmvc.formats.rle import to_rle, to_rles
from mmvc.utils.errors import DataError

SIZE = [6, 8]


def encode(mask):
    return mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))


@pytest.fixture
def mask():
    mask = np.zeros(SIZE, bool)
    mask[1:4, 2:5] = True
    return mask


def test_every_encoding_is_accepted(mask):
    segmentations = [
        dict(size=SIZE, counts=[13, 3, 3, 3, 3, 3, 20]),
        dict(size=SIZE, counts=encode(mask)['counts'].decode()),
        encode(mask),
        [[2, 1, 5, 1, 5, 4, 2, 4]],
        [[2, 1, 5, 1, 5, 4, 2, 4], [2, 2, 3, 3]],  # the second polygon encloses nothing
    ]
    for rle in (*to_rles(segmentations, *SIZE), *(to_rle(segmentation, *SIZE) for segmentation in segmentations)):
        np.testing.assert_array_equal(mask_utils.decode(rle), mask)


def test_no_mask():
    assert to_rles([None, {}, []], *SIZE) == [None, None, None]
    assert not mask_utils.decode(to_rle([[1, 1, 2, 2]], *SIZE)).any()


@pytest.mark.parametrize('segmentation, message', [
    (dict(size=SIZE, counts=[48]), r'size \[6, 8\], the frame \[8, 6\]'),
])
def test_the_size_is_that_of_the_frame(segmentation, message):
    with pytest.raises(DataError, match=message):
        to_rle(segmentation, 8, 6)


@pytest.mark.parametrize('segmentation, message', [
    ('text', 'neither RLE'),
    (dict(size=SIZE), 'neither RLE'),
    (dict(size=SIZE, counts=3), 'counts of the RLE are a int'),
    (dict(size=SIZE, counts=[40, 7]), 'add up to 47 pixels instead of 48'),
    (dict(size=SIZE, counts=[-1, 49]), 'not all whole numbers'),
    (dict(size=SIZE, counts=''), 'add up to 0 pixels'),
    (dict(size=SIZE, counts='5'), 'add up to 5 pixels'),
    (dict(size=SIZE, counts='O`1'), 'a run is negative'),
    (dict(size=SIZE, counts='P'), 'cut off'),
    (dict(size=SIZE, counts='\u4e2d!'), 'damaged or cut off'),
    ([[1, 2, 3]], 'odd number'),
    ([['a', 'b']], 'not a list of numbers'),
    ([[1, 2, 3, 4, 1e6, 5]], 'leaves its frame'),
    ([[1, 2, 3, 4, float('nan'), 5]], 'leaves its frame'),
])
def test_damage(segmentation, message, mask):
    with pytest.raises(DataError, match=message):
        to_rle(segmentation, *SIZE)
    with pytest.raises(DataError, match=message):
        to_rles([encode(mask), None, segmentation, encode(~mask)], *SIZE)


def test_many_masks_are_checked_in_batches(monkeypatch, mask):
    checked = []
    decode_runs = rle_module.decode_runs

    def decode(texts):
        checked.append(len(texts))
        return decode_runs(texts)

    monkeypatch.setattr(rle_module, '_BATCH', 40)
    monkeypatch.setattr(rle_module, 'decode_runs', decode)
    masks = [encode(mask) for _ in range(20)]
    assert to_rles(masks, *SIZE) == masks
    assert sum(checked) == 20 and max(checked) <= 40 // len(masks[0]['counts']) + 1
    for index in range(20):  # first, last and in between, in each batch
        damaged = [*masks[:index], dict(size=SIZE, counts='5'), *masks[index + 1:]]
        with pytest.raises(DataError, match='add up to 5 pixels instead of 48'):
            to_rles(damaged, *SIZE)
