# Copyright (c) The mmvc contributors. All rights reserved.
"""Structural similarity (SSIM; Wang et al., Image Quality Assessment, IEEE TIP 2004) of images and of label maps."""

import cv2
import numpy as np

from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError

K1, K2 = 0.01, 0.03
WINDOW = 7
TREATMENTS = ('classes', 'grey')


def require_window(window: int) -> None:
    """Check the side of an SSIM window.

    Raises:
        UsageError: It is not an odd number of at least 3.
    """
    check_number('window', window, 3, whole=True)
    if window % 2 == 0:
        raise UsageError(f'window must be an odd number, got {window}')


def ssim_map(first: np.ndarray, second: np.ndarray, data_range: float, window: int = WINDOW) -> np.ndarray:
    """Compute the structural similarity at every pixel.

    The settings are the defaults of ``structural_similarity`` of scikit-image, and the map is the same: uniform
    windows, sample (co)variance, K1 = 0.01, K2 = 0.03, mirrored borders.

    Args:
        first (np.ndarray): Grey image, any numeric type, shape (H, W).
        second (np.ndarray): Other image of the same shape.
        data_range (float): Largest minus smallest possible value, > 0.
        window (int): Side of the window in pixels, odd, 3 <= window <= min(H, W). Defaults to 7.

    Returns:
        np.ndarray: SSIM in [-1, 1], 1 where the images are equal, float64 (H, W).

    Raises:
        ValueError: The images differ in shape, or the window is even or larger than the images.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f'SSIM of images of shapes {first.shape} and {second.shape}: give two grey images of one '
                         'size')
    require_window(window)
    if window > min(first.shape):
        raise ValueError(f'SSIM window {window} is larger than the images of size {first.shape}: choose a smaller '
                         'one')

    def mean(image: np.ndarray) -> np.ndarray:
        return cv2.blur(image, (window, window), borderType=cv2.BORDER_REFLECT)

    x, y = first.astype(np.float64), second.astype(np.float64)
    unbiased = window**2 / (window**2 - 1)
    mean_x, mean_y = mean(x), mean(y)
    var_x = unbiased * (mean(x * x) - mean_x * mean_x)
    var_y = unbiased * (mean(y * y) - mean_y * mean_y)
    cov = unbiased * (mean(x * y) - mean_x * mean_y)
    c1, c2 = (K1 * data_range)**2, (K2 * data_range)**2
    return ((2 * mean_x * mean_y + c1) * (2 * cov + c2)) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))


def label_similarity(first: np.ndarray,
                     second: np.ndarray,
                     valid: np.ndarray,
                     treatment: str = 'classes',
                     window: int = WINDOW) -> float:
    """Compute the structural similarity of two label maps, averaged over the valid pixels.

    ``'classes'`` compares the indicator map of each class (0 or 1, data range 1). The value of a pixel is the mean of
    the SSIM in the maps of its two labels. So the order and the number of the classes do not matter, and a class that
    is far from the pixel (both maps 0, SSIM 1) does not hide a difference.

    ``'grey'`` compares the class indices as grey levels (data range 255), as if the label maps were images. A change
    from class 3 to 4 then weighs next to nothing, a change from 3 to 100 much.

    Invalid pixels are left out of the mean. In the windows of their neighbours, the two maps count as equal there.

    Args:
        first (np.ndarray): Label map, uint8 (H, W). The value 255 (no prediction) is a label like any other.
        second (np.ndarray): Other label map, uint8 (H, W).
        valid (np.ndarray): Pixels to compare, bool (H, W).
        treatment (str): ``'classes'`` or ``'grey'``. Defaults to ``'classes'``.
        window (int): Side of the window in pixels, odd. Defaults to 7.

    Returns:
        float: Mean SSIM in [-1, 1], 1 if the maps are equal. NaN if no pixel is valid.

    Raises:
        UsageError: The treatment is unknown.
        ValueError: The maps differ in size.
    """
    if treatment not in TREATMENTS:
        raise UsageError(f'treatment = {treatment!r} of label maps: expected one of {", ".join(TREATMENTS)}')
    if first.shape != second.shape or first.shape != valid.shape:
        raise ValueError(f'label maps of sizes {first.shape} and {second.shape} (valid: {valid.shape}) cannot be '
                         'compared')
    count = np.count_nonzero(valid)
    if count == 0:
        return float('nan')
    first = np.where(valid, first, second)
    if treatment == 'grey':
        return float(ssim_map(first, second, 255, window)[valid].mean())
    # where the window holds no difference, the SSIM is 1: compute it only elsewhere
    reach = cv2.dilate((first != second).view(np.uint8), np.ones((window, window), np.uint8)).view(bool) & valid
    total = 2.0 * (count - np.count_nonzero(reach))
    for label in np.unique(np.concatenate([first[reach], second[reach]])):
        x, y = first == label, second == label
        weight = reach * (x.astype(np.float64) + y)
        box = _box(weight, window)
        total += (weight[box] * ssim_map(x[box], y[box], 1.0, window))[weight[box] > 0].sum()
    return float(total / (2 * count))


def _box(weight: np.ndarray, window: int) -> tuple:
    """Crop of a map that contains all windows around pixels of positive weight; never smaller than a window."""
    slices = []
    for axis, size in ((1, weight.shape[0]), (0, weight.shape[1])):
        inside = np.flatnonzero(weight.any(axis=axis))
        start, stop = max(inside[0] - window, 0), min(inside[-1] + window + 1, size)
        slices.append(slice(start, stop))
    return tuple(slices)
