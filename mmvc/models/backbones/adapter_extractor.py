# Copyright (c) The mmvc contributors. All rights reserved.
"""Extractors of a ViT-Adapter: its spatial tokens attend to the patches of the transformer.

Source: Chen et al., "Vision Transformer Adapter for Dense Predictions", ICLR 2023, section 3.4, Eqs. 2 and 3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import MultiScaleDeformableAttention
from ..layers.pixel_centres import pixel_centres
from ..utils.exporting import is_exporting


class TokenGeometry(NamedTuple):
    """Positions of the tokens of one image size; the same for all extractors of a forward pass."""

    query_shapes: Sequence[tuple[int, int]]
    """(H_l, W_l) of each level of the spatial tokens; the levels follow one another in one sequence."""
    reference_points: Tensor
    """Centres (x, y) of the spatial tokens in [0, 1], shape (1, N, 1, 2)."""
    value_shapes: Tensor | Sequence[tuple[int, int]]
    """(H, W) of the transformer's patches, int64, shape (1, 2); the numbers in an exported graph."""
    value_start: Tensor
    """Index of the first patch, int64, shape (1,)."""

    @classmethod
    def build(cls, query_shapes: Sequence[tuple[int, int]], value_shape: tuple[int, int],
              device: torch.device) -> 'TokenGeometry':
        """Compute the centres of all tokens.

        Args:
            query_shapes (Sequence[tuple[int, int]]): (H_l, W_l) of each level of the spatial tokens.
            value_shape (tuple[int, int]): (H, W) of the transformer's patches.
            device (torch.device): Device of the tensors.

        Returns:
            TokenGeometry: The positions.
        """
        centres = [pixel_centres(height, width, device) for height, width in query_shapes]
        value_shapes = [value_shape] if is_exporting() else torch.tensor([value_shape], device=device)
        return cls(query_shapes,
                   torch.cat(centres)[None, :, None], value_shapes, torch.zeros(1, dtype=torch.int64, device=device))


class DepthwiseConv(nn.Module):
    """A 3 x 3 depthwise convolution shared by all levels of a token sequence.

    Args:
        channels (int): Channels of a token.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels)

    def forward(self, x: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
        """(B, sum(H_l * W_l), C) to the same shape; ``shapes`` are the (H_l, W_l)."""
        levels = x.transpose(1, 2).split([h * w for h, w in shapes], dim=2)
        levels = [self.dwconv(level.unflatten(2, shape)).flatten(2) for level, shape in zip(levels, shapes)]
        return torch.cat(levels, dim=2).transpose(1, 2)


class ConvFFN(nn.Module):
    """Feed-forward network with a depthwise convolution before its GELU.

    Args:
        embed_dims (int): Channels C of a token.
        hidden_dims (int): Channels in between.
    """

    def __init__(self, embed_dims: int, hidden_dims: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dims, hidden_dims)
        self.dwconv = DepthwiseConv(hidden_dims)
        self.fc2 = nn.Linear(hidden_dims, embed_dims)

    def forward(self, x: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
        """(B, sum(H_l * W_l), C) to the same shape; ``shapes`` are the (H_l, W_l)."""
        return self.fc2(F.gelu(self.dwconv(self.fc1(x), shapes)))


class Extractor(nn.Module):
    """Deformable cross-attention from the spatial tokens to the transformer's patches, then a convolutional FFN.

    Args:
        embed_dims (int): Channels C of a token.
        num_heads (int): Heads of the deformable attention; divides C.
        num_points (int): Positions that a head samples.
        ffn_ratio (float): Hidden channels of the FFN in multiples of C.
    """

    def __init__(self, embed_dims: int, num_heads: int, num_points: int = 4, ffn_ratio: float = 0.25) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.feat_norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = MultiScaleDeformableAttention(
            embed_dims, num_heads, num_levels=1, num_points=num_points, dropout=0., batch_first=True)
        self.ffn_norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.ffn = ConvFFN(embed_dims, int(ffn_ratio * embed_dims))

    def forward(self, queries: Tensor, patches: Tensor, geometry: TokenGeometry) -> Tensor:
        """Update the spatial tokens.

        Args:
            queries (Tensor): Spatial tokens, shape (B, N, C).
            patches (Tensor): Patch tokens of the transformer, shape (B, H * W, C).
            geometry (TokenGeometry): Positions of both.

        Returns:
            Tensor: Spatial tokens, shape (B, N, C).
        """
        queries = self.attn(
            self.query_norm(queries),
            value=self.feat_norm(patches),
            identity=queries,
            reference_points=geometry.reference_points.expand(len(queries), -1, -1, -1),
            spatial_shapes=geometry.value_shapes,
            level_start_index=geometry.value_start)
        return queries + self.ffn(self.ffn_norm(queries), geometry.query_shapes)


class Interaction(nn.Module):
    """The extractors that follow one group of transformer layers.

    Args:
        embed_dims (int): Channels C of a token.
        num_heads (int): Heads of the deformable attention; divides C.
        num_extra (int): Number of extractors after the first; they attend to the same patches.
    """

    def __init__(self, embed_dims: int, num_heads: int, num_extra: int = 0) -> None:
        super().__init__()
        self.extractor = Extractor(embed_dims, num_heads)
        self.extra_extractors = nn.ModuleList(Extractor(embed_dims, num_heads) for _ in range(num_extra))

    def forward(self, queries: Tensor, patches: Tensor, geometry: TokenGeometry) -> Tensor:
        """See :meth:`Extractor.forward`."""
        for extractor in (self.extractor, *self.extra_extractors):
            queries = extractor(queries, patches, geometry)
        return queries
