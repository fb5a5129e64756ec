# Copyright (c) The mmvc contributors. All rights reserved.
"""The referring tracker's contrastive loss."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmvc.registry import MODELS
from mmvc.utils.typing import Indices

from .contrastive_terms import contrast, cut_clips, mean_over_items, split_scores, weights_or_ones


@MODELS.register_module()
class ReferenceContrastiveLoss(nn.Module):
    """Pull an object's reference towards its references in the neighbouring frames, and away from other objects there.

    An item is a matched object in a frame t >= 1, compared with all queries of frame t - 1. If there is a frame t + 1,
    a second item compares it with that one. The same query is the positive, the others are negatives. Of a clip with
    sparse labels only the labelled frames count, as if the others were cut out.

    Source: Zhang et al., "DVIS++" (arXiv 2312.13305), contrastive learning of the referring tracker.

    Args:
        loss_weight (float): Defaults to 2.
    """

    def __init__(self, loss_weight: float = 2.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self,
                references: Tensor,
                indices: list[Indices],
                sample_weights: Tensor | None = None,
                labelled: Sequence[Sequence[int]] | None = None) -> dict[str, Tensor]:
        """Compute the loss of a batch of clips.

        Args:
            references (Tensor): The tracker's references (B, T, Q, C).
            indices (list[tuple[Tensor, Tensor]]): B pairs of matched query and ground-truth indices.
            sample_weights (Tensor, optional): Weight of each clip's items (B,).
            labelled (Sequence[Sequence[int]], optional): Labelled frames of each clip. Defaults to None: all.

        Returns:
            dict[str, Tensor]: Scalar ``loss_reid``; without items (one frame, no object) a zero that depends on
            ``references``.
        """
        items, weights = [], []
        with torch.autocast(references.device.type, enabled=False):
            for clip, (queries, _), weight in zip(cut_clips(references.float(), labelled), indices,
                                                  weights_or_ones(sample_weights, references)):
                anchors = clip.index_select(1, queries)
                items.append(contrast(*split_scores(anchors[1:], clip[:-1], queries)))
                items.append(contrast(*split_scores(anchors[1:-1], clip[2:], queries)))
                weights += [weight, weight]
            loss = mean_over_items(items, weights, references)
        return dict(loss_reid=self.loss_weight * loss)
