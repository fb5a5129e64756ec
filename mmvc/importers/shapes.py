# Copyright (c) The mmvc contributors. All rights reserved.
"""Masks of the shapes that annotation tools draw."""

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as mask_utils

from mmvc.formats.rle import to_rle
from mmvc.utils.errors import DataError


def fill_polygon(points: Sequence[Sequence[float]], size: tuple[int, int]) -> np.ndarray:
    """Draw a filled polygon, with the rule of COCO.

    Args:
        points (Sequence[Sequence[float]]): Corners (x, y) in pixels, at least three.
        size (tuple[int, int]): Height and width of the frame.

    Returns:
        np.ndarray: Mask, bool, shape (H, W).

    Raises:
        DataError: A corner is not a pair of numbers or lies far outside of the frame, or there are fewer than three.
    """
    corners = _as_points(points)
    if len(corners) < 3:
        raise DataError(f'a polygon has {len(corners)} corners: it needs at least 3; delete it or draw it again')
    return mask_utils.decode(to_rle([corners.reshape(-1).tolist()], *size)).astype(bool)


def fill_rectangle(corners: Sequence[Sequence[float]], size: tuple[int, int]) -> np.ndarray:
    """Draw a filled rectangle whose sides are parallel to those of the frame; see :func:`fill_polygon`.

    Args:
        corners (Sequence[Sequence[float]]): Two opposite corners (x, y) in pixels.
        size (tuple[int, int]): Height and width of the frame.
    """
    points = _as_points(corners)
    if len(points) != 2:
        raise DataError(f'a rectangle has {len(points)} points instead of 2 opposite corners; draw it again')
    (left, top), (right, bottom) = points.tolist()
    return fill_polygon([(left, top), (right, top), (right, bottom), (left, bottom)], size)


def fill_circle(points: Sequence[Sequence[float]], size: tuple[int, int]) -> np.ndarray:
    """Draw a filled circle: the pixels whose centres lie in it.

    Args:
        points (Sequence[Sequence[float]]): Its centre, and a point on it, (x, y) in pixels.
        size (tuple[int, int]): Height and width of the frame.

    Returns:
        np.ndarray: Mask, bool, shape (H, W).

    Raises:
        DataError: There are not two points of two finite numbers.
    """
    center_and_edge = _as_points(points)
    if len(center_and_edge) != 2 or not np.isfinite(center_and_edge).all():
        raise DataError('a circle needs 2 points, its centre and a point on it; draw it again')
    center, edge = center_and_edge
    rows, columns = (np.arange(length) + 0.5 for length in size)
    return np.hypot(columns - center[0], rows[:, None] - center[1]) <= np.hypot(*(edge - center))


def _as_points(points: Sequence[Sequence[float]]) -> np.ndarray:
    try:
        array = np.asarray(points, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f'the points of a shape are not pairs of numbers ({error}); draw the shape again') from error
    if array.ndim != 2 or array.shape[1] != 2:
        raise DataError('the points of a shape are not pairs of numbers (x, y); draw the shape again')
    return array
