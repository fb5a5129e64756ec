# Copyright (c) The mmvc contributors. All rights reserved.
from mmcv.cnn.bricks.transformer import FFN
from torch import Tensor

from ..utils.pieces import in_pieces

_TOKENS_AT_ONCE = 2048  # their hidden features fit the cache, and blocks that the allocator keeps when they are freed


class PiecewiseFFN(FFN):
    """mmcv's feed-forward network, which on CPU and without gradient never holds the hidden features of all tokens.

    Arguments, parameters and results are mmcv's.
    """

    def forward(self, x: Tensor, identity: Tensor | None = None) -> Tensor:
        """Transform every token and add it to ``identity``.

        Args:
            x (Tensor): Tokens, shape (B, N, C).
            identity (Tensor, optional): What the result is added to. Defaults to ``x``.

        Returns:
            Tensor: Shape (B, N, C).
        """
        identity = x if identity is None else identity
        size = _TOKENS_AT_ONCE if x.device.type == 'cpu' else x.shape[1]
        return in_pieces(super().forward, size, 1, x, identity)
