# Copyright (c) The mmvc contributors. All rights reserved.
"""The temporal refiner's contrastive loss."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmvc.registry import MODELS
from mmvc.utils.typing import Indices

from .class_memory import ClassMemory
from .contrastive_terms import cut_clips, mean_over_items, weights_or_ones


@MODELS.register_module()
class TemporalContrastiveLoss(nn.Module):
    """Pull an object's embeddings of all frames together, and away from other objects, also of earlier clips.

    An item is a matched object in a frame. Its positives are the object in all frames of the clip, this one included;
    its negatives are the other queries of the frame. A second item has the same positives; its negatives are the
    embeddings of the same class from earlier clips, kept in a memory. There is no second item while the memory of the
    class is empty. The objects of a call enter the memory after it. Of a clip with sparse labels only the labelled
    frames count, as if the others were cut out.

    Source: Zhang et al., "DVIS++" (arXiv 2312.13305), contrastive learning of the temporal refiner.

    Args:
        num_classes (int): Number of classes K.
        embed_dims (int): Channels C of the embeddings.
        memory_len (int): Embeddings to keep per class. Defaults to 100.
        loss_weight (float): Defaults to 2.
    """

    def __init__(self, num_classes: int, embed_dims: int, memory_len: int = 100, loss_weight: float = 2.0) -> None:
        super().__init__()
        self.memory = ClassMemory(num_classes, embed_dims, memory_len)
        self.loss_weight = loss_weight

    def forward(self,
                embeds: Tensor,
                indices: list[Indices],
                targets: list[InstanceData],
                sample_weights: Tensor | None = None,
                labelled: Sequence[Sequence[int]] | None = None) -> dict[str, Tensor]:
        """Compute the loss of a batch of clips, then add their objects to the memory.

        Args:
            embeds (Tensor): The refiner's embeddings (B, T, Q, C).
            indices (list[tuple[Tensor, Tensor]]): B pairs of matched query and ground-truth indices.
            targets (list[InstanceData]): B clips with ``labels`` (n,).
            sample_weights (Tensor, optional): Weight of each clip's items (B,).
            labelled (Sequence[Sequence[int]], optional): Labelled frames of each clip. Defaults to None: all.

        Returns:
            dict[str, Tensor]: Scalar ``loss_reid``; without objects a zero that depends on ``embeds``.
        """
        items, weights, objects, labels = [], [], [], []
        with torch.autocast(embeds.device.type, enabled=False):
            # the loss of `contrast`, written out so that both items share the logsumexp of the positives
            for clip, (queries, gt_inds), target, weight in zip(
                    cut_clips(embeds.float(), labelled), indices, targets, weights_or_ones(sample_weights, embeds)):
                anchors = clip.index_select(1, queries)  # (T, K, C)
                tracks = anchors.transpose(0, 1).contiguous()
                pull = (-(tracks @ tracks.transpose(1, 2))).logsumexp(-1)  # positives (K, T)
                scores = clip @ anchors.transpose(1, 2)  # (T, Q, K)
                own = F.one_hot(queries, clip.shape[1]).t().bool()
                push = scores.masked_fill(own, -torch.inf).logsumexp(1)
                items.append(F.softplus(push + pull.t()))
                weights.append(weight)

                objects.append(tracks.detach())
                labels.append(target.labels[gt_inds])
                known = self.memory.counts[labels[-1]].nonzero()[:, 0]
                if len(known):
                    past, filled = self.memory(labels[-1][known])
                    scores = tracks.index_select(0, known) @ past.transpose(1, 2)
                    push = scores.masked_fill(~filled[:, None], -torch.inf).logsumexp(-1)
                    items.append(F.softplus(push + pull.index_select(0, known)))
                    weights.append(weight)
            loss = mean_over_items(items, weights, embeds)
        self.memory.push(
            torch.cat([tracks.flatten(0, 1) for tracks in objects]),
            torch.cat([of_clip.repeat_interleave(tracks.shape[1]) for of_clip, tracks in zip(labels, objects)]))
        return dict(loss_reid=self.loss_weight * loss)
