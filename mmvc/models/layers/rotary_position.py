# Copyright (c) The mmvc contributors. All rights reserved.
"""Rotary position embedding of image patches: Siméoni et al., "DINOv3" (arXiv 2508.10104), section 3.2."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..utils.exporting import is_exporting


class Rotation(NamedTuple):
    """Cosines and sines of the angles by which queries and keys of patches are rotated, both (h * w, d), float32."""

    cos: Tensor
    sin: Tensor


class RotaryPosition(nn.Module):
    """Angles that tell attention where patches are.

    The centre of a patch has coordinates (y, x) in (-1, 1). The angles are 2 pi times each coordinate times d / 4
    frequencies from 1 down to nearly 1 / ``base``. In training, one random factor per call scales all coordinates, so
    that the network learns to work at other resolutions; see :meth:`draw_log_rescale`. Everything is computed in
    float32, also under autocast.

    Args:
        head_dims (int): Channels d of an attention head; a multiple of 4.
        base (float): Ratio of the highest frequency to the lowest. Defaults to 100.
        max_rescale (float): The random factor is between 1 / ``max_rescale`` and ``max_rescale``, log-uniform.
            Defaults to 2; 1 turns it off.

    Raises:
        ValueError: ``head_dims`` is not a multiple of 4, or ``max_rescale`` is less than 1.
    """

    def __init__(self, head_dims: int, base: float = 100., max_rescale: float = 2.) -> None:
        super().__init__()
        if head_dims % 4:
            raise ValueError(f'rotary positions need heads with a multiple of 4 channels, got {head_dims}: change '
                             'embed_dims or num_heads')
        if max_rescale < 1:
            raise ValueError(f'`max_rescale` of rotary positions is at least 1, got {max_rescale}')
        self.head_dims = head_dims
        self.base = base
        self.max_rescale = max_rescale

    def forward(self, grid: tuple[int, int], device: torch.device, log_rescale: Tensor | None = None) -> Rotation:
        """Compute the angles of all patches of an image.

        Args:
            grid (tuple[int, int]): Patches (rows h, columns w).
            device (torch.device): Device of the result.
            log_rescale (Tensor, optional): Logarithm of the factor of the coordinates, from :meth:`draw_log_rescale`.
                Defaults to None: no factor.

        Returns:
            Rotation: Cosines and sines, row by row.
        """
        with torch.autocast(device.type, enabled=False):
            y, x = (2 * (torch.arange(size, device=device, dtype=torch.float32) + 0.5) / size - 1 for size in grid)
            centres = torch.stack(torch.meshgrid(y, x, indexing='ij'), dim=-1).flatten(0, 1)  # (h * w, 2)
            if log_rescale is not None:
                centres = centres * log_rescale.exp()
            steps = torch.arange(self.head_dims // 4, device=device, dtype=torch.float32)
            frequencies = self.base**(-4 * steps / self.head_dims)
            angles = (2 * math.pi * centres[:, :, None] * frequencies).flatten(1).repeat(1, 2)  # (h * w, d)
            return Rotation(angles.cos(), angles.sin())

    def draw_log_rescale(self, device: torch.device) -> Tensor:
        """Draw the logarithm of the factor of a training step, shape (1,)."""
        limit = math.log(self.max_rescale)
        return torch.empty(1, device=device).uniform_(-limit, limit)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate the queries or keys of patches.

    Args:
        x (Tensor): Shape (B, heads, N, d). The patches are the last tokens; those before them stay unchanged.
        rotation (Rotation): Angles of the patches.

    Returns:
        Tensor: The same shape and dtype.
    """
    num_others = x.shape[-2] - rotation.cos.shape[0]  # len() would fix the size of an exported graph
    if not torch.is_grad_enabled() and x.dtype == torch.float32 and not is_exporting():
        return _rotate_copy(x, rotation, num_others)
    patches = x[..., num_others:, :]
    first, second = patches.chunk(2, dim=-1)
    turned = patches * rotation.cos + torch.cat([-second, first], dim=-1) * rotation.sin
    return torch.cat([x[..., :num_others, :], turned.to(x.dtype)], dim=-2)


def _rotate_copy(x: Tensor, rotation: Rotation, num_others: int) -> Tensor:
    """:func:`rotate` in place on a copy, in a third of the time; autograd would not allow it."""
    half = x.shape[-1] // 2
    (cos, sin), out = (table[:, :half] for table in rotation), x.clone()  # both halves of a table are equal
    first, second = x[..., num_others:, :half], x[..., num_others:, half:]
    out[..., num_others:, :half].mul_(cos).addcmul_(second, sin, value=-1)
    out[..., num_others:, half:].mul_(cos).addcmul_(first, sin)
    return out
