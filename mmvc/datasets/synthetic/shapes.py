# Copyright (c) The mmvc contributors. All rights reserved.
"""Outlines and surface patterns of the things, as functions of local coordinates.

``u`` (to the right) and ``v`` (down) are float arrays of equal shape. An outline returns a bool array, True inside; it
lies within the unit circle. A pattern returns the fraction of the second colour, float in [0, 1].
"""

import numpy as np
from numpy import ndarray


def disc(u: ndarray, v: ndarray) -> ndarray:
    return u * u + v * v <= 1


def square(u: ndarray, v: ndarray) -> ndarray:
    return np.maximum(np.abs(u), np.abs(v)) <= 0.707


def diamond(u: ndarray, v: ndarray) -> ndarray:
    return np.abs(u) / 0.72 + np.abs(v) <= 1


def ring(u: ndarray, v: ndarray) -> ndarray:
    squared = u * u + v * v
    return (squared <= 1) & (squared >= 0.4**2)


def petals(u: ndarray, v: ndarray) -> ndarray:
    return np.hypot(u, v) <= 0.74 + 0.26 * np.cos(5 * np.arctan2(v, u))


def fish(u: ndarray, v: ndarray) -> ndarray:
    body = ((u - 0.18) / 0.8)**2 + (v / 0.58)**2 <= 1
    tail = (u >= -0.82) & (u <= -0.3) & (np.abs(v) <= 0.55 * (-0.2 - u) / 0.62)
    return body | tail


def sectors(u: ndarray, v: ndarray) -> ndarray:
    """Six sectors around the centre, as on a beach ball."""
    return (np.sin(3 * np.arctan2(v, u)) > 0).astype(np.float32)


def planks(u: ndarray, v: ndarray) -> ndarray:
    """Boards with dark gaps, a frame and a diagonal brace."""
    gaps = np.abs((v / 0.35 + 0.5) % 1 - 0.5) < 0.12
    brace = np.abs(u - v) < 0.13
    frame = np.maximum(np.abs(u), np.abs(v)) > 0.58
    return np.where(frame | brace, 0.45, np.where(gaps, 1.0, 0.0)).astype(np.float32)


def bullseye(u: ndarray, v: ndarray) -> ndarray:
    """A disc in the centre, and veins towards the rim."""
    radius = np.hypot(u, v)
    veins = 0.3 * (np.cos(15 * np.arctan2(v, u)) > 0.4)
    return np.where(radius < 0.33, 1.0, veins).astype(np.float32)


def scales(u: ndarray, v: ndarray) -> ndarray:
    """Rows of shifted arcs, and an eye in front."""
    column = np.floor(u / 0.24)
    across = (u / 0.24) % 1 - 0.5
    along = (v / 0.24 + 0.5 * (column % 2)) % 1 - 0.5
    arcs = (np.abs(across**2 * 3 + along**2 * 2 - 0.5) < 0.22).astype(np.float32)
    return np.where(np.hypot(u - 0.62, v + 0.13) < 0.13, 1.0, 0.7 * arcs).astype(np.float32)


def quarters(u: ndarray, v: ndarray) -> ndarray:
    """Four fields in two colours, as on a kite."""
    return (u * v > 0).astype(np.float32)


def blocks(u: ndarray, v: ndarray) -> ndarray:
    """Short blocks around a ring, as on a lifebuoy or on the tread of a tyre."""
    return (np.sin(8 * np.arctan2(v, u)) > 0.3).astype(np.float32)


def plain(u: ndarray, v: ndarray) -> ndarray:
    return np.zeros_like(u, dtype=np.float32)
