# Copyright (c) The mmvc contributors. All rights reserved.
"""Layers of plain vision transformers.

Sources: Dosovitskiy et al., "An Image is Worth 16x16 Words" (arXiv 2010.11929); layer scale: Touvron et al., "Going
deeper with Image Transformers" (ICCV 2021).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..cpu.plain_transformer import attend, linear_gelu
from .rotary_position import Rotation, rotate


class PatchEmbed(nn.Module):
    """One token per patch: a convolution whose stride is its kernel.

    Args:
        patch_size (int): Side of a patch in pixels.
        embed_dims (int): Channels C of a token.
    """

    def __init__(self, patch_size: int, embed_dims: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, embed_dims, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, H / patch_size * W / patch_size, C), row by row."""
        return self.proj(images).flatten(2).transpose(1, 2)


class SelfAttention(nn.Module):
    """Multi-head self-attention by a fused kernel.

    Args:
        embed_dims (int): Channels C of a token.
        num_heads (int): Number of heads; divides C.
        key_bias (bool): Whether the projection of keys has a bias. DINOv3 has none. Defaults to True.
    """

    def __init__(self, embed_dims: int, num_heads: int, key_bias: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=key_bias)
        if not key_bias:
            self.q_bias = nn.Parameter(torch.zeros(embed_dims))
            self.v_bias = nn.Parameter(torch.zeros(embed_dims))
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor, rotation: Rotation | None = None, mask: Tensor | None = None) -> Tensor:
        """Attend from every token to every other one.

        Args:
            x (Tensor): Tokens, shape (B, N, C).
            rotation (Rotation, optional): Rotates queries and keys of the last tokens. Defaults to None.
            mask (Tensor, optional): Bool, True = attended, broadcast to (B, heads, N, N). Defaults to None.

        Returns:
            Tensor: Shape (B, N, C).
        """
        batch, num_tokens, channels = x.shape
        bias = self.qkv.bias
        if bias is None:
            bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias).view(batch, num_tokens, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, C / heads)
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        x = attend(query, key, value, mask)
        return self.proj(x.transpose(1, 2).reshape(batch, num_tokens, channels))


class MLP(nn.Module):
    """Two linear layers with a GELU between them, (B, N, C) to (B, N, C).

    Args:
        embed_dims (int): Channels C of a token.
        hidden_dims (int): Channels in between.
    """

    def __init__(self, embed_dims: int, hidden_dims: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dims, hidden_dims)
        self.fc2 = nn.Linear(hidden_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(linear_gelu(x, self.fc1))


class LayerScale(nn.Module):
    """A learned factor per channel, small at first, so that a residual branch gains influence slowly.

    Args:
        embed_dims (int): Channels C of a token.
        init_value (float): Initial value of the factor.
    """

    def __init__(self, embed_dims: int, init_value: float = 1e-5) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((embed_dims, ), init_value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class TransformerBlock(nn.Module):
    """Pre-norm transformer layer, both residual branches with layer scale; (B, N, C) to (B, N, C).

    Args:
        embed_dims (int): Channels C of a token.
        num_heads (int): Number of attention heads; divides C.
        hidden_dims (int, optional): Hidden channels of the MLP. Defaults to 4 C.
        eps (float): Epsilon of the layer norms. Defaults to 1e-6.
        key_bias (bool): Whether the projection of keys has a bias. Defaults to True.
        layer_scale (float): Initial value of the layer scale. Defaults to 1e-5.
    """

    def __init__(self,
                 embed_dims: int,
                 num_heads: int,
                 hidden_dims: int | None = None,
                 eps: float = 1e-6,
                 key_bias: bool = True,
                 layer_scale: float = 1e-5) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=eps)
        self.attn = SelfAttention(embed_dims, num_heads, key_bias)
        self.ls1 = LayerScale(embed_dims, layer_scale)
        self.norm2 = nn.LayerNorm(embed_dims, eps=eps)
        self.mlp = MLP(embed_dims, hidden_dims or 4 * embed_dims)
        self.ls2 = LayerScale(embed_dims, layer_scale)

    def forward(self, x: Tensor, rotation: Rotation | None = None, mask: Tensor | None = None) -> Tensor:
        """Transform tokens; the arguments are those of :meth:`SelfAttention.forward`."""
        x = x + self.ls1(self.attn(self.norm1(x), rotation, mask))
        return x + self.ls2(self.mlp(self.norm2(x)))
