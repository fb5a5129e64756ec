# Copyright (c) The mmvc contributors. All rights reserved.
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_bicubic(x: Tensor, **kwargs: Any) -> Tensor:
    """Resize maps with bicubic interpolation, as :func:`torch.nn.functional.interpolate`.

    With ``torch.use_deterministic_algorithms``, a map that is trained is multiplied with the weights of rows and
    columns. The gradient is then the same in every run; on CUDA, that of ``interpolate`` is not, and raises an error.

    Args:
        x (Tensor): Shape (N, C, h, w).
        **kwargs: ``size`` or ``scale_factor`` as a pair, and ``antialias``.

    Returns:
        Tensor: Shape (N, C, h', w').
    """
    kwargs = dict(kwargs, mode='bicubic', align_corners=False)
    if not (torch.are_deterministic_algorithms_enabled() and x.requires_grad and torch.is_grad_enabled()):
        return F.interpolate(x, **kwargs)
    rows, columns = (_weights(x, axis, kwargs) for axis in (0, 1))
    return rows @ x @ columns.T


def _weights(x: Tensor, axis: int, kwargs: dict) -> Tensor:
    """Weights of the rows or columns of ``x`` in those of the result, shape (h', h): a resized identity matrix."""
    length = x.shape[2 + axis]
    along = {key: (kwargs[key][axis], unchanged) for key, unchanged in (('size', length), ('scale_factor', 1.))
             if key in kwargs}
    identity = torch.eye(length, dtype=x.dtype, device=x.device)
    return F.interpolate(identity[None, None], **{**kwargs, **along})[0, 0]
