# Copyright (c) The mmvc contributors. All rights reserved.
"""Drawing on arrays. All images are RGB, uint8, (H, W, 3)."""

import colorsys
from typing import List, Sequence, Tuple

import cv2
import numpy as np

BACKGROUND = (24, 24, 24)
TEXT = (240, 240, 240)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def stable_colors(ids: Sequence[int]) -> np.ndarray:
    """Colours of ids: an id has the same one in every frame and video, neighbouring ids have very different ones.

    Args:
        ids (Sequence[int]): N ids, from 0.

    Returns:
        np.ndarray: uint8 (N, 3).
    """
    # steps of the golden ratio spread any number of hues evenly
    colors = [colorsys.hsv_to_rgb(i * 0.618034 % 1, 0.55 + 0.4 * (i % 2), 0.95 - 0.25 * (i // 2 % 2)) for i in ids]
    return np.rint(255 * np.array(colors).reshape(-1, 3)).astype(np.uint8)


def overlay_segments(image: np.ndarray, segments: np.ndarray, ids: Sequence[int], colors: np.ndarray,
                     alpha: float) -> np.ndarray:
    """Tint segments and draw their outlines.

    Args:
        image (np.ndarray): Image, (H, W, 3).
        segments (np.ndarray): Segment of each pixel, any integer type, (H, W).
        ids (Sequence[int]): N ids to draw; pixels of other values stay as they are.
        colors (np.ndarray): uint8 (N, 3).
        alpha (float): Strength of the tint, from 0 to 1.

    Returns:
        np.ndarray: Drawn copy, (H, W, 3).
    """
    colored = image.copy()
    drawn = np.zeros(segments.shape, bool)
    for index, color in zip(ids, colors):
        mask = segments == index
        colored[mask] = color
        drawn |= mask
    out = cv2.addWeighted(colored, alpha, image, 1 - alpha, 0)
    edges = np.zeros(segments.shape, bool)
    edges[:, :-1] |= segments[:, :-1] != segments[:, 1:]
    edges[:-1] |= segments[:-1] != segments[1:]
    edges &= drawn
    out[edges] = colored[edges] // 2  # a darker tone of the segment's own colour
    return out


def resize_width(image: np.ndarray, width: int, nearest: bool = False) -> np.ndarray:
    """Resize to a width, keeping the aspect ratio.

    Args:
        image (np.ndarray): Image or map.
        width (int): New width.
        nearest (bool): Whether the values are indices. Defaults to False.

    Returns:
        np.ndarray: Resized copy.
    """
    height = max(round(image.shape[0] * width / image.shape[1]), 1)
    if nearest:
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(image, (width, height),
                      interpolation=cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC)


def titled(image: np.ndarray, title: str, height: int = 24) -> np.ndarray:
    """Put a bar with a title above an image.

    Args:
        image (np.ndarray): Image.
        title (str): Text.
        height (int): Height of the bar. Defaults to 24.

    Returns:
        np.ndarray: (H + height, W, 3).
    """
    bar = np.full((height, image.shape[1], 3), BACKGROUND, np.uint8)
    cv2.putText(bar, title, (8, height - 7), _FONT, 0.5, TEXT, 1, cv2.LINE_AA)
    return np.concatenate([bar, image])


def legend_strip(width: int, names: Sequence[str], colors: np.ndarray) -> np.ndarray:
    """Draw a legend: colour boxes with names, in as many rows as they need.

    Args:
        width (int): Width of the strip.
        names (Sequence[str]): N names.
        colors (np.ndarray): uint8 (N, 3).

    Returns:
        np.ndarray: (rows * 22 + 8, width, 3).
    """
    row_height, box, gap = 22, 14, 8
    positions: List[Tuple[int, int]] = []
    x, row = gap, 0
    for name in names:
        needed = box + 6 + cv2.getTextSize(name, _FONT, 0.42, 1)[0][0] + 2 * gap
        if x + needed > width and x > gap:
            x, row = gap, row + 1
        positions.append((x, row))
        x += needed
    strip = np.full(((row + 1) * row_height + 8, width, 3), BACKGROUND, np.uint8)
    for name, color, (x, row) in zip(names, colors, positions):
        top = 4 + row * row_height + (row_height - box) // 2
        cv2.rectangle(strip, (x, top), (x + box, top + box), tuple(int(c) for c in color), cv2.FILLED)
        cv2.rectangle(strip, (x, top), (x + box, top + box), TEXT, 1)
        cv2.putText(strip, name, (x + box + 6, top + box - 2), _FONT, 0.42, TEXT, 1, cv2.LINE_AA)
    return strip
