# Copyright (c) The mmvc contributors. All rights reserved.
"""Layer norm of each of several groups of channels by itself."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class GroupedLayerNorm(nn.LayerNorm):
    """Layer norm that normalises groups of channels apart from each other.

    Queries of DVIS++ are two embeddings side by side: the segmenter's and the one for re-identification. With two
    groups, the first half of the output does not depend on the second, as in the segmenter's own norm. Scale and
    shift have one row per group, so that the weights of one norm are not taken for those of another.

    Args:
        channels (int): Channels C.
        num_groups (int): Number G of groups of C / G channels. With 1, state dict and result are those of
            :class:`torch.nn.LayerNorm`.

    Raises:
        ValueError: If the channels cannot be divided into so many groups.
    """

    def __init__(self, channels: int, num_groups: int) -> None:
        if num_groups < 1 or channels % num_groups:
            raise ValueError(f'{channels} channels cannot be divided into {num_groups} groups for a norm: give a '
                             'number that divides them')
        super().__init__(channels if num_groups == 1 else (num_groups, channels // num_groups))
        self.num_groups = num_groups

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension.

        Args:
            x (Tensor): Shape (..., C).

        Returns:
            Tensor: Shape (..., C).
        """
        if self.num_groups == 1:
            return super().forward(x)
        groups = x.unflatten(-1, self.normalized_shape)
        normed = F.layer_norm(groups, self.normalized_shape[-1:], eps=self.eps)
        return (normed * self.weight + self.bias).flatten(-2)

    def explain_shape(self, name: str, shape: Sequence[int]) -> str | None:
        """Say which setting has weights of another shape. The check of checkpoints asks for it.

        Args:
            name (str): Name of the weight in this module.
            shape (Sequence[int]): Its shape in the checkpoint.
        """
        groups = shape[0] if len(shape) == 2 else 1
        same = self.weight.numel() == (shape[0] if len(shape) == 1 else shape[0] * shape[-1])
        return f'it was trained with norm_groups={groups}' if same and groups != self.num_groups else None
