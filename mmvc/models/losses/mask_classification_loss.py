# Copyright (c) The mmvc contributors. All rights reserved.
"""Losses of mask classification: for the classes of all queries, and for the masks of matched queries."""

from collections.abc import Sequence

import torch
from mmcv.ops import point_sample
from mmdet.models.utils import get_uncertain_point_coords_with_randomness
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmvc.registry import MODELS
from mmvc.utils.typing import Indices

from ..utils.point_sampling import sample_points


@MODELS.register_module()
class MaskClassificationLoss(nn.Module):
    """Classification loss over all queries, point-wise cross-entropy and dice loss over the matched masks.

    Mask losses are computed on ``num_points`` points per mask: a share ``importance_sample_ratio`` of them are the
    most uncertain of ``num_points * oversample_ratio`` random points, the others are random. The classification loss
    is a mean weighted by class; mask losses are sums over masks divided by the number of masks. Both divisors are
    averaged over all processes, so that the averaged gradients are those of one process with the whole batch.
    Everything is computed in float32, also under autocast.

    Source: Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation" (Mask2Former,
    arXiv 2112.01527).

    Args:
        num_classes (int): Number K of classes without the empty one, which is the last logit.
        loss_cls (dict, optional): Config of the classification loss; must have ``class_weight`` of K + 1 values.
            Defaults to cross-entropy, weight 2, the empty class weighted 0.1.
        loss_mask (dict, optional): Config of the point-wise loss. Defaults to binary cross-entropy, weight 5.
        loss_dice (dict, optional): Config of the overlap loss. Defaults to dice, weight 5.
        num_points (int): Points per mask. Defaults to 12544.
        oversample_ratio (float): At least 1. Defaults to 3.
        importance_sample_ratio (float): In [0, 1]. Defaults to 0.75.
    """

    def __init__(self,
                 num_classes: int,
                 loss_cls: dict | None = None,
                 loss_mask: dict | None = None,
                 loss_dice: dict | None = None,
                 num_points: int = 12544,
                 oversample_ratio: float = 3.0,
                 importance_sample_ratio: float = 0.75) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_points = num_points
        self.oversample_ratio = oversample_ratio
        self.importance_sample_ratio = importance_sample_ratio
        self.loss_cls = MODELS.build(
            loss_cls or dict(type='mmdet.CrossEntropyLoss', loss_weight=2.0, class_weight=[1.0] * num_classes + [0.1]))
        self.loss_mask = MODELS.build(
            loss_mask or dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=5.0))
        self.loss_dice = MODELS.build(
            loss_dice or dict(type='mmdet.DiceLoss', naive_dice=True, eps=1.0, loss_weight=5.0))
        if len(self.loss_cls.class_weight or []) != num_classes + 1:
            raise ValueError(f'`class_weight` of loss_cls must have num_classes + 1 = {num_classes + 1} values, the '
                             f'last one for the empty class, but it is {self.loss_cls.class_weight}')

    def forward(self,
                cls_scores: Tensor,
                mask_preds: Tensor,
                targets: list[InstanceData],
                indices: list[Indices],
                sample_weights: Tensor | None = None,
                num_points: int | Sequence[int] | None = None,
                labelled: Sequence[int] | None = None) -> dict[str, Tensor]:
        """Compute the three losses of one decoder layer.

        Args:
            cls_scores (Tensor): Class logits (N, Q, K + 1).
            mask_preds (Tensor | Sequence[Tensor]): Mask logits (N, Q, h, w). A clip refined as a whole is one tall
                mask (T * h, w). Masks of different heights are given as N tensors (Q, h_i, w).
            targets (list[InstanceData]): N samples with ``labels`` (n,) and ``masks`` (n, H, W).
            indices (list[tuple[Tensor, Tensor]]): N pairs of matched query and ground-truth indices.
            sample_weights (Tensor, optional): Weight of each sample's losses (N,). It does not change the divisors.
            num_points (int | Sequence[int], optional): Overrides the number of points, for tall masks; of masks of
                different heights, one number for each sample.
            labelled (Sequence[int], optional): Indices of the samples whose queries have a class. The others, which
                have no target, count in no loss and no divisor. Defaults to None: all.

        Returns:
            dict[str, Tensor]: Scalars ``loss_cls``, ``loss_mask``, ``loss_dice``, multiplied by their loss weights.
            Without matched masks the latter two are zeros that depend on ``mask_preds``.
        """
        with torch.autocast(cls_scores.device.type, enabled=False):
            labels, cls_weights = self._labels(cls_scores, targets, indices), sample_weights
            if labelled is not None:
                rows = torch.tensor(labelled, dtype=torch.int64, device=cls_scores.device)
                cls_scores, labels = cls_scores.index_select(0, rows), labels.index_select(0, rows)
                cls_weights = None if sample_weights is None else sample_weights.to(rows.device).index_select(0, rows)
            class_weight = cls_scores.new_tensor(self.loss_cls.class_weight, dtype=torch.float32)[labels]
            num_masks = class_weight.new_tensor(sum(len(target.labels) for target in targets))
            # a collective: every process takes part, also one without masks
            class_factor, num_masks = reduce_mean(torch.stack([class_weight.sum(), num_masks])).unbind()
            loss_cls = self._classification(cls_scores.float(), labels, cls_weights, class_factor)
            loss_mask, loss_dice = self._masks(mask_preds, targets, indices, sample_weights, num_masks,
                                               num_points or self.num_points)
        return dict(loss_cls=loss_cls, loss_mask=loss_mask, loss_dice=loss_dice)

    def _labels(self, cls_scores: Tensor, targets: list[InstanceData], indices: list[Indices]) -> Tensor:
        """Class of every query (N, Q); that of unmatched queries is the empty class."""
        labels = cls_scores.new_full(cls_scores.shape[:2], self.num_classes, dtype=torch.int64)
        for label, target, (query_inds, gt_inds) in zip(labels, targets, indices):
            label[query_inds] = target.labels[gt_inds]
        return labels

    def _classification(self, cls_scores: Tensor, labels: Tensor, sample_weights: Tensor | None,
                        avg_factor: Tensor) -> Tensor:
        """Cross-entropy over all queries."""
        weights = None
        if sample_weights is not None:
            weights = sample_weights.to(cls_scores)[:, None].expand_as(labels).flatten()
        return self.loss_cls(cls_scores.flatten(0, 1), labels.flatten(), weights, avg_factor=avg_factor)

    def _masks(self, mask_preds: Tensor | Sequence[Tensor], targets: list[InstanceData], indices: list[Indices],
               sample_weights: Tensor | None, num_masks: Tensor,
               num_points: int | Sequence[int]) -> tuple[Tensor, Tensor]:
        """Point-wise and overlap loss of the matched masks; those of one height are computed at once."""
        if isinstance(num_points, int):
            return self._masks_of_one_height(mask_preds, targets, indices, sample_weights, num_masks, num_points)
        losses = []
        for points in dict.fromkeys(num_points):
            same = [i for i, number in enumerate(num_points) if number == points]
            losses.append(
                self._masks_of_one_height([mask_preds[i] for i in same], [targets[i] for i in same],
                                          [indices[i] for i in same],
                                          None if sample_weights is None else sample_weights[same], num_masks, points))
        of_masks, of_dice = zip(*losses)
        return torch.stack(of_masks).sum(), torch.stack(of_dice).sum()

    def _masks_of_one_height(self, mask_preds: Tensor | Sequence[Tensor], targets: list[InstanceData],
                             indices: list[Indices], sample_weights: Tensor | None, num_masks: Tensor,
                             num_points: int) -> tuple[Tensor, Tensor]:
        """Losses of masks that have the same number of points."""
        matched = torch.cat([pred[query_inds] for pred, (query_inds, _) in zip(mask_preds, indices)])
        if not len(matched):
            zero = matched.sum(dtype=torch.float32)  # depends on `mask_preds` and cannot overflow
            return zero, zero

        matched = matched[:, None].float()
        with torch.no_grad():
            points = get_uncertain_point_coords_with_randomness(matched, None, num_points, self.oversample_ratio,
                                                                self.importance_sample_ratio)
            sizes = [len(query_inds) for query_inds, _ in indices]
            point_targets = torch.cat([
                point_sample(target.masks[gt_inds][:, None].float(), point)[:, 0]
                for target, (_, gt_inds), point in zip(targets, indices, points.split(sizes))
            ])
        point_preds = sample_points(matched, points)[:, 0]

        weights = point_weights = None
        if sample_weights is not None:
            weights = sample_weights.to(point_preds).repeat_interleave(torch.tensor(sizes, device=matched.device))
            point_weights = weights[:, None].expand_as(point_preds).flatten()
        loss_dice = self.loss_dice(point_preds, point_targets, weights, avg_factor=num_masks)
        loss_mask = self.loss_mask(
            point_preds.flatten(), point_targets.flatten(), point_weights, avg_factor=num_masks * num_points)
        return loss_mask, loss_dice
