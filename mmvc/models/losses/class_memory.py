# Copyright (c) The mmvc contributors. All rights reserved.
"""A memory of object embeddings, class by class."""

from typing import Any

import torch
from mmengine.dist import all_gather, broadcast, get_world_size
from torch import Tensor, nn


class ClassMemory(nn.Module):
    """Keep at most ``max_len`` embeddings of each class.

    A full class keeps a random subset of its old and new embeddings, drawn with torch's global RNG. All processes hold
    the same memory, which does not depend on how a batch is distributed. The memory is part of the state dict, so a
    resumed training continues with it. Loading a state dict without it, such as published weights, does not change it.

    Args:
        num_classes (int): Number of classes K.
        embed_dims (int): Channels C.
        max_len (int): Embeddings per class. Defaults to 100.
    """

    state_is_optional = True  # published weights come without it
    embeds: Tensor
    counts: Tensor

    def __init__(self, num_classes: int, embed_dims: int, max_len: int = 100) -> None:
        super().__init__()
        self.max_len = max_len
        self.register_buffer('embeds', torch.zeros(num_classes, max_len, embed_dims))
        self.register_buffer('counts', torch.zeros(num_classes, dtype=torch.int64))

    def forward(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Look up classes.

        Args:
            labels (Tensor): Classes (n,).

        Returns:
            tuple[Tensor, Tensor]: Embeddings (n, max_len, C) and which of them are filled (n, max_len), bool.
        """
        slots = torch.arange(self.max_len, device=labels.device)
        return self.embeds.index_select(0, labels), slots < self.counts[labels, None]

    @torch.no_grad()
    def push(self, embeds: Tensor, labels: Tensor) -> None:
        """Store the embeddings of all processes. A collective: every process must call it, also one without any.

        Args:
            embeds (Tensor): Embeddings (N, C).
            labels (Tensor): Their classes (N,).
        """
        embeds, labels = _gather_rows(embeds.to(self.embeds), labels)
        classes, sizes = labels.unique(return_counts=True)
        new_by_class = embeds[labels.argsort(stable=True)].split(sizes.tolist())
        for label, count, new in zip(classes.tolist(), self.counts[classes].tolist(), new_by_class):
            if count + len(new) > self.max_len:
                pool = torch.cat([self.embeds[label, :count], new])
                kept = torch.randperm(len(pool), device=pool.device)
                broadcast(kept)  # the RNG states of the processes differ
                new, count = pool[kept[:self.max_len]], 0
            self.embeds[label, count:count + len(new)] = new
        self.counts[classes] = (self.counts[classes] + sizes).clamp(max=self.max_len)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        own = {prefix + name: buffer for name, buffer in self.named_buffers()}
        if not own.keys() & state_dict.keys():
            state_dict.update(own)  # torch and mmengine pass a copy
        super()._load_from_state_dict(state_dict, prefix, *args)


def _gather_rows(embeds: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Gather embeddings (N, C) and labels (N,) of all processes, in the order of their ranks; N may differ."""
    if get_world_size() == 1:
        return embeds, labels
    sizes = [int(size) for size in all_gather(labels.new_tensor([len(labels)]))]
    padding = max(sizes) - len(labels)  # collectives need equal shapes
    gathered = []
    for rows in (embeds, labels):
        padded = torch.cat([rows, rows.new_zeros(padding, *rows.shape[1:])])
        gathered.append(torch.cat([part[:size] for part, size in zip(all_gather(padded), sizes)]))
    return gathered[0], gathered[1]
