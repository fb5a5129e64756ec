# Copyright (c) The mmvc contributors. All rights reserved.
"""Masks of instances as annotation files hold them, checked before compiled code decodes them."""

from typing import Any, Optional

import numpy as np
from pycocotools import mask as mask_utils

from .errors import DataError


def to_rle(segmentation: Any, height: int, width: int) -> Optional[dict]:
    """Bring the mask of one frame to compressed RLE.

    Args:
        segmentation (dict | list | None): RLE (``size``, and ``counts`` as text, bytes or a list), a list of polygons
            [x0, y0, x1, y1, ...] in pixels, or None (no mask). Polygons of fewer than three points enclose nothing.
        height (int): Height of the frame, in pixels.
        width (int): Width of the frame, in pixels.

    Returns:
        dict | None: RLE with ``counts`` as bytes or text; None if there is no mask.

    Raises:
        DataError: It is neither RLE nor polygons, has another size than the frame, or its counts do not add up to the
            frame's pixels.
    """
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        polygons = [polygon for polygon in segmentation if _check_polygon(polygon, height, width)]
        if not polygons:
            return mask_utils.encode(np.zeros((height, width), np.uint8, order='F'))
        return mask_utils.merge(mask_utils.frPyObjects(polygons, height, width))
    if not isinstance(segmentation, dict) or not {'size', 'counts'} <= set(segmentation):
        raise DataError('the mask is neither RLE (dict(size, counts)) nor a list of polygons; correct the annotation '
                        'file')
    size, counts = segmentation['size'], segmentation['counts']
    if not isinstance(size, (list, tuple)) or list(size) != [height, width]:
        raise DataError(f'the mask has the size {size}, the frame {[height, width]} (height, width); the annotations '
                        'belong to frames of another size')
    runs = _parse_counts(counts)
    if runs.size and runs.min() < 0 or runs.sum() != height * width:
        raise DataError(f'the counts of the RLE add up to {runs.sum()} pixels instead of {height * width}, or are '
                        'negative; correct the annotation file')
    if isinstance(counts, list):
        return mask_utils.frPyObjects(dict(size=[height, width], counts=counts), height, width)
    return segmentation


def _check_polygon(polygon: Any, height: int, width: int) -> bool:
    """Whether a polygon encloses anything.

    Raises:
        DataError: It is no list of coordinates, or lies far outside of the frame, which would cost any amount of time.
    """
    try:
        points = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f'a polygon is no list of numbers ({error}); correct the annotation file') from error
    if points.ndim != 1 or len(points) % 2:
        raise DataError('a polygon is no list of x and y in turn, or has an odd number of coordinates; correct the '
                        'annotation file')
    reach = max(height, width)
    if not ((points >= -reach) & (points <= 2 * reach)).all():
        raise DataError(f'a polygon leaves its frame of {[height, width]} (height, width) by more than a frame, or '
                        'has coordinates that are not finite; the annotations belong to frames of another size')
    return len(points) >= 6


def _parse_counts(counts: Any) -> np.ndarray:
    """Lengths of the runs, int64.

    As text, a run is its difference to the one before last (from the fourth on), in groups of 5 bits, the lowest
    first, each in a character from '0' on whose 6th bit says that another one follows; the last group's 5th bit is the
    sign.
    """
    if isinstance(counts, list):
        if not all(type(run) is int and 0 <= run < 2**31 for run in counts):
            raise DataError('the counts of the RLE are not all whole numbers; correct the annotation file')
        return np.array(counts, dtype=np.int64)
    text = counts.encode('latin1', 'replace') if isinstance(counts, str) else counts
    if not isinstance(text, bytes):
        raise DataError(f'the counts of the RLE are a {type(counts).__name__}; correct the annotation file')
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if codes.size and (codes.min() < 0 or codes.max() > 63 or codes[-1] & 32):
        raise DataError('the counts of the RLE are damaged or cut off; correct the annotation file')
    ends = np.flatnonzero(codes < 32)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)[:len(ends)]
    groups = np.repeat(np.arange(len(ends)), ends - starts + 1)
    shifts = 5 * (np.arange(len(codes)) - starts[groups])
    if codes.size and shifts.max() > 30:
        raise DataError('the counts of the RLE are damaged: a run has too many digits; correct the annotation file')
    runs = np.zeros(len(ends), dtype=np.int64)
    np.add.at(runs, groups, (codes & 31) << shifts)
    runs -= (codes[ends] >> 4 & 1) << (shifts[ends] + 5)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
