# Copyright (c) The mmvc contributors. All rights reserved.
"""Parts of a frame by how much of the objects there is hidden behind others."""

from collections.abc import Iterable, Mapping

import numpy as np

#: Visible share of an object from which on it counts as clear, and below which its occlusion is severe (as in OVIS).
CLEAR, SEVERE = 0.95, 0.5


def pixels_of(ids: np.ndarray, chosen: Iterable[int]) -> np.ndarray:
    """Return where some objects are seen.

    Args:
        ids (np.ndarray): Identity of the visible object, integers (H, W), 0 = none.
        chosen (Iterable[int]): Identities, > 0.

    Returns:
        np.ndarray: bool (H, W).
    """
    return np.isin(ids, [identity for identity in chosen if identity])


def occlusion_regions(ids: np.ndarray, visible: Mapping[int, float]) -> dict[str, np.ndarray]:
    """Divide the pixels of the objects of a frame by how much of their object can be seen.

    Args:
        ids (np.ndarray): Identity of the visible object, integers (H, W), 0 = none.
        visible (Mapping[int, float]): Identity -> share of the object's pixels in the frame that nothing hides, in
            [0, 1].

    Returns:
        dict[str, np.ndarray]: bool (H, W) each: ``clear`` (at least 0.95 of the object is visible), ``occluded``
        (less), and ``severe`` (less than half; these are part of ``occluded``).
    """
    return dict(
        clear=pixels_of(ids, (identity for identity, share in visible.items() if share >= CLEAR)),
        occluded=pixels_of(ids, (identity for identity, share in visible.items() if share < CLEAR)),
        severe=pixels_of(ids, (identity for identity, share in visible.items() if share < SEVERE)))
