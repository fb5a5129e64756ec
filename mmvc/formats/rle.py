# Copyright (c) The mmvc contributors. All rights reserved.
"""Masks of instances as annotation files store them, checked before compiled code decodes them."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils

from mmvc.utils.errors import DataError

from .rle_counts import decode_runs

# Characters of counts that are checked together: the numbers of so many stay in the cache.
_BATCH = 1 << 17


def to_rle(segmentation: Any, height: int, width: int) -> dict | None:
    """Convert the mask of one frame to compressed RLE.

    Args:
        segmentation (dict | list | None): RLE (``size``, and ``counts`` as text, bytes or a list), a list of polygons
            [x0, y0, x1, y1, ...] in pixels, or None (no mask). Polygons of fewer than three points are ignored.
        height (int): Height of the frame, in pixels.
        width (int): Width of the frame, in pixels.

    Returns:
        dict | None: RLE with ``counts`` as bytes or text; None if there is no mask.

    Raises:
        DataError: It is neither RLE nor polygons, has another size than the frame, or its counts do not add up to the
            frame's pixels.
    """
    return to_rles([segmentation], height, width)[0]


def to_rles(segmentations: Iterable[Any], height: int, width: int) -> list[dict | None]:
    """Convert many masks to compressed RLE. Their counts are checked together, so pass all masks of a video at once.

    Args:
        segmentations (Iterable[dict | list | None]): Masks of frames of one size.
        height (int): Height of the frames, in pixels.
        width (int): Width of the frames, in pixels.

    Returns:
        list[dict | None]: RLE, or None, of each mask.

    Raises:
        DataError: As :func:`to_rle`.
    """
    rles: list[dict | None] = []
    texts: list[bytes] = []
    for segmentation in segmentations:
        if not segmentation:
            rles.append(None)
        elif isinstance(segmentation, list):
            rles.append(_rasterize(segmentation, height, width))
        else:
            rles.append(_check_rle(segmentation, height, width, texts))
    _check_texts(texts, height * width)
    return rles


def _rasterize(polygons: list, height: int, width: int) -> dict:
    polygons = [polygon for polygon in polygons if _check_polygon(polygon, height, width)]
    if not polygons:
        return mask_utils.encode(np.zeros((height, width), np.uint8, order='F'))
    return mask_utils.merge(mask_utils.frPyObjects(polygons, height, width))


def _check_rle(rle: Any, height: int, width: int, texts: list[bytes]) -> dict:
    """Return compressed RLE; counts as text are not checked yet but added to ``texts``."""
    if not isinstance(rle, dict) or 'size' not in rle or 'counts' not in rle:
        raise DataError('the mask is neither RLE (dict(size, counts)) nor a list of polygons; correct the annotation '
                        'file')
    size, counts = rle['size'], rle['counts']
    if not isinstance(size, (list, tuple)) or list(size) != [height, width]:
        raise DataError(f'the mask has the size {size}, the frame {[height, width]} (height, width); the annotations '
                        'belong to frames of another size')
    if isinstance(counts, list):
        if not all(type(run) is int and 0 <= run < 2**31 for run in counts):
            raise DataError('the counts of the RLE are not all whole numbers of at least 0; correct the annotation '
                            'file')
        _check_total(sum(counts), height * width)
        return mask_utils.frPyObjects(dict(size=[height, width], counts=counts), height, width)
    text = counts.encode('latin1', 'replace') if isinstance(counts, str) else counts
    if not isinstance(text, bytes):
        raise DataError(f'the counts of the RLE are a {type(counts).__name__}; correct the annotation file')
    if text:
        texts.append(text)
    else:
        _check_total(0, height * width)
    return rle


def _check_total(total: int, num_pixels: int) -> None:
    if total != num_pixels:
        raise DataError(f'the counts of the RLE add up to {total} pixels instead of {num_pixels}; correct the '
                        'annotation file')


def _check_polygon(polygon: Any, height: int, width: int) -> bool:
    """Whether a polygon has at least three points.

    Raises:
        DataError: It is not a list of coordinates, or lies far outside of the frame: drawing it could take forever.
    """
    try:
        points = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f'a polygon is not a list of numbers ({error}); correct the annotation file') from error
    if points.ndim != 1 or len(points) % 2:
        raise DataError('a polygon is not a flat list of x and y, or has an odd number of coordinates; correct the '
                        'annotation file')
    reach = max(height, width)
    if not ((points >= -reach) & (points <= 2 * reach)).all():
        raise DataError(f'a polygon leaves its frame of {[height, width]} (height, width) by more than a frame, or '
                        'has NaN or infinite coordinates; the annotations belong to frames of another size')
    return len(points) >= 6


def _check_texts(texts: list[bytes], num_pixels: int) -> None:
    """Check that the runs of each text are not negative and add up to a frame."""
    if not texts:
        return
    batch_of = np.cumsum([len(text) for text in texts]) // _BATCH
    cuts = np.flatnonzero(np.diff(batch_of)) + 1
    for first, end in pairwise([0, *cuts, len(texts)]):
        runs, starts = decode_runs(texts[first:end])
        if runs.min() < 0:
            raise DataError('the counts of the RLE are damaged: a run is negative; correct the annotation file')
        totals = np.add.reduceat(runs, starts)
        for total in totals[totals != num_pixels][:1]:
            _check_total(int(total), num_pixels)
