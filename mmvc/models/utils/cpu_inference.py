# Copyright (c) The mmvc contributors. All rights reserved.
"""Faster layers for inference on CPU."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.utils import _pair
from torch.overrides import TorchFunctionMode

from .packed_weights import packed

# What torch.compile calls for the linear layers of CPU models. There is no public name for it.
_ONEDNN_LINEAR: Any = None
if torch.backends.mkldnn.is_available():
    _ONEDNN_LINEAR = getattr(torch.ops.mkldnn, '_linear_pointwise', None)
# Larger linear layers are not kept a second time: those of a ViT-L would take 1.2 GB to save a twentieth of the time.
_LARGEST_PACKED_LINEAR = 2**20 - 1
# Arguments of F.multi_head_attention_forward beyond the usual ones: with any of them PyTorch's own function runs.
_UNUSUAL = ('use_separate_proj_weight', 'static_k', 'static_v', 'is_causal')


class CPUInference(TorchFunctionMode):
    """Context in which convolutions, linear and attention layers run in a faster form, with the same results.

    - 2D convolutions keep their channels last, which saves reordering the features of every 1 x 1 convolution. With
      one thread, for which PyTorch has a slow form of these, they are linear layers.
    - Maps are resized with their channels last if they come so; PyTorch does not see it where the map is a part of a
      larger tensor, and reorders it there and back.
    - ``F.linear`` goes through oneDNN, as convolutions do. PyTorch hands float32 products to MKL, which uses AVX2 on
      AMD processors even where they have AVX-512: half of their speed.
    - The weights of convolutions and of small linear layers are brought into oneDNN's layout once, not in every call,
      and kept beside the parameters, which takes as much memory again.
    - ``nn.MultiheadAttention`` neither writes its attention weights to memory, nor their mean over heads, which nobody
      reads. The second output is None. Who asks for the weights of each head gets PyTorch's own form.

    Only float32 on CPU without gradient is affected; all else, autocast and compiled code included, runs as ever. Sums
    are rounded in another order, as they are with another number of threads.

    Example:
        >>> with torch.no_grad(), CPUInference():
        ...     out = model(x)
    """

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is F.conv2d and _is_concerned(args[0]):
            return _convolution(*args, **kwargs)
        if func is F.interpolate and _is_concerned(args[0]) and _is_hidden_channels_last(args[0]):
            return func(args[0].clone(memory_format=torch.channels_last), *args[1:], **kwargs)
        if func is F.linear and _is_concerned(args[0]):
            return _linear(*args, **kwargs)
        if func is F.multi_head_attention_forward and _is_concerned(args[0]) and _is_usual(args, kwargs):
            return _attention(args, kwargs), None
        return func(*args, **kwargs)


def _is_concerned(x: Tensor) -> bool:
    return (x.device.type == 'cpu' and x.dtype == torch.float32 and x.numel() > 0 and _ONEDNN_LINEAR is not None
            and not torch.is_grad_enabled() and not _autocast_enabled() and not _is_compiling())


def _is_hidden_channels_last(x: Tensor) -> bool:
    """Whether a map has its channels last but strides between batch elements by which PyTorch does not know it."""
    return x.ndim == 4 and x.stride(1) == 1 and x.stride(0) != x[0].numel()


def _is_compiling() -> bool:
    """Whether torch.compile traces this call; its own choice of kernels is at least as good."""
    return hasattr(torch.compiler, 'is_compiling') and torch.compiler.is_compiling()  # from torch 2.3 on


def _autocast_enabled() -> bool:
    if hasattr(torch, 'get_autocast_dtype'):  # torch >= 2.4
        return torch.is_autocast_enabled('cpu')
    return torch.is_autocast_cpu_enabled()


def _convolution(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
                 dilation: Any = 1, groups: int = 1) -> Tensor:  # names as F.conv2d has them
    input = input.contiguous(memory_format=torch.channels_last)
    if (torch.get_num_threads() == 1 and input.ndim == 4 and weight.shape[2:] == (1, 1) and groups == 1
            and stride in (1, (1, 1)) and padding in (0, (0, 0))):
        return _linear(input.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)
    if input.ndim != 4 or isinstance(padding, str) or not _can_pack():
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    geometry = _pair(padding), _pair(stride), _pair(dilation), groups
    weight = packed(weight, lambda w: torch.ops.mkldnn._reorder_convolution_weight(w, *geometry, list(input.shape)))
    return torch.ops.mkldnn._convolution_pointwise(input, weight, bias, *geometry, 'none', [], '')


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # names as F.linear has them
    input = input.contiguous()
    if weight.numel() <= _LARGEST_PACKED_LINEAR and _can_pack():
        weight = packed(weight, lambda w: torch.ops.mkldnn._reorder_linear_weight(w, input.shape[:-1].numel()))
    return _ONEDNN_LINEAR(input, weight, bias, 'none', [], '')


@lru_cache(maxsize=None)
def _can_pack() -> bool:
    """Whether this PyTorch packs weights that are ordinary tensors. There are no public names for these functions."""
    ops, one = torch.ops.mkldnn, (1, 1)
    image, features = torch.ones(1, 8, 1, 1), torch.ones(1, 8)
    try:
        weight = ops._reorder_convolution_weight(torch.ones(8, 8, 1, 1), (0, 0), one, one, 1, [1, 8, 1, 1])
        convolved = ops._convolution_pointwise(image, weight, None, (0, 0), one, one, 1, 'none', [], '')
        mapped = _ONEDNN_LINEAR(features, ops._reorder_linear_weight(torch.ones(8, 8), 1), None, 'none', [], '')
    except (AttributeError, RuntimeError):
        return False
    return bool((convolved == 8).all() and (mapped == 8).all())


def _is_usual(args: tuple, kwargs: dict) -> bool:
    """Whether a call of attention has a batch, one matrix of weights for q, k, v, and no dropout or added keys."""
    bias_k, bias_v, add_zero_attn, dropout = args[7:11]
    return (args[0].ndim == 3 and bias_k is None and bias_v is None and not add_zero_attn
            and not (dropout and kwargs.get('training', True)) and kwargs.get('average_attn_weights', True)
            and not any(kwargs.get(name) for name in _UNUSUAL))


def _attention(args: tuple, kwargs: dict) -> Tensor:
    """Output (L, N, C) of a call of ``F.multi_head_attention_forward``."""
    query, key, value, dims, num_heads, weight, bias = args[:7]
    out_weight, out_bias = args[11:13]
    biases: tuple[Tensor | None, ...] = (None, ) * 3 if bias is None else bias.split(dims)
    q, k, v = (
        _linear(x.transpose(0, 1), w, b).unflatten(-1, (num_heads, -1)).transpose(1, 2)
        for x, w, b in zip((query, key, value), weight.split(dims), biases))  # each (N, heads, length, C / heads)
    mask, padding = kwargs.get('attn_mask'), kwargs.get('key_padding_mask')  # floats by now, -inf = not attended
    if mask is not None and mask.ndim == 3:
        mask = mask.unflatten(0, (-1, num_heads))
    if padding is not None:
        mask = padding[:, None, None] if mask is None else mask + padding[:, None, None]
    out = F.scaled_dot_product_attention(q, k, v, mask)
    return _linear(out.transpose(1, 2).flatten(2), out_weight, out_bias).transpose(0, 1)
