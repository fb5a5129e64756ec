# Copyright (c) The mmvc contributors. All rights reserved.
"""Layers of referring tracker and temporal refiner: DVIS++, arXiv 2312.13305."""

from mmcv.cnn.bricks.transformer import FFN, MultiheadAttention
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ..cpu.chunking import apply_in_chunks
from .initialization import xavier_init_matrices

# Limits of what the refiner holds of a long video, so that its memory does not grow with the square of the length.
_LOGITS_AT_ONCE = 2**22  # attention logits over time
FRAMES_AT_ONCE = 32


class ReferringTrackerLayer(BaseModule):
    """Referring cross-attention -> self-attention over objects -> FFN, each followed by a LayerNorm.

    Args:
        embed_dims (int): Channels C.
        num_heads (int): Number of attention heads.
        feedforward_channels (int): Hidden channels of the FFN.
    """

    def __init__(self, embed_dims: int, num_heads: int, feedforward_channels: int) -> None:
        super().__init__()
        self.cross_attn = MultiheadAttention(embed_dims, num_heads, batch_first=True)
        self.self_attn = MultiheadAttention(embed_dims, num_heads, batch_first=True)
        self.ffn = FFN(embed_dims, feedforward_channels)
        self.norms = ModuleList(nn.LayerNorm(embed_dims) for _ in range(3))

    def init_weights(self) -> None:
        """Xavier uniform for every matrix, as in the official code."""
        xavier_init_matrices(self)

    def forward(self, identity: Tensor, reference: Tensor, frame_embeds: Tensor) -> Tensor:
        """Find the references' objects in a frame.

        Args:
            identity (Tensor): Residual of the referring cross-attention, shape (B, Q, C): in the first layer the
                matched embeddings of the frame (with noise in training), in the others the output of the layer
                before. This is what makes it *referring*: the attention's query is not its residual.
            reference (Tensor): The objects' references from the last frame, shape (B, Q, C); the attention's queries.
            frame_embeds (Tensor): The segmenter's embeddings of the frame, shape (B, Q, C); keys and values.

        Returns:
            Tensor: Shape (B, Q, C).
        """
        x = self.norms[0](self.cross_attn(reference, frame_embeds, identity=identity))
        x = self.norms[1](self.self_attn(x))
        return self.norms[2](self.ffn(x))


class TemporalRefinerLayer(BaseModule):
    """One layer of the temporal refiner.

    Self-attention over time (per object) -> short-range convolutions over time -> self-attention over objects (per
    frame) -> object masked cross-attention to the segmenter's queries of the frame -> FFN, all post-norm.

    Args:
        embed_dims (int): Channels C.
        num_heads (int): Number of attention heads.
        feedforward_channels (int): Hidden channels of the FFN.
        cross_attn (nn.Module): The cross-attention to the segmenter's queries.
    """

    def __init__(self, embed_dims: int, num_heads: int, feedforward_channels: int, cross_attn: nn.Module) -> None:
        super().__init__()
        self.time_attn = MultiheadAttention(embed_dims, num_heads, batch_first=True)
        self.time_conv = nn.Sequential(
            nn.Conv1d(embed_dims, embed_dims, 5, padding='same', padding_mode='replicate'),
            nn.ReLU(inplace=True),
            nn.Conv1d(embed_dims, embed_dims, 3, padding='same', padding_mode='replicate'))
        self.object_attn = MultiheadAttention(embed_dims, num_heads, batch_first=True)
        self.cross_attn = cross_attn
        self.ffn = FFN(embed_dims, feedforward_channels)
        self.norms = ModuleList(nn.LayerNorm(embed_dims) for _ in range(5))

    def init_weights(self) -> None:
        """Xavier uniform for attention and FFN; the convolutions keep PyTorch's default, as in the official code."""
        for module in (self.time_attn, self.object_attn, self.cross_attn, self.ffn):
            xavier_init_matrices(module)

    def forward(self, x: Tensor, frame_embeds: Tensor, empty_scores: Tensor | None = None) -> Tensor:
        """Refine every object with its whole trajectory in view.

        Args:
            x (Tensor): Object queries in tracked order, shape (B, T, Q, C).
            frame_embeds (Tensor): The segmenter's queries, in its own order in each frame, shape (B, T, K, C).
            empty_scores (Tensor, optional): Their probability of the empty class, shape (B, T, K).

        Returns:
            Tensor: Shape (B, T, Q, C).
        """
        at_once = max(1, _LOGITS_AT_ONCE // (len(x) * self.time_attn.num_heads * x.shape[1]**2))
        x = apply_in_chunks(self._along_time, at_once, 2, x)
        inputs = (x, frame_embeds) if empty_scores is None else (x, frame_embeds, empty_scores)
        return apply_in_chunks(self._within_frames, FRAMES_AT_ONCE, 1, *inputs)

    def _along_time(self, x: Tensor) -> Tensor:
        """Attention and convolutions over time for objects (B, T, q, C), independently of each other."""
        tracks = self.norms[0](self.time_attn(x.transpose(1, 2).flatten(0, 1)))  # (B * q, T, C)
        tracks = self.norms[1](tracks + self.time_conv(tracks.transpose(1, 2)).transpose(1, 2))
        return tracks.unflatten(0, (len(x), -1)).transpose(1, 2)

    def _within_frames(self, x: Tensor, *segmented: Tensor) -> Tensor:
        """Attention within frames for objects (B, t, Q, C), with the segmenter's embeddings and scores."""
        frames = self.norms[2](self.object_attn(x.flatten(0, 1)))
        frames = self.norms[3](self.cross_attn(frames, *(y.flatten(0, 1) for y in segmented)))
        return self.norms[4](self.ffn(frames)).view(x.shape)
