# Copyright (c) The mmvc contributors. All rights reserved.
"""One-to-one matching of queries and ground-truth masks, sample by sample."""

from collections.abc import Sequence

import torch
from mmcv.ops import point_sample
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mmvc.registry import TASK_UTILS
from mmvc.utils.typing import Indices

FORBIDDEN_COST = 1e6
"""Cost of a forbidden pair; far above any sum of match costs."""


@TASK_UTILS.register_module()
class HungarianMaskMatcher:
    """Match queries to ground truth by class probability and mask overlap, independently for every sample.

    The cost of a pair is the weighted sum of the negated class probability, the binary cross-entropy and the dice loss
    of the masks. The latter two are computed on random points that all pairs of a sample share. Everything is computed
    in float32, also under autocast, and without gradients.

    Source: Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation" (Mask2Former,
    arXiv 2112.01527).

    Args:
        match_costs (list[dict], optional): Configs of mmdet match costs; they get ``scores`` (Q, K + 1) and ``masks``,
            the values at the points (Q, P). Defaults to classification 2, cross-entropy 5, dice 5.
        num_points (int): Random points P per sample. Defaults to 12544.
    """

    def __init__(self, match_costs: list[dict] | None = None, num_points: int = 12544) -> None:
        if match_costs is None:
            match_costs = [
                dict(type='mmdet.ClassificationCost', weight=2.0),
                dict(type='mmdet.CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
                dict(type='mmdet.DiceCost', weight=5.0, pred_act=True, eps=1.0),
            ]
        self.match_costs = [TASK_UTILS.build(cost) for cost in match_costs]
        self.num_points = num_points

    @torch.no_grad()
    def assign(self,
               cls_scores: Tensor,
               mask_preds: Tensor | Sequence[Tensor],
               targets: list[InstanceData],
               num_points: int | Sequence[int] | None = None) -> list[Indices]:
        """Find the cheapest assignment of each sample.

        Args:
            cls_scores (Tensor): Class logits (N, Q, K + 1).
            mask_preds (Tensor | Sequence[Tensor]): Mask logits (N, Q, h, w), or N tensors (Q, h_i, w).
            targets (list[InstanceData]): N samples with ``labels`` (n,) and ``masks`` (n, H, W), any resolution.
            num_points (int | Sequence[int], optional): Overrides the number of points, for a clip matched as one tall
                mask (T * h, w); one number for each sample if they differ.

        Returns:
            list[tuple[Tensor, Tensor]]: For each sample, query and ground-truth indices of its min(Q, n) pairs, int64
            on the device of the predictions, sorted by query.

        Raises:
            ValueError: If the number of targets is not N.
        """
        if len(targets) != len(cls_scores):
            raise ValueError(f'{len(cls_scores)} samples were predicted, but `targets` has {len(targets)} entries: '
                             'give one InstanceData per sample (each frame of each clip is a sample)')
        costs = [
            self.cost(scores, masks, target.labels, target.masks, number) for scores, masks, target, number in zip(
                cls_scores, mask_preds, targets, for_each(num_points, len(targets)))
        ]
        return [to_device(linear_sum_assignment(cost), cls_scores.device) for cost in to_host(costs)]

    def cost(self,
             cls_score: Tensor,
             mask_pred: Tensor,
             labels: Tensor,
             masks: Tensor,
             num_points: int | None = None) -> Tensor:
        """Compute the cost of every pair of one sample, on one draw of random points.

        Args:
            cls_score (Tensor): Class logits (Q, K + 1).
            mask_pred (Tensor): Mask logits (Q, h, w).
            labels (Tensor): Ground-truth classes (n,).
            masks (Tensor): Ground-truth masks (n, H, W).
            num_points (int, optional): Overrides the number of points.

        Returns:
            Tensor: Costs (Q, n), float32. Where the prediction is NaN or infinite, the cost is ``FORBIDDEN_COST``.
        """
        with torch.autocast(cls_score.device.type, enabled=False):
            points = torch.rand((1, num_points or self.num_points, 2), device=mask_pred.device)
            pred = InstanceData(scores=cls_score.float(), masks=_sample(mask_pred, points))
            gt = InstanceData(labels=labels, masks=_sample(masks, points))
            cost = sum(match_cost(pred, gt) for match_cost in self.match_costs)
        return cost.nan_to_num(nan=FORBIDDEN_COST, posinf=FORBIDDEN_COST, neginf=FORBIDDEN_COST)


def _sample(masks: Tensor, points: Tensor) -> Tensor:
    """Bilinear values of masks (n, H, W) at shared points (1, P, 2) in [0, 1] (x, y): (n, P)."""
    # as channels of one image, the masks share the points without copies of them
    return point_sample(masks[None].float(), points, align_corners=False)[0]


def for_each(num_points: int | Sequence[int] | None, num_samples: int) -> Sequence[int | None]:
    """Give every sample its number of points."""
    return [num_points] * num_samples if num_points is None or isinstance(num_points, int) else num_points


def to_host(costs: list[Tensor]) -> list:
    """Copy cost matrices (Q, n_i) to arrays in host memory, with a single synchronisation of the device."""
    if not costs:
        return []
    return [cost.numpy() for cost in torch.cat(costs, dim=1).cpu().split([cost.shape[1] for cost in costs], dim=1)]


def to_device(indices: tuple, device: torch.device) -> Indices:
    """Turn the index arrays of scipy into int64 tensors on ``device``."""
    queries, objects = (torch.as_tensor(index, dtype=torch.int64, device=device) for index in indices)
    return queries, objects
