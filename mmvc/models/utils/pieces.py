# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable

import torch
from torch import Tensor


def in_pieces(function: Callable[..., Tensor], size: int, dim: int, *inputs: Tensor) -> Tensor:
    """Apply a function to a few slices of tensors at a time, so that only its result grows with their number.

    Where gradients are wanted, which keep everything anyway, it is applied to all at once.

    Args:
        function (Callable): Treats every slice along ``dim`` for itself.
        size (int): Slices at a time.
        dim (int): Dimension of the slices, in the inputs and in the result.
        *inputs (Tensor): What the function takes, with as many slices each.

    Returns:
        Tensor: What the function returns for all of them.
    """
    num_slices = inputs[0].shape[dim]
    if torch.is_grad_enabled() or num_slices <= size:
        return function(*inputs)
    for start, piece in zip(range(0, num_slices, size), zip(*(x.split(size, dim) for x in inputs))):
        result = function(*piece)
        if start == 0:
            out = result.new_empty((*result.shape[:dim], num_slices, *result.shape[dim + 1:]))
        out.narrow(dim, start, result.shape[dim]).copy_(result)
    return out
