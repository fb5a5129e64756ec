# Copyright (c) The mmvc contributors. All rights reserved.
"""Denoising training of the referring tracker: DVIS++, arXiv 2312.13305, Sec. 3.3."""

import torch
from torch import Tensor

from mmvc.registry import MODELS


@MODELS.register_module()
class QueryNoise(torch.nn.Module):
    """Adds noise to a frame's matched queries, so that the tracker learns to correct wrong matches.

    Args:
        mode (str): ``'wa'`` (weighted average with another query of the frame), ``'cc'`` (the channels after a random
            cut come from another query), ``'rs'`` (random shuffle) or ``'none'``. Defaults to ``'wa'``.
        prob (float): Probability that a frame gets noise in training, in [0, 1]. Defaults to 0.5; the long schedules
            on instance segmentation use 0.8.

    Raises:
        ValueError: If ``mode`` is unknown or ``prob`` is outside [0, 1].
    """

    MODES = ('wa', 'cc', 'rs', 'none')

    def __init__(self, mode: str = 'wa', prob: float = 0.5) -> None:
        super().__init__()
        if mode not in self.MODES:
            raise ValueError(f'`mode` of QueryNoise is one of {self.MODES}, got {mode!r}')
        if not 0 <= prob <= 1:
            raise ValueError(f'`prob` of QueryNoise is a probability in [0, 1], got {prob}')
        self.mode = mode
        self.prob = prob

    def is_drawn(self) -> bool:
        """Draw whether the next frame gets noise: a Bernoulli draw in training, never in evaluation mode."""
        return self.training and self.mode != 'none' and torch.rand(()).item() < self.prob

    def forward(self, embeds: Tensor) -> tuple[Tensor, Tensor]:
        """Add noise to the queries of a frame.

        Args:
            embeds (Tensor): Embeddings of the frame in the segmenter's order, shape (B, Q, C).

        Returns:
            tuple[Tensor, Tensor]: The noisy embeddings, shape (B, Q, C), and for each of them the index of the query
            with the largest share in it, shape (B, Q).
        """
        num_queries, channels = embeds.shape[1:]
        own = torch.arange(num_queries, device=embeds.device)
        other = torch.randperm(num_queries, device=embeds.device)
        if self.mode == 'wa':
            weight = torch.rand(num_queries, device=embeds.device)
            noised = embeds * weight[:, None] + embeds[:, other] * (1 - weight[:, None])
            indices = torch.where(weight < 0.5, other, own)
        elif self.mode == 'cc':
            cut = torch.randint(channels, (num_queries, ), device=embeds.device)
            keep = torch.arange(channels, device=embeds.device) < cut[:, None]
            noised = torch.where(keep, embeds, embeds[:, other])
            indices = torch.where(cut < channels / 2, other, own)
        else:
            noised, indices = embeds[:, other], other
        return noised, indices.expand(len(embeds), -1)
