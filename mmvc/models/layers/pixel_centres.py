# Copyright (c) The mmvc contributors. All rights reserved.
import torch
from torch import Tensor


def pixel_centres(height: int, width: int, device: torch.device) -> Tensor:
    """Compute the centres of all pixels of a map, row by row.

    Args:
        height (int): Rows of the map; in an exported graph it may be a symbol.
        width (int): Columns of the map.
        device (torch.device): Device of the result.

    Returns:
        Tensor: (x, y) in [0, 1], shape (height * width, 2).
    """
    y = (torch.arange(height, device=device) + 0.5) / height
    x = (torch.arange(width, device=device) + 0.5) / width
    y, x = torch.meshgrid(y, x, indexing='ij')
    return torch.stack([x, y], dim=-1).flatten(0, 1)
