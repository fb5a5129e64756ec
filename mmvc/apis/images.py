# Copyright (c) The mmvc contributors. All rights reserved.
"""Images in memory: arrays (BGR), tensors (RGB) and PIL images."""

from typing import Any

import numpy as np
import torch
from PIL import Image

ImageInput = np.ndarray | torch.Tensor | Image.Image
_WANTED = ('frames must be PIL images, RGB tensors (3, H, W) of uint8 or of floats from 0 to 1, or non-empty uint8 '
           'arrays (H, W, 3) in BGR')


def is_image(item: Any) -> bool:
    """Whether an input is one image by its type and number of axes. Its values may still be wrong."""
    return isinstance(item, Image.Image) or isinstance(item, (np.ndarray, torch.Tensor)) and item.ndim == 3


def is_video(item: Any) -> bool:
    """Whether an input is an array (T, H, W, 3) or a tensor (T, 3, H, W) by its number of axes."""
    return isinstance(item, (np.ndarray, torch.Tensor)) and item.ndim == 4


def to_bgr(image: Any) -> np.ndarray:
    """Convert an image in memory to the form that frames have here.

    Args:
        image (ndarray | Tensor | Image): An array (H, W, 3), uint8, BGR as OpenCV reads it, which is returned as it
            is; a tensor (3, H, W), RGB, uint8 or floats from 0 to 1; or a PIL image of any mode.

    Returns:
        ndarray: BGR, uint8, (H, W, 3).

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(image, Image.Image):
        return np.ascontiguousarray(np.asarray(image.convert('RGB'))[..., ::-1])
    if isinstance(image, torch.Tensor):
        return _from_tensor(image)
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3 and image.size \
            and image.dtype == np.uint8:
        return image
    found = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else type(image).__name__
    raise ValueError(f'{_WANTED}, found {found}')


def _from_tensor(image: torch.Tensor) -> np.ndarray:
    if image.ndim != 3 or image.shape[0] != 3 or not image.numel() \
            or not (image.dtype == torch.uint8 or image.dtype.is_floating_point):
        raise ValueError(f'{_WANTED}, found a tensor {tuple(image.shape)} of {image.dtype}')
    image = image.detach()
    if image.dtype != torch.uint8:
        low, high = image.min().item(), image.max().item()
        if not (low >= 0 and high <= 1):  # NaN as well
            remedy = 'divide it by 255' if low >= 0 and 128 <= high <= 255 else 'undo its normalisation'
            raise ValueError(f'{_WANTED}, found a tensor with values from {low:g} to {high:g}; {remedy}')
        image = (image.float() * 255).round().to(torch.uint8)
    return np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()[..., ::-1])
