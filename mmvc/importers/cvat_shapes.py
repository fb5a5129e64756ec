# Copyright (c) The mmvc contributors. All rights reserved.
"""Masks of the shapes in the XML files of CVAT."""

import math

import numpy as np

from mmvc.utils.errors import DataError

from .cvat_document import Shape
from .shapes import fill_polygon


def mask_of(shape: Shape, size: tuple[int, int]) -> np.ndarray:
    """Draw a shape.

    Args:
        shape (Shape): Box (with ``rotation``), polygon, ellipse or mask.
        size (tuple[int, int]): Height and width of the frame.

    Returns:
        np.ndarray: Mask, bool, shape (H, W).

    Raises:
        DataError: A value is missing or no number, or the shape lies outside of the frame.
    """
    return dict(box=_box, polygon=_polygon, ellipse=_ellipse, mask=_mask)[shape.kind](shape, size)


def _box(shape: Shape, size: tuple[int, int]) -> np.ndarray:
    left, top, right, bottom = (_number(shape, key) for key in ('xtl', 'ytl', 'xbr', 'ybr'))
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    angle = _angle(shape)
    if angle:
        center = corners.mean(axis=0)
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        corners = (corners - center) @ turn + center
    return fill_polygon(corners.tolist(), size)


def _polygon(shape: Shape, size: tuple[int, int]) -> np.ndarray:
    try:
        points = [[float(number) for number in point.split(',')] for point in _text(shape, 'points').split(';')]
    except ValueError as error:
        raise DataError(f'its points are not written as "x,y;x,y;..." ({error}): export the file again') from error
    return fill_polygon(points, size)


def _ellipse(shape: Shape, size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie in the ellipse."""
    center_x, center_y, radius_x, radius_y = (_number(shape, key) for key in ('cx', 'cy', 'rx', 'ry'))
    if not (radius_x > 0 and radius_y > 0):
        raise DataError(f'its radii are {radius_x:g} and {radius_y:g}: they must be above 0; draw it again')
    angle = _angle(shape)
    rows, columns = (np.arange(length) + 0.5 for length in size)
    right, down = columns[None] - center_x, rows[:, None] - center_y
    along = (right * math.cos(angle) + down * math.sin(angle)) / radius_x
    across = (down * math.cos(angle) - right * math.sin(angle)) / radius_y
    return along**2 + across**2 <= 1


def _mask(shape: Shape, size: tuple[int, int]) -> np.ndarray:
    """Runs of the pixels of a box, row by row: background, mask, background, ..."""
    left, top, width, height = (_whole(shape, key) for key in ('left', 'top', 'width', 'height'))
    if left + width > size[1] or top + height > size[0]:
        raise DataError(f'its box (left, top, width, height = {left}, {top}, {width}, {height}) leaves the frame of '
                        f'{size} (height, width): the labels are for frames of another size')
    try:
        runs = np.array(_text(shape, 'rle').split(','), np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f'its rle is not a list of whole numbers ({error}): export the file again') from error
    if runs.min() < 0 or runs.max() > width * height or runs.sum() != width * height:
        raise DataError(f'the numbers of its rle do not add up to the {width * height} pixels of its box: export the '
                        'file again')
    mask = np.zeros(size, bool)
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    mask[top:top + height, left:left + width] = values.reshape(height, width)
    return mask


def _angle(shape: Shape) -> float:
    """Rotation in radians, clockwise."""
    return math.radians(_number(shape, 'rotation') if 'rotation' in shape.values else 0.)


def _text(shape: Shape, key: str) -> str:
    if key not in shape.values:
        raise DataError(f'it has no "{key}": export the file again')
    return shape.values[key]


def _number(shape: Shape, key: str) -> float:
    text = _text(shape, key)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f'its "{key}" is "{text[:20]}", not a number: export the file again')
    return value


def _whole(shape: Shape, key: str) -> int:
    text = _text(shape, key)
    if not text.isdecimal() or len(text) > 9:
        raise DataError(f'its "{key}" is "{text[:20]}", not a whole number of at least 0: export the file again')
    return int(text)
