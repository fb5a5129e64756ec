# Copyright (c) The mmvc contributors. All rights reserved.
"""Where queries meet patches: in the last blocks of the encoder, or in a decoder on top of it."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvc.registry import MODELS

from ..backbones.plain_vit import PlainViT
from ..layers.rotary_position import RotaryPosition, Rotation
from ..layers.transformer_block import TransformerBlock


class FrameTokens(NamedTuple):
    """What the queries of a frame are joined to."""

    tokens: Tensor
    """Prefix tokens (class, registers) and patches, shape (N, R + h w, D)."""
    grid: tuple[int, int]
    """Patches (rows h, columns w)."""
    rotation: Rotation | None
    """Rotation of the patches inside the blocks that the queries pass."""


class QueryDecoder(BaseModule):
    """Base class: computes the tokens of frames, and holds the blocks that queries and tokens pass together."""

    #: Whether the queries that go to the next frame are normalised, and the auxiliary predictions too.
    norm_queries = False

    @abstractmethod
    def find_rotary(self, encoder: PlainViT) -> RotaryPosition | None:
        """The rotary positions of the blocks that the queries pass. None if they have none."""

    @abstractmethod
    def encode(self, encoder: PlainViT, images: Tensor, log_rescale: Tensor | None = None) -> Sequence[Tensor]:
        """Compute the part that does not depend on the decoder's weights, so that a frozen encoder's can be kept.

        Args:
            encoder (PlainViT): The encoder.
            images (Tensor): Normalised, padded images, shape (N, 3, H, W).
            log_rescale (Tensor, optional): See :meth:`RotaryPosition.forward`. Defaults to None.

        Returns:
            Sequence[Tensor]: Tensors of shape (N, R + h w, D), the input of :meth:`tokens`.
        """

    @abstractmethod
    def tokens(self,
               encoder: PlainViT,
               encoded: Sequence[Tensor],
               grid: tuple[int, int],
               log_rescale: Tensor | None = None) -> FrameTokens:
        """Compute the tokens that queries are joined to.

        Args:
            encoder (PlainViT): The encoder.
            encoded (Sequence[Tensor]): Output of :meth:`encode`.
            grid (tuple[int, int]): Patches (rows, columns).
            log_rescale (Tensor, optional): See :meth:`RotaryPosition.forward`. Defaults to None.

        Returns:
            FrameTokens: Tokens of N frames.
        """

    @abstractmethod
    def joint_blocks(self, encoder: PlainViT) -> nn.ModuleList:
        """The blocks that queries and tokens pass together."""

    @abstractmethod
    def final_norm(self, encoder: PlainViT) -> nn.Module:
        """The layer norm before the heads."""


@MODELS.register_module()
class JointBlocks(QueryDecoder):
    """Queries join the patches for the last blocks of the encoder; there is no decoder.

    Sources: EoMT, arXiv 2503.19108 (images); VidEoMT, arXiv 2602.17807 (video).

    Args:
        encoder (PlainViT): The encoder.
        num_blocks (int): Blocks of the encoder that the queries pass. Defaults to 4.
        norm_queries (bool): Whether the queries that go to the next frame are normalised, and auxiliary predictions
            are made from normalised tokens (VidEoMT with DINOv3 on VSPW and VIPSeg). Defaults to False.

    Raises:
        ValueError: The encoder has fewer blocks.
    """

    def __init__(self, encoder: PlainViT, num_blocks: int = 4, norm_queries: bool = False) -> None:
        super().__init__()
        if not 1 <= num_blocks <= len(encoder.blocks):
            raise ValueError(f'`num_blocks` of JointBlocks is between 1 and the {len(encoder.blocks)} blocks of the '
                             f'encoder, got {num_blocks}')
        self.num_blocks = num_blocks
        self.norm_queries = norm_queries

    def find_rotary(self, encoder: PlainViT) -> RotaryPosition | None:
        """Those of the encoder; see the base class."""
        return encoder.rotary

    def encode(self, encoder: PlainViT, images: Tensor, log_rescale: Tensor | None = None) -> Sequence[Tensor]:
        """Pass the first blocks; see the base class."""
        x = encoder.embed(images)
        rotation = encoder.rotation(encoder.grid_of(images), log_rescale)
        for block in encoder.blocks[:-self.num_blocks]:
            x = block(x, rotation)
        return (x, )

    def tokens(self,
               encoder: PlainViT,
               encoded: Sequence[Tensor],
               grid: tuple[int, int],
               log_rescale: Tensor | None = None) -> FrameTokens:
        """The output of :meth:`encode`; see the base class."""
        return FrameTokens(encoded[0], grid, encoder.rotation(grid, log_rescale))

    def joint_blocks(self, encoder: PlainViT) -> nn.ModuleList:
        """The last blocks of the encoder; see the base class."""
        return encoder.blocks[-self.num_blocks:]

    def final_norm(self, encoder: PlainViT) -> nn.Module:
        """The layer norm of the encoder; see the base class."""
        return encoder.norm


@MODELS.register_module()
class LateralDecoder(QueryDecoder):
    """A plain decoder on the sum of four projected levels of the encoder, which can stay frozen.

    Sources: PMT, arXiv 2603.25398, and LVMT, arXiv 2609.34895.

    Args:
        encoder (PlainViT): The encoder.
        levels (Sequence[int]): Blocks of the encoder, counted from 0, whose output is a level.
        num_blocks (int): Blocks of the decoder. Defaults to 6.
        mlp_dims (int, optional): Hidden channels of the decoder's MLPs. Defaults to the channels of the encoder.

    Raises:
        ValueError: The encoder lacks a level.
    """

    def __init__(self,
                 encoder: PlainViT,
                 levels: Sequence[int],
                 num_blocks: int = 6,
                 mlp_dims: int | None = None) -> None:
        super().__init__()
        depth = len(encoder.blocks)
        if not levels or list(levels) != sorted(set(levels)) or not 0 <= levels[0] <= levels[-1] < depth:
            raise ValueError(f'`levels` of LateralDecoder are blocks of the encoder from 0 to {depth - 1}, in '
                             f'ascending order; got {list(levels)}')
        dims = encoder.embed_dims
        self.levels = tuple(levels)
        self.level_norms = nn.ModuleList(nn.BatchNorm1d(dims) for _ in levels)
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(dims, dims // 2), nn.GELU(), nn.Linear(dims // 2, dims)) for _ in levels)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(dims)) for _ in levels)
        self.rotary = RotaryPosition(dims // encoder.num_heads)
        self.blocks = nn.ModuleList(
            TransformerBlock(dims, encoder.num_heads, mlp_dims or dims, eps=1e-5, key_bias=False, layer_scale=1.)
            for _ in range(num_blocks))
        self.norm = nn.LayerNorm(dims, eps=1e-5)

    def find_rotary(self, encoder: PlainViT) -> RotaryPosition | None:
        """Those of the decoder, which an encoder with rotary positions shares; see the base class."""
        return self.rotary

    def encode(self, encoder: PlainViT, images: Tensor, log_rescale: Tensor | None = None) -> Sequence[Tensor]:
        """Compute the normalised levels of the encoder; see the base class."""
        rotation = encoder.rotation(encoder.grid_of(images), log_rescale)
        x, levels = encoder.embed(images), []
        for i, block in enumerate(encoder.blocks[:self.levels[-1] + 1]):
            x = block(x, rotation)
            if i in self.levels:
                levels.append(encoder.norm(x))
        return levels

    def tokens(self,
               encoder: PlainViT,
               encoded: Sequence[Tensor],
               grid: tuple[int, int],
               log_rescale: Tensor | None = None) -> FrameTokens:
        """Sum up the projected levels; see the base class."""
        tokens = torch.zeros_like(encoded[0])
        for level, norm, projection, scale in zip(encoded, self.level_norms, self.projections, self.scales):
            level = norm(level.flatten(0, 1)).view(level.shape)
            tokens = tokens + scale * (level + projection(level))
        return FrameTokens(tokens, grid, self.rotary(grid, tokens.device, log_rescale))

    def joint_blocks(self, encoder: PlainViT) -> nn.ModuleList:
        """The blocks of the decoder; see the base class."""
        return self.blocks

    def final_norm(self, encoder: PlainViT) -> nn.Module:
        """The layer norm of the decoder; see the base class."""
        return self.norm
