# Copyright (c) The mmvc contributors. All rights reserved.
"""Faster convolutions, linear and attention layers for inference on CPU."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.utils import _pair
from torch.overrides import TorchFunctionMode

from . import cpu_kernels_enabled
from .packed_weights import packed

# torch.compile calls this op for the linear layers of CPU models. It has no public name.
_ONEDNN_LINEAR: Any = None
if torch.backends.mkldnn.is_available():
    _ONEDNN_LINEAR = getattr(torch.ops.mkldnn, '_linear_pointwise', None)
# Larger linear layers are not packed: a second copy of a ViT-L takes 1.2 GB and saves a twentieth of the time.
_MAX_PACKED_WEIGHTS = 2**20 - 1
_ATTENTION_SIGNATURE = inspect.signature(F.multi_head_attention_forward)


class CPUInference(TorchFunctionMode):
    """Context in which convolutions, linear and attention layers run in a faster form, with the same results.

    - 2D convolutions use the channels-last layout, which saves reordering the features of every 1 x 1 convolution.
      With one thread, where PyTorch's form of 1 x 1 convolutions is slow, they run as linear layers.
    - Resizing keeps the channels-last layout of its input. PyTorch does not recognise that layout if the map is part
      of a larger tensor, and then reorders it twice.
    - ``F.linear`` runs in oneDNN, as convolutions do. PyTorch's own choice for float32 is MKL, which uses AVX2 on AMD
      processors even if they have AVX-512: half of their speed.
    - Weights of convolutions and of small linear layers are brought into oneDNN's layout once instead of in every
      call. The packed copy takes as much memory as the weights.
    - ``nn.MultiheadAttention`` does not write its attention weights to memory. Its second output is None. Calls that
      ask for the weights of each head run in PyTorch's own form.

    Only float32 on CPU without gradients is affected. Everything else, autocast and compiled code included, runs as
    without this context. Sums are rounded in another order, as they are with another number of threads.

    :func:`mmvc.models.cpu.use_cpu_kernels` turns it off.

    Example:
        >>> with torch.no_grad(), CPUInference():
        ...     out = model(x)
    """

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is F.conv2d and is_supported(args[0]):
            return _convolution(*args, **kwargs)
        if func is F.interpolate and is_supported(args[0]) and _is_unrecognised_channels_last(args[0]):
            return func(args[0].clone(memory_format=torch.channels_last), *args[1:], **kwargs)
        if func is F.linear and is_supported(args[0]):
            return linear(*args, **kwargs)
        if func is F.multi_head_attention_forward and is_supported(args[0]):
            call = _ATTENTION_SIGNATURE.bind(*args, **kwargs)
            call.apply_defaults()
            attention = SimpleNamespace(**call.arguments)
            if _is_plain_attention(attention):
                return _attention(attention), None
        return func(*args, **kwargs)


def is_supported(x: Tensor) -> bool:
    """Whether the kernels here may run on an input: float32 on CPU, without gradients and autocast."""
    return x.dtype == torch.float32 and can_multiply(x) and not _autocast_enabled()


def can_multiply(x: Tensor) -> bool:
    """Whether oneDNN may multiply float32 copies of an input: on CPU, without gradients, of any type."""
    return (x.device.type == 'cpu' and x.numel() > 0 and cpu_kernels_enabled() and _ONEDNN_LINEAR is not None
            and not torch.is_grad_enabled() and not _is_compiling())


def _is_unrecognised_channels_last(x: Tensor) -> bool:
    """Whether channels come last in memory, but the batch stride hides it from PyTorch."""
    return x.ndim == 4 and x.stride(1) == 1 and x.stride(0) != x[0].numel()


def _is_compiling() -> bool:
    """Whether torch.compile traces this call; its own choice of kernels is at least as good."""
    return hasattr(torch.compiler, 'is_compiling') and torch.compiler.is_compiling()  # from torch 2.3 on


def _autocast_enabled() -> bool:
    if hasattr(torch, 'get_autocast_dtype'):  # torch >= 2.4
        return torch.is_autocast_enabled('cpu')
    return torch.is_autocast_cpu_enabled()


def _convolution(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
                 dilation: Any = 1, groups: int = 1) -> Tensor:
    """``F.conv2d``, with its argument names."""
    input = input.contiguous(memory_format=torch.channels_last)
    if (torch.get_num_threads() == 1 and input.ndim == 4 and weight.shape[2:] == (1, 1) and groups == 1
            and stride in (1, (1, 1)) and padding in (0, (0, 0))):
        return linear(input.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)
    if input.ndim != 4 or isinstance(padding, str) or not can_pack():
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    geometry = _pair(padding), _pair(stride), _pair(dilation), groups
    weight = packed(weight, lambda w: torch.ops.mkldnn._reorder_convolution_weight(w, *geometry, list(input.shape)))
    return torch.ops.mkldnn._convolution_pointwise(input, weight, bias, *geometry, 'none', [], '')


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, gelu: bool = False) -> Tensor:
    """``F.linear``, with its argument names, for supported inputs; with a GELU of the result if asked to."""
    input = input.contiguous()
    if weight.numel() <= _MAX_PACKED_WEIGHTS and can_pack():
        weight = packed(weight, lambda w: torch.ops.mkldnn._reorder_linear_weight(w, input.shape[:-1].numel()))
    return _ONEDNN_LINEAR(input, weight, bias, 'gelu' if gelu else 'none', [], 'none' if gelu else '')


def product(a: Tensor, b: Tensor) -> Tensor:
    """Compute ``a @ b.T`` for float32 matrices (M, C) and (N, C) if :func:`can_multiply`.

    Each row of them is contiguous. oneDNN takes a thousand times as long for another layout of ``b``.
    """
    return _ONEDNN_LINEAR(a, b, None, 'none', [], '')


@lru_cache(maxsize=None)
def can_pack() -> bool:
    """Whether this PyTorch packs weights that are ordinary tensors. These ops have no public names."""
    ops, one = torch.ops.mkldnn, (1, 1)
    image, features = torch.ones(1, 8, 1, 1), torch.ones(1, 8)
    try:
        weight = ops._reorder_convolution_weight(torch.ones(8, 8, 1, 1), (0, 0), one, one, 1, [1, 8, 1, 1])
        convolved = ops._convolution_pointwise(image, weight, None, (0, 0), one, one, 1, 'none', [], '')
        mapped = _ONEDNN_LINEAR(features, ops._reorder_linear_weight(torch.ones(8, 8), 1), None, 'none', [], '')
    except (AttributeError, RuntimeError):
        return False
    return bool((convolved == 8).all() and (mapped == 8).all())


def _is_plain_attention(call: SimpleNamespace) -> bool:
    """Whether a call has a batch, one weight matrix for q, k and v, and neither dropout nor additional keys."""
    has_more_keys = (call.bias_k is not None or call.bias_v is not None or call.add_zero_attn
                     or call.static_k is not None or call.static_v is not None)
    has_dropout = call.dropout_p and call.training
    return (call.query.ndim == 3 and call.average_attn_weights and not has_more_keys and not has_dropout
            and not call.use_separate_proj_weight and not call.is_causal)


def _attention(call: SimpleNamespace) -> Tensor:
    """Output (L, N, C) of a call of ``F.multi_head_attention_forward``."""
    dims = call.embed_dim_to_check
    biases: tuple[Tensor | None, ...] = (None, ) * 3 if call.in_proj_bias is None else call.in_proj_bias.split(dims)
    q, k, v = (
        linear(x.transpose(0, 1), weight, bias).unflatten(-1, (call.num_heads, -1)).transpose(1, 2)
        for x, weight, bias in zip((call.query, call.key, call.value), call.in_proj_weight.split(dims), biases))
    mask, padding = call.attn_mask, call.key_padding_mask  # floats already; -inf = not attended
    if mask is not None and mask.ndim == 3:
        mask = mask.unflatten(0, (-1, call.num_heads))
    if padding is not None:
        mask = padding[:, None, None] if mask is None else mask + padding[:, None, None]
    out = F.scaled_dot_product_attention(q, k, v, mask)  # (N, heads, L, C / heads)
    return linear(out.transpose(1, 2).flatten(2), call.out_proj_weight, call.out_proj_bias).transpose(0, 1)
