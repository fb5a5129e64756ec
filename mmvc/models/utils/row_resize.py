# Copyright (c) The mmvc contributors. All rights reserved.
"""Bilinear resizing in strips of rows, so that the whole resized image is never in memory."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class RowTaps(NamedTuple):
    """For every row of a resized image, the two rows around it, and the share of the lower one."""

    upper: Tensor
    lower: Tensor
    share: Tensor


def row_taps(size: int, new_size: int, device: torch.device) -> RowTaps:
    """Compute the positions of resized rows as ``F.interpolate(mode='bilinear', align_corners=False)`` does.

    Args:
        size (int): Rows of the image.
        new_size (int): Rows of the resized image.
        device (torch.device): Device of the result.

    Returns:
        RowTaps: int64, int64 and float32, each of shape (new_size,).
    """
    position = (torch.arange(new_size, dtype=torch.float32, device=device) + 0.5) * (size / new_size) - 0.5
    position.clamp_(min=0)
    upper = position.long()
    return RowTaps(upper, (upper + 1).clamp_(max=size - 1), position - upper)


class WideRows:
    """Rows of an image (N, h, w), bilinearly resized to another width when they are first asked for.

    Asked for from top to bottom, it resizes every row once and holds only those of the last request: on CPU they stay
    in the cache, which a whole image of many masks exceeds.

    Args:
        x (Tensor): Image, shape (N, h, w).
        width (int): Width to resize to.
        crop (int): Width of the result: what lies to the right of it is cut off.
    """

    def __init__(self, x: Tensor, width: int, crop: int) -> None:
        self._x, self._width, self._crop = x, width, crop
        self._first = self._stop = 0  # the rows held
        self._rows = x.new_empty(len(x), 0, crop)

    def get(self, first: int, stop: int) -> Tensor:
        """Resize the rows from ``first`` to ``stop`` - 1; returns them with the shape (N, stop - first, crop)."""
        if not self._first <= first < self._stop:
            self._first = self._stop = first
            self._rows = self._rows[:, :0]
        if stop > self._stop:
            new = resize_columns(self._x[:, self._stop:stop], self._width)[..., :self._crop]
            self._rows = torch.cat([self._rows[:, first - self._first:], new], dim=1)
            self._first, self._stop = first, stop
        return self._rows[:, first - self._first:stop - self._first]


def resize_rows(x: Tensor, taps: RowTaps, start: int, stop: int, first_row: int = 0) -> Tensor:
    """Compute a strip of rows of the resized image.

    Args:
        x (Tensor): Image, or the part of it from ``first_row`` on that the strip needs, shape (N, h, w).
        taps (RowTaps): Result of :func:`row_taps` for the whole image.
        start (int): First row of the strip.
        stop (int): Row after its last one.
        first_row (int): Row of the image that ``x`` begins with. Defaults to 0.

    Returns:
        Tensor: A new tensor, shape (N, stop - start, w).
    """
    upper, lower, share = (tap[start:stop] for tap in taps)
    if x.device.type == 'cpu':  # without copies of the rows on both sides
        out = x.new_empty(len(x), stop - start, x.shape[2])
        for i, (above, below, weight) in enumerate(zip(upper.tolist(), lower.tolist(), share.tolist())):
            torch.lerp(x[:, above - first_row], x[:, below - first_row], weight, out=out[:, i])
        return out
    # index_select copies whole rows; x[:, rows] copies element by element
    rows = x.index_select(1, upper - first_row)
    return rows.lerp_(x.index_select(1, lower - first_row), share[:, None])


def resize_columns(x: Tensor, width: int) -> Tensor:
    """Resize (N, h, w) to (N, h, width), bilinear; returns ``x`` itself if it has that width."""
    if x.shape[-1] == width:
        return x
    return F.interpolate(x, width, mode='linear', align_corners=False)  # half the time of 'bilinear' in one direction


def strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """Cut ``height`` rows into strips of at most ``rows``: their first row, and the row after their last."""
    return ((start, min(start + rows, height)) for start in range(0, height, rows))
