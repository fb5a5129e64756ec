# Copyright (c) The mmvc contributors. All rights reserved.
"""Layers applied to a chunk of their input at a time, so that temporary tensors stay small."""

from collections.abc import Callable

import torch
from mmcv.cnn.bricks.transformer import FFN
from torch import Tensor

from . import cpu_kernels_enabled

_MAX_TOKENS = 2048  # hidden features of so many tokens fit into the cache


def apply_in_chunks(function: Callable[..., Tensor], size: int, dim: int, *inputs: Tensor) -> Tensor:
    """Apply a function to a few slices of tensors at a time, so that only its result grows with their number.

    With gradients enabled, it is applied to all slices at once: autograd keeps the temporary tensors anyway.

    Args:
        function (Callable): Treats slices along ``dim`` independently.
        size (int): Slices per chunk, at least 1.
        dim (int): Dimension of the slices, in the inputs and in the result.
        *inputs (Tensor): Arguments of the function, all with the same number of slices.

    Returns:
        Tensor: Result of the function for all slices.
    """
    num_slices = inputs[0].shape[dim]
    if torch.is_grad_enabled() or num_slices <= size:
        return function(*inputs)
    for start, chunk in zip(range(0, num_slices, size), zip(*(x.split(size, dim) for x in inputs))):
        result = function(*chunk)
        if start == 0:
            out = result.new_empty((*result.shape[:dim], num_slices, *result.shape[dim + 1:]))
        out.narrow(dim, start, result.shape[dim]).copy_(result)
    return out


class ChunkedFFN(FFN):
    """mmcv's feed-forward network; on CPU and without gradients it never holds the hidden features of all tokens.

    Arguments, parameters and results are mmcv's.
    """

    def forward(self, x: Tensor, identity: Tensor | None = None) -> Tensor:
        """Transform every token and add it to ``identity``.

        Args:
            x (Tensor): Tokens, shape (B, N, C).
            identity (Tensor, optional): Tensor that the result is added to. Defaults to ``x``.

        Returns:
            Tensor: Shape (B, N, C).
        """
        identity = x if identity is None else identity
        size = _MAX_TOKENS if x.device.type == 'cpu' and cpu_kernels_enabled() else x.shape[1]
        return apply_in_chunks(super().forward, size, 1, x, identity)
