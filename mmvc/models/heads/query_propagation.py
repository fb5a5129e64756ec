# Copyright (c) The mmvc contributors. All rights reserved.
"""Propagation of queries from frame to frame: how encoder-only models follow objects."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvc.registry import MODELS


@MODELS.register_module()
class LinearPropagation(BaseModule):
    """Fuse a frame's output queries linearly with the learned ones: Q' = W Y + b + q.

    Source: VidEoMT, arXiv 2602.17807.

    Args:
        embed_dims (int): Channels D of a query.
    """

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.fc = nn.Linear(embed_dims, embed_dims)

    def forward(self, outputs: Tensor, queries: Tensor, learned: Tensor) -> Tensor:
        """Compute the queries of the next frame.

        Args:
            outputs (Tensor): The frame's output queries Y, shape (B, Q, D).
            queries (Tensor): The queries that entered the frame, shape (B, Q, D). Not used here.
            learned (Tensor): The learned queries q, shape (Q, D).

        Returns:
            Tensor: Shape (B, Q, D).
        """
        return self.fc(outputs) + learned


@MODELS.register_module()
class GRUPropagation(BaseModule):
    """Update each query by a gated recurrent unit: h' = GRU(input Y, hidden h), with weights that queries share.

    Source: LVMT, arXiv 2609.34895.

    Args:
        embed_dims (int): Channels D of a query.
    """

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(embed_dims, embed_dims)

    def forward(self, outputs: Tensor, queries: Tensor, learned: Tensor) -> Tensor:
        """Compute the queries of the next frame; see :meth:`LinearPropagation.forward`. ``learned`` is not used."""
        with torch.autocast(outputs.device.type, enabled=False):  # rounding errors of a state would add up
            hidden = self.cell(outputs.flatten(0, 1).float(), queries.flatten(0, 1).float())
        return hidden.view(outputs.shape)
