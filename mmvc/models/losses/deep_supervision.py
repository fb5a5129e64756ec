# Copyright (c) The mmvc contributors. All rights reserved.
"""Deep supervision: the same losses on the output of every decoder layer."""

from collections.abc import Sequence

from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmvc.models.task_modules.assigners import HungarianMaskMatcher
from mmvc.utils.typing import Indices

from ..utils.targets import flat_positions


def deep_supervision_losses(criterion: nn.Module,
                            matcher: HungarianMaskMatcher,
                            cls_scores_list: list[Tensor],
                            mask_preds_list: Sequence[Tensor | Sequence[Tensor]],
                            targets: list[InstanceData],
                            sample_weights: Tensor | None = None,
                            indices: list[Indices] | None = None,
                            guides_all_layers: bool = False,
                            num_points: int | Sequence[int] | None = None,
                            labelled: Sequence[Sequence[int]] | None = None) -> dict[str, Tensor]:
    """Match and score every decoder layer, the final one first.

    Predictions are either independent samples, (N, Q, ...) with targets as for :class:`HungarianMaskMatcher`, or
    clips, (B, T, Q, ...) with targets as for :class:`ClipHungarianMatcher`: the assignment of a clip then serves all
    its frames, and the losses are those of B * T frames.

    Args:
        criterion (nn.Module): A :class:`MaskClassificationLoss`.
        matcher (HungarianMaskMatcher): The matcher that suits the predictions.
        cls_scores_list (list[Tensor]): Class logits of the layers, from the first to the final one.
        mask_preds_list (Sequence[Tensor | Sequence[Tensor]]): Mask logits of the layers. Those of independent samples
            may differ in height, see :class:`MaskClassificationLoss`.
        targets (list[InstanceData]): One entry per sample, or per clip.
        sample_weights (Tensor, optional): Weights of the losses, one per sample, or per clip.
        indices (list[tuple[Tensor, Tensor]], optional): Assignment of the final layer. Defaults to None: the matcher
            finds it.
        guides_all_layers (bool): Whether ``indices`` are the assignment of the other layers too; otherwise the matcher
            finds one for each of them. Defaults to False.
        num_points (int | Sequence[int], optional): Overrides the number of points of matcher and criterion; of samples
            that differ in height, one number for each.
        labelled (Sequence[Sequence[int]], optional): Labelled frames of each clip, see :func:`labelled_frames`. The
            others count in no loss and no divisor. Defaults to None: all frames are labelled.

    Returns:
        dict[str, Tensor]: ``loss_cls``, ``loss_mask``, ``loss_dice`` of the final layer and ``d<i>.loss_*`` of layer i
        before it.
    """
    final = len(cls_scores_list) - 1
    are_clips = cls_scores_list[final].dim() == 4
    num_frames = cls_scores_list[final].shape[1] if are_clips else 1
    scored_targets = _frames_of(targets, labelled) if are_clips else targets
    positions = None if labelled is None else flat_positions(labelled, num_frames)
    if sample_weights is not None:
        sample_weights = sample_weights.repeat_interleave(num_frames)
    losses = {}
    for i in (final, *range(final)):  # random points are drawn in this order
        cls_scores, mask_preds = cls_scores_list[i], mask_preds_list[i]
        layer_indices = indices if i == final or guides_all_layers else None
        if layer_indices is None:
            layer_indices = matcher.assign(cls_scores, mask_preds, targets, num_points)
        if are_clips:
            cls_scores, mask_preds = cls_scores.flatten(0, 1), mask_preds.flatten(0, 1)
            layer_indices = [(queries, objects) if labelled is None or t in labelled[clip] else
                             (queries[:0], objects[:0])
                             for clip, (queries, objects) in enumerate(layer_indices) for t in range(num_frames)]
        layer_losses = criterion(cls_scores, mask_preds, scored_targets, layer_indices, sample_weights, num_points,
                                 positions)
        losses.update({name if i == final else f'd{i}.{name}': loss for name, loss in layer_losses.items()})
    return losses


def _frames_of(clip_targets: list[InstanceData], labelled: Sequence[Sequence[int]] | None) -> list[InstanceData]:
    """Split clips into frames; in frames without an object, its index and label stay and its mask is empty.

    Frames that are not labelled have no objects.
    """
    return [
        InstanceData(labels=target.labels, masks=masks) if labelled is None or t in labelled[clip] else
        InstanceData(labels=target.labels[:0], masks=masks[:0])
        for clip, target in enumerate(clip_targets) for t, masks in enumerate(target.masks.unbind(1))
    ]
