# Copyright (c) The mmvc contributors. All rights reserved.
"""Boxes of Label Studio: rectangles that may be turned, and their positions between the keyframes of a video."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmvc.formats.json_files import find_fault
from mmvc.utils.errors import DataError

from .shapes import fill_polygon

_SIDES = ('x', 'y', 'width', 'height', 'rotation')
_BOX = {'x': float, 'y': float, 'width': float, 'height': float, 'rotation?': float}
_TRACK = {'sequence': [{**_BOX, 'frame': int, 'enabled?': bool}], 'framesCount?': int}
_TOLERATED_DIFFERENCE = 2  # frames


def fill_box(box: Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Draw a box.

    Args:
        box (Mapping[str, Any]): Its left upper corner ``x``, ``y``, and its ``width`` and ``height``, in percent of
            the frame's; and ``rotation``, in degrees clockwise around that corner.
        size (tuple[int, int]): Height and width of the frame, in pixels.

    Returns:
        np.ndarray: Mask, bool, shape (H, W).

    Raises:
        DataError: A key is missing, or the box lies far outside of the frame.
    """
    fault = find_fault(box, _BOX)
    if fault is not None:
        raise DataError(f'the box{fault}: draw it again')
    height, width = size
    x, y, w, h = (box[key] / 100 * length for key, length in zip(_SIDES, (width, height, width, height)))
    angle = math.radians(box.get('rotation') or 0)
    cos, sin = math.cos(angle), math.sin(angle)
    corners = ((0, 0), (w, 0), (w, h), (0, h))
    return fill_polygon([(x + cos * across - sin * down, y + sin * across + cos * down) for across, down in corners],
                        size)


class BoxTrack:
    """Box of an object of a video in each frame.

    Label Studio stores the box at keyframes. After a keyframe that is enabled, the box moves evenly to the next one,
    or stays if there is none; after one that is not, the object is hidden until the next one.

    Args:
        value (Mapping[str, Any]): ``sequence``, the keyframes, whose ``frame`` counts from 1; and ``framesCount``.
        num_frames (int): Number of frames of the video file. If it is not about ``framesCount``, the frame rate that
            was set in Label Studio is not that of the video; then its numbers of frames are converted.

    Raises:
        DataError: A key is missing, or a keyframe lies behind the end of the video.
    """

    def __init__(self, value: Mapping[str, Any], num_frames: int) -> None:
        fault = find_fault(value, _TRACK)
        if fault is not None:
            raise DataError(f'the boxes of the video{fault}: export again, in the format JSON')
        count = value.get('framesCount') or num_frames
        self._keyframes = sorted(value['sequence'], key=lambda box: box['frame'])
        self._numbers = [box['frame'] for box in self._keyframes]
        if self._numbers and (self._numbers[0] < 1 or self._numbers[-1] > max(count, num_frames)):
            raise DataError(f'the boxes have keyframes from {self._numbers[0]} to {self._numbers[-1]}, but the video '
                            f'has {num_frames} frames: give the video that was labelled')
        self._scale = 1 if abs(count - num_frames) <= _TOLERATED_DIFFERENCE else count / num_frames

    def box_at(self, index: int) -> dict[str, float] | None:
        """The box in a frame.

        Args:
            index (int): Position of the frame in the video file, from 0.

        Returns:
            dict[str, float] | None: See :func:`fill_box`; None if the object is not visible.
        """
        number = 1 + index * self._scale
        following = bisect_right(self._numbers, number)
        if following == 0:
            return None
        last = self._keyframes[following - 1]
        if not last.get('enabled', True) and number - last['frame'] >= self._scale:
            return None
        box = {key: float(last.get(key) or 0) for key in _SIDES}
        if following == len(self._keyframes) or number == last['frame']:
            return box
        then = self._keyframes[following]
        share = (number - last['frame']) / (then['frame'] - last['frame'])
        return {key: (1 - share) * box[key] + share * float(then.get(key) or 0) for key in _SIDES}
