# Copyright (c) The mmvc contributors. All rights reserved.
"""Layer norm of each of several groups of channels by itself."""

import torch.nn.functional as F
from torch import Tensor, nn


class GroupedLayerNorm(nn.LayerNorm):
    """Layer norm that normalises groups of channels apart from each other.

    Queries of DVIS++ are two embeddings side by side: the segmenter's and the one for re-identification. With two
    groups, the first half of the output does not depend on the second, as in the segmenter's own norm.

    Args:
        channels (int): Channels C.
        num_groups (int): Number of groups of C / num_groups channels. With 1 this is :class:`torch.nn.LayerNorm`.

    Raises:
        ValueError: If the channels cannot be divided into so many groups.
    """

    def __init__(self, channels: int, num_groups: int) -> None:
        if num_groups < 1 or channels % num_groups:
            raise ValueError(f'{channels} channels cannot be divided into {num_groups} groups for a norm: give a '
                             'number that divides them')
        super().__init__(channels)
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
        return F.group_norm(x.flatten(0, -2), self.num_groups, self.weight, self.bias, self.eps).view(x.shape)
