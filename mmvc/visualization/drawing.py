# Copyright (c) The mmvc contributors. All rights reserved.
"""Functions that draw on images. All images are RGB, uint8, (H, W, 3)."""

from collections.abc import Sequence

import cv2
import numpy as np

from mmvc.utils.normalisation import IMAGENET_MEAN

from .text import TEXT, shortened, text_scale, text_size, write_texts

BACKGROUND = (24, 24, 24)
_TITLE_SIZE = 13
_LEGEND_SIZE = 12
_MAX_STRIPES = 6


def overlay_segments(image: np.ndarray, segments: np.ndarray, ids: Sequence[int],
                     colors: np.ndarray | Sequence[np.ndarray], alpha: float) -> np.ndarray:
    """Tint segments and draw their outlines, whose width grows with the picture, see :func:`text_scale`.

    Args:
        image (np.ndarray): Image, (H, W, 3).
        segments (np.ndarray): Segment id of each pixel, any integer type, (H, W).
        ids (Sequence[int]): N ids to draw. Pixels with other ids are not changed.
        colors (np.ndarray | Sequence[np.ndarray]): N colours, uint8 (3, ).
        alpha (float): Opacity of the tint, from 0 to 1.

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
    width = round(text_scale(image))
    if width > 1:
        edges = cv2.dilate(edges.astype(np.uint8), np.ones((width, width), np.uint8)).astype(bool)
    edges &= drawn
    out[edges] = colored[edges] // 2  # a darker tone of the segment's colour
    return out


def outline_region(image: np.ndarray, region: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Draw a line along the border of a region, inside it.

    Args:
        image (np.ndarray): Image, (H, W, 3).
        region (np.ndarray): bool (H, W).
        color (tuple[int, int, int]): Colour of the line.

    Returns:
        np.ndarray: Drawn copy, (H, W, 3).
    """
    inner = cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE) > 0
    out = image.copy()
    out[region & ~inner] = color
    return out


def hide_pixels(image: np.ndarray, hidden: np.ndarray, color: Sequence[float] = IMAGENET_MEAN) -> np.ndarray:
    """Mask an image as Masked Video Consistency does: masked pixels get the mean colour of the model.

    Args:
        image (np.ndarray): Image, (H, W, 3).
        hidden (np.ndarray): bool (h, w), True = masked. It is resized to the size of the image.
        color (Sequence[float]): Colour of masked pixels. Defaults to the mean of ImageNet.

    Returns:
        np.ndarray: Masked copy, (H, W, 3).
    """
    hidden = cv2.resize(hidden.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    out = image.copy()
    out[hidden] = np.clip(np.rint(color), 0, 255)
    return out


def resize_width(image: np.ndarray, width: int, nearest: bool = False) -> np.ndarray:
    """Resize to a given width, keeping the aspect ratio.

    Args:
        image (np.ndarray): Image or map.
        width (int): New width.
        nearest (bool): Whether the values are ids, which must not be interpolated. Defaults to False.

    Returns:
        np.ndarray: Resized copy.
    """
    height = max(round(image.shape[0] * width / image.shape[1]), 1)
    if nearest:
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(image, (width, height),
                      interpolation=cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC)


def titled(image: np.ndarray, title: str, height: int | None = None) -> np.ndarray:
    """Put a bar with a title above an image.

    Args:
        image (np.ndarray): Image.
        title (str): Text; it is cut if it is too long.
        height (int, optional): Height of the bar. Defaults to None: 24, more for large images, see
            :func:`text_scale`.

    Returns:
        np.ndarray: (H + height, W, 3).
    """
    scale = text_scale(image)
    size = round(_TITLE_SIZE * scale)
    height = round(24 * scale) if height is None else height
    bar = np.full((height, image.shape[1], 3), BACKGROUND, np.uint8)
    text = shortened(title, image.shape[1] - 12, size)
    bar = write_texts(bar, [(text, 6, (height - text_size(text, size)[1]) // 2)], size)
    return np.concatenate([bar, image])


def legend_strip(width: int, names: Sequence[str],
                 colors: np.ndarray | Sequence[np.ndarray | Sequence[int]], scale: float = 1.) -> np.ndarray:
    """Draw a legend of coloured boxes with names, in as many rows as needed.

    Args:
        width (int): Width of the strip.
        names (Sequence[str]): N names.
        colors (np.ndarray | Sequence): One colour (3,) per name, or several (k, 3), of which the first six are drawn
            as stripes; uint8.
        scale (float): Factor for boxes and letters, see :func:`text_scale`. Defaults to 1.

    Returns:
        np.ndarray: (rows * 22 + 8, width, 3), times the scale.
    """
    row_height, box, gap, stripe, margin, size = (round(length * scale) for length in (22, 14, 8, 6, 4, _LEGEND_SIZE))
    positions: list[tuple[int, int]] = []
    stripes = [np.asarray(color, np.uint8).reshape(-1, 3)[:_MAX_STRIPES] for color in colors]
    widths = [box + stripe * (len(colors_of_name) - 1) for colors_of_name in stripes]
    names = [shortened(name, width - box_width - stripe - 3 * gap, size) for name, box_width in zip(names, widths)]
    x, row = gap, 0
    for name, box_width in zip(names, widths):
        needed = box_width + stripe + text_size(name, size)[0] + 2 * gap
        if x + needed > width and x > gap:
            x, row = gap, row + 1
        positions.append((x, row))
        x += needed
    strip = np.full(((row + 1) * row_height + 2 * margin, width, 3), BACKGROUND, np.uint8)
    texts = []
    for name, box_width, colors_of_name, (x, row) in zip(names, widths, stripes, positions):
        top = margin + row * row_height + (row_height - box) // 2
        strip[top:top + box + 1, x:x + box_width + 1] = TEXT
        inside = strip[top + 1:top + box, x + 1:x + box_width]
        inside[:] = colors_of_name[np.arange(inside.shape[1]) * len(colors_of_name) // max(inside.shape[1], 1)]
        texts.append((name, x + box_width + stripe, margin + row * row_height + round(3 * scale)))
    return write_texts(strip, texts, size)
