# Copyright (c) The mmvc contributors. All rights reserved.
"""The referring tracker's contrastive loss."""

import torch
from torch import Tensor, nn

from mmvc.registry import MODELS
from mmvc.utils.typing import Indices

from .contrastive_terms import clip_factors, contrast, mean_over_items, split_scores


@MODELS.register_module()
class ReferenceContrastiveLoss(nn.Module):
    """Keep an object's reference close to itself in the neighbouring frames, and away from the other objects there.

    An item is a matched object in a frame t >= 1, compared with all queries of frame t - 1; a second item compares it
    with frame t + 1, where there is one. The same query is the positive, the others are negatives.

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
                sample_weights: Tensor | None = None) -> dict[str, Tensor]:
        """Compute the loss of a batch of clips.

        Args:
            references (Tensor): The tracker's references (B, T, Q, C).
            indices (list[tuple[Tensor, Tensor]]): B pairs of matched query and ground-truth indices.
            sample_weights (Tensor, optional): Factors (B,) on the items of each clip.

        Returns:
            dict[str, Tensor]: Scalar ``loss_reid``; without items (one frame, no object) a zero that depends on
            ``references``.
        """
        items, weights = [], []
        with torch.autocast(references.device.type, enabled=False):
            for clip, (queries, _), factor in zip(references.float(), indices,
                                                  clip_factors(references, sample_weights)):
                anchors = clip.index_select(1, queries)
                items.append(contrast(*split_scores(anchors[1:], clip[:-1], queries)))
                items.append(contrast(*split_scores(anchors[1:-1], clip[2:], queries)))
                weights += [factor, factor]
            loss = mean_over_items(items, weights, references)
        return dict(loss_reid=self.loss_weight * loss)
