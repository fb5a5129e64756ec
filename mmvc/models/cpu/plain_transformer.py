# Copyright (c) The mmvc contributors. All rights reserved.
"""Faster forms of the layers of a plain vision transformer, on CPU without gradients.

Elsewhere each function runs the ordinary form.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .inference import can_multiply, can_pack, is_supported, linear, product
from .packed_weights import packed

# Attention to fewer keys takes no time worth saving.
_MIN_KEYS = 256
# Attention weights in memory at once, for each thread: 4 MiB.
_MAX_ATTENTION_WEIGHTS = 2**20


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Compute attention as :func:`torch.nn.functional.scaled_dot_product_attention` does.

    PyTorch's fused kernel multiplies with MKL, which takes more than twice as long as oneDNN on AMD processors. The
    form here multiplies head by head with oneDNN, for as many queries at a time as leave their weights in the cache.
    Half precision is multiplied as float32, which is faster than the fused kernel, too, and rounds less.

    Args:
        query (Tensor): Shape (B, heads, N, d).
        key (Tensor): Shape (B, heads, M, d).
        value (Tensor): Shape (B, heads, M, d).
        mask (Tensor, optional): Bool, True = attended, broadcast to (B, heads, N, M). Defaults to None.

    Returns:
        Tensor: Shape (B, heads, N, d).
    """
    batch, heads, num_queries, dims = query.shape
    num_keys = key.shape[2]
    if mask is not None or num_keys < _MIN_KEYS or not can_multiply(query):
        return F.scaled_dot_product_attention(query, key, value, mask)
    out = query.new_empty(batch, num_queries, heads, dims)  # the layout that the projection after it needs
    num_chunks = -(-num_queries * num_keys // (_MAX_ATTENTION_WEIGHTS * torch.get_num_threads()))
    size = -(-num_queries // num_chunks)
    for i in range(batch):
        for j in range(heads):
            keys, values = key[i, j].float() * dims**-0.5, value[i, j].T.float().contiguous()
            for queries, result in zip(query[i, j].float().split(size), out[i, :, j].split(size)):
                result.copy_(product(product(queries, keys).softmax(dim=-1), values))
    return out.transpose(1, 2)


def linear_gelu(x: Tensor, layer: nn.Linear) -> Tensor:
    """Apply a linear layer and a GELU: one pass less over the hidden features."""
    return linear(x, layer.weight, layer.bias, gelu=True) if is_supported(x) else F.gelu(layer(x))


def double_size(x: Tensor, layer: nn.ConvTranspose2d) -> Tensor:
    """Apply a transposed convolution with a kernel of 2 x 2 and stride 2, and a GELU.

    Without gradients on CPU it is a linear layer from each position to four, in channels-last layout.

    Args:
        x (Tensor): Shape (B, C, h, w).
        layer (nn.ConvTranspose2d): C to D channels, with a bias.

    Returns:
        Tensor: Shape (B, D, 2 h, 2 w).
    """
    if not is_supported(x) or layer.bias is None:
        return F.gelu(layer(x))
    positions = x.permute(0, 2, 3, 1)
    weight = packed(layer.weight, lambda w: _as_linear(w, positions.shape[:-1].numel()))
    if weight is layer.weight:
        weight = _as_linear(weight, positions.shape[:-1].numel())
    four = linear(positions, weight, layer.bias.repeat(4), gelu=True)
    four = four.unflatten(-1, (2, 2, -1))  # (B, h, w, 2, 2, D)
    return four.transpose(2, 3).flatten(1, 2).flatten(2, 3).permute(0, 3, 1, 2)


def _as_linear(weight: Tensor, num_positions: int) -> Tensor:
    """Weight (C, D, 2, 2) of a transposed convolution as that of a linear layer from C to (2, 2, D) channels."""
    weight = weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous()
    return torch.ops.mkldnn._reorder_linear_weight(weight, num_positions) if can_pack() else weight
