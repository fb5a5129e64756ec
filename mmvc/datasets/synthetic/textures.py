# Copyright (c) The mmvc contributors. All rights reserved.
"""Tileable textures of the stuff classes and the painted surface (sprite) of a thing."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

# hue in degrees (from, to), saturation (from, to), value (from, to)
ColourRange = tuple[float, float, float, float, float, float]


def draw_colour(rng: np.random.Generator, ranges: Sequence[ColourRange]) -> np.ndarray:
    """Draw a colour from one of several ranges.

    Args:
        rng (np.random.Generator): Source of randomness.
        ranges (Sequence[ColourRange]): Ranges. One of them is chosen, all with equal probability.

    Returns:
        ndarray: BGR, float32 (3,), in [0, 255].
    """
    low_h, high_h, low_s, high_s, low_v, high_v = ranges[int(rng.integers(len(ranges)))]
    hsv = np.array([rng.uniform(low_h, high_h) % 360, rng.uniform(low_s, high_s), rng.uniform(low_v, high_v)])
    return cv2.cvtColor(hsv.astype(np.float32).reshape(1, 1, 3), cv2.COLOR_HSV2BGR).reshape(3) * 255


def smooth_noise(rng: np.random.Generator, size: int, cells: tuple[int, int]) -> np.ndarray:
    """Draw tileable noise, interpolated from a grid of random values.

    Args:
        rng (np.random.Generator): Source of randomness.
        size (int): Height and width in pixels.
        cells (tuple[int, int]): Number of random values per column and per row.

    Returns:
        ndarray: float32 (size, size), with mean 0; the standard deviation is about 0.5 before interpolation.
    """
    rows, columns = cells
    grid = rng.normal(0, 0.5, (rows, columns)).astype(np.float32)
    grid = np.pad(grid, 2, mode='wrap')
    # sample the padded grid so that pixel 0 and pixel `size` have the same value
    y = ((np.arange(size) + 0.5) * rows / size + 1.5).astype(np.float32)
    x = ((np.arange(size) + 0.5) * columns / size + 1.5).astype(np.float32)
    return cv2.remap(grid, np.tile(x, (size, 1)), np.tile(y[:, None], (1, size)), cv2.INTER_LINEAR)


def paint(first: np.ndarray, second: np.ndarray, share: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    """Mix two colours pixel by pixel.

    Args:
        first (ndarray): BGR (3,), where ``share`` is 0.
        second (ndarray): BGR (3,), where ``share`` is 1.
        share (ndarray): Fraction of the second colour, (h, w), clipped to [0, 1].
        brightness (ndarray): Factor on the result, (h, w).

    Returns:
        ndarray: uint8 (h, w, 3).
    """
    share = np.clip(share, 0, 1)[..., None].astype(np.float32)
    mixed = (first + (second - first) * share) * brightness[..., None]
    return np.clip(mixed, 0, 255).astype(np.uint8)


def clouds(rng: np.random.Generator, size: int, colour: np.ndarray) -> np.ndarray:
    """Soft, wide, pale patches."""
    cover = smooth_noise(rng, size, (6, 4)) + 0.6 * smooth_noise(rng, size, (14, 8))
    pale = 0.35 * colour + 0.65 * 245
    return paint(colour, pale, cover + rng.uniform(-0.3, 0.5), np.ones_like(cover))


def grains(rng: np.random.Generator, size: int, colour: np.ndarray) -> np.ndarray:
    """Fine specks without direction over faint patches."""
    specks = smooth_noise(rng, size, (64, 64)) + 0.6 * smooth_noise(rng, size, (100, 100))
    patches = smooth_noise(rng, size, (7, 7))
    return paint(colour, 0.45 * colour, 0.3 + 0.9 * specks, 1 + 0.15 * patches)


def ripples(rng: np.random.Generator, size: int, colour: np.ndarray) -> np.ndarray:
    """Long horizontal streaks with bright crests."""
    streaks = smooth_noise(rng, size, (48, 9)) + 0.6 * smooth_noise(rng, size, (80, 16))
    return paint(colour, 0.4 * colour + 0.6 * 230, 1.3 * streaks - 0.1, 1 + 0.2 * smooth_noise(rng, size, (24, 5)))


def windows(rng: np.random.Generator, size: int, colour: np.ndarray) -> np.ndarray:
    """A grid of windows, some lit, on a flat wall."""
    rows, columns = int(rng.integers(14, 20)), int(rng.integers(16, 24))
    centre = (np.arange(size) + 0.5) / size
    v, u = np.meshgrid(centre * rows % 1, centre * columns % 1, indexing='ij')
    window = (np.abs(u - 0.5) < rng.uniform(0.2, 0.32)) & (np.abs(v - 0.5) < rng.uniform(0.2, 0.34))
    lit = rng.random((rows, columns)) < rng.uniform(0.1, 0.4)
    row, column = (centre * rows).astype(int), (centre * columns).astype(int)
    lit = lit[np.ix_(row, column)]
    glass = np.where(lit[..., None], np.array([120, 215, 245], np.float32), 0.35 * colour).astype(np.float32)
    wall = paint(colour, colour, np.zeros_like(u), 1 + 0.08 * smooth_noise(rng, size, (32, 32)))
    return np.where(window[..., None], glass, wall).astype(np.uint8)


def sprite(rng: np.random.Generator, size: int, reach: float, pattern: Callable, colours: np.ndarray) -> np.ndarray:
    """Paint the surface of a thing in its own coordinates.

    Args:
        rng (np.random.Generator): Source of randomness.
        size (int): Height and width in pixels.
        reach (float): The sprite covers the local coordinates [-reach, reach].
        pattern (Callable): Fraction of the second colour as a function of local coordinates.
        colours (ndarray): First and second colour, BGR (2, 3).

    Returns:
        ndarray: uint8 (size, size, 3).
    """
    axis = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1) * reach
    v, u = np.meshgrid(axis, axis, indexing='ij')
    shading = 1.06 - 0.22 * np.hypot(u + 0.25, v + 0.3)  # lit from the upper left
    shading += 0.08 * smooth_noise(rng, size, (24, 24))
    return paint(colours[0], colours[1], pattern(u, v), shading)
