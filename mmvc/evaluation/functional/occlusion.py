# Copyright (c) The mmvc contributors. All rights reserved.
"""Divide a frame by the occlusion of its objects."""

from collections.abc import Iterable, Mapping

import numpy as np

#: An object is clear from the first visible share on, and severely occluded below the second (as in OVIS).
CLEAR, SEVERE = 0.95, 0.5


def pixels_of(ids: np.ndarray, chosen: Iterable[int]) -> np.ndarray:
    """Return the visible pixels of some objects.

    Args:
        ids (np.ndarray): Identity of the visible object, integers (H, W), 0 = none.
        chosen (Iterable[int]): Identities, > 0.

    Returns:
        np.ndarray: bool (H, W).
    """
    return np.isin(ids, [identity for identity in chosen if identity])


def occlusion_regions(ids: np.ndarray, visible: Mapping[int, float]) -> dict[str, np.ndarray]:
    """Divide the pixels of the objects of a frame by the visible share of the object.

    Args:
        ids (np.ndarray): Identity of the visible object, integers (H, W), 0 = none.
        visible (Mapping[int, float]): Identity -> visible share of the object's pixels in the frame, in [0, 1].

    Returns:
        dict[str, np.ndarray]: bool (H, W) each: ``clear`` (at least 0.95 of the object is visible), ``occluded``
        (less), and ``severe`` (less than half; these are part of ``occluded``).
    """
    return dict(
        clear=pixels_of(ids, (identity for identity, share in visible.items() if share >= CLEAR)),
        occluded=pixels_of(ids, (identity for identity, share in visible.items() if share < CLEAR)),
        severe=pixels_of(ids, (identity for identity, share in visible.items() if share < SEVERE)))
