# Copyright (c) The mmvc contributors. All rights reserved.
"""The same loss on the output of every decoder layer."""

from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmvc.models.task_modules.assigners import HungarianMaskMatcher
from mmvc.utils.typing import Indices


def deep_supervision_losses(criterion: nn.Module,
                            matcher: HungarianMaskMatcher,
                            cls_scores_list: list[Tensor],
                            mask_preds_list: list[Tensor],
                            targets: list[InstanceData],
                            sample_weights: Tensor | None = None,
                            indices: list[Indices] | None = None,
                            final_indices: list[Indices] | None = None,
                            num_points: int | None = None) -> dict[str, Tensor]:
    """Match and score every decoder layer, the final one first.

    Predictions are either samples of their own, (N, Q, ...) with targets as :class:`HungarianMaskMatcher` takes them,
    or clips, (B, T, Q, ...) with targets as :class:`ClipHungarianMatcher` takes them: the assignment of a clip then
    serves all its frames, and the losses are those of B * T frames.

    Args:
        criterion (nn.Module): A :class:`MaskClassificationLoss`.
        matcher (HungarianMaskMatcher): The matcher that suits the predictions.
        cls_scores_list (list[Tensor]): Class logits of the layers, from the first to the final one.
        mask_preds_list (list[Tensor]): Mask logits of the layers.
        targets (list[InstanceData]): One entry per sample, or per clip.
        sample_weights (Tensor, optional): Factors on the losses, one per sample, or per clip.
        indices (list[tuple[Tensor, Tensor]], optional): An assignment that guides all layers. Without it each layer is
            matched anew.
        final_indices (list[tuple[Tensor, Tensor]], optional): The final layer's assignment, where the caller has
            matched it already; the other layers are matched anew.
        num_points (int, optional): Overrides the number of points of matcher and criterion.

    Returns:
        dict[str, Tensor]: ``loss_cls``, ``loss_mask``, ``loss_dice`` of the final layer and ``d<i>.loss_*`` of layer i
        before it.
    """
    final = len(cls_scores_list) - 1
    losses = {}
    for i in (final, *range(final)):  # random points are drawn in this order
        cls_scores, mask_preds = cls_scores_list[i], mask_preds_list[i]
        layer_indices = final_indices if indices is None and i == final else indices
        if layer_indices is None:
            layer_indices = matcher.assign(cls_scores, mask_preds, targets, num_points)
        layer_targets, layer_weights = targets, sample_weights
        if cls_scores.dim() == 4:
            num_frames = cls_scores.shape[1]
            cls_scores, mask_preds = cls_scores.flatten(0, 1), mask_preds.flatten(0, 1)
            layer_targets = _frames_of(targets)
            layer_indices = [pair for pair in layer_indices for _ in range(num_frames)]
            layer_weights = None if sample_weights is None else sample_weights.repeat_interleave(num_frames)
        layer_losses = criterion(cls_scores, mask_preds, layer_targets, layer_indices, layer_weights, num_points)
        losses.update({name if i == final else f'd{i}.{name}': loss for name, loss in layer_losses.items()})
    return losses


def _frames_of(clip_targets: list[InstanceData]) -> list[InstanceData]:
    """Spread clips over their frames; an object keeps its index and label, and an empty mask, where it is not seen."""
    return [
        InstanceData(labels=target.labels, masks=masks) for target in clip_targets for masks in target.masks.unbind(1)
    ]
