# Copyright (c) The mmvc contributors. All rights reserved.
"""The temporal refiner: DVIS++, arXiv 2312.13305, Sec. 3.4, with OMA's cross-attention (arXiv 2408.10627)."""

from collections.abc import Sequence
from typing import Any

from mmdet.models.layers import MLP
from mmengine.model import BaseModule, ModuleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmvc.registry import MODELS, TASK_UTILS

from ..cpu.chunking import apply_in_chunks
from ..layers.grouped_layer_norm import GroupedLayerNorm
from ..layers.initialization import zero_init_branches
from ..layers.query_layers import FRAMES_AT_ONCE, TemporalRefinerLayer
from ..losses import deep_supervision_losses
from ..losses.contrastive_terms import cut_clips
from ..utils.queries import decode_masks

_OBJECTS_AT_ONCE = 16  # when averaging over the frames of a long video


@MODELS.register_module()
class TemporalRefiner(BaseModule):
    """Refines tracked objects with the whole clip in view.

    Args:
        num_classes (int): Number of classes K; the class logits have K + 1 channels.
        embed_dims (int): Channels C of the query embeddings. Defaults to 512.
        mask_channels (int): Channels c of the mask features. Defaults to 256.
        num_layers (int): Defaults to 6.
        num_heads (int): Defaults to 8.
        feedforward_channels (int): Defaults to 2048.
        cross_attn (dict): Config of the cross-attention to the segmenter's queries; ``embed_dims`` and ``num_heads``
            are filled in. Defaults to OMA switched off: plain cross-attention.
        criterion (dict): Config of :class:`MaskClassificationLoss`; ``num_classes`` is filled in.
        matcher (dict): Config of :class:`HungarianMaskMatcher`.
        reid_loss (dict, optional): Config of :class:`TemporalContrastiveLoss`; ``num_classes`` and ``embed_dims`` are
            filled in. None trains without it. Defaults to None.
        norm_groups (int): As of :class:`ReferringTracker`. Defaults to 1.
        inherit_heads (bool): Whether class and mask heads start with what the tracker's have learnt, see
            :func:`heads_of_tracker`. They are copied when the training starts from the weights of the tracker, and
            trained. Defaults to False: random weights, as in DVIS++.
        identity_init (bool): Whether the layers start as the identity, see :func:`zero_init_branches`. Defaults to
            False: Xavier uniform, as in DVIS++.
    """

    def __init__(self,
                 num_classes: int,
                 embed_dims: int = 512,
                 mask_channels: int = 256,
                 num_layers: int = 6,
                 num_heads: int = 8,
                 feedforward_channels: int = 2048,
                 cross_attn: dict = dict(type='ObjectMaskedCrossAttention', drop_ratio=0.0),
                 criterion: dict = dict(type='MaskClassificationLoss'),
                 matcher: dict = dict(type='HungarianMaskMatcher'),
                 reid_loss: dict | None = None,
                 norm_groups: int = 1,
                 inherit_heads: bool = False,
                 identity_init: bool = False) -> None:
        super().__init__()
        self.inherit_heads = inherit_heads
        self.identity_init = identity_init
        dims = dict(embed_dims=embed_dims, num_heads=num_heads)
        self.layers = ModuleList(
            TemporalRefinerLayer(embed_dims, num_heads, feedforward_channels, MODELS.build(cross_attn,
                                                                                           default_args=dims))
            for _ in range(num_layers))
        self.post_norm = GroupedLayerNorm(embed_dims, norm_groups)
        self.cls_embed = nn.Linear(embed_dims, num_classes + 1)
        self.mask_embed = MLP(embed_dims, embed_dims, mask_channels, 3)
        self.activation_proj = nn.Linear(embed_dims, 1)
        self.criterion = MODELS.build(criterion, default_args=dict(num_classes=num_classes))
        self.matcher = TASK_UTILS.build(matcher)
        self.reid_loss = MODELS.build(
            reid_loss, default_args=dict(num_classes=num_classes, embed_dims=embed_dims)) if reid_loss else None

    def init_weights(self) -> None:
        """Xavier uniform for attention and FFN, or zero for the last matrix of each; PyTorch's default elsewhere."""
        super().init_weights()
        if self.identity_init:
            zero_init_branches(self.layers)

    def forward(self,
                track_embeds: Tensor,
                frame_embeds: Tensor,
                empty_scores: Tensor | None = None,
                aux: bool = False) -> dict[str, Any]:
        """Refine the objects of a clip.

        Args:
            track_embeds (Tensor): The tracker's output, objects aligned over time, shape (B, T, Q, C).
            frame_embeds (Tensor): The segmenter's embeddings without norm, not aligned, shape (B, T, Q, C).
            empty_scores (Tensor, optional): Their probability of the empty class by the segmenter, shape (B, T, Q),
                by which OMA drops keys. Defaults to None: OMA drops none.
            aux (bool): Whether to return the predictions of every layer too, for deep supervision.

        Returns:
            dict: One class distribution per object for the whole clip, and its masks frame by frame:

            - ``cls_scores`` (Tensor): Class logits, shape (B, Q, K + 1).
            - ``mask_embeds`` (Tensor): Shape (B, T, Q, c).
            - ``query_embeds`` (Tensor): Output after the norm, shape (B, T, Q, C).
            - ``aux`` (list[tuple[Tensor, Tensor]]): ``(cls_scores, mask_embeds)`` of every layer except the last.
        """
        x, predictions = track_embeds, []
        for i, layer in enumerate(self.layers):
            x = layer(x, frame_embeds, empty_scores)
            is_last = i == len(self.layers) - 1
            if aux or is_last:
                normed = apply_in_chunks(self.post_norm, FRAMES_AT_ONCE, 1, x)
                predictions.append(self._predict(normed))
        cls_scores, mask_embeds = predictions.pop()
        return dict(cls_scores=cls_scores, mask_embeds=mask_embeds, query_embeds=normed, aux=predictions)

    def loss(self,
             track_embeds: Tensor,
             segmented: dict[str, Tensor],
             targets: list[InstanceData],
             guidance: tuple[Tensor, Tensor] | None = None,
             sample_weights: Tensor | None = None,
             labelled: Sequence[Sequence[int]] | None = None) -> dict[str, Tensor]:
        """Compute the losses of stage 3: the masks of an object in all frames are matched and scored as one mask.

        Args:
            track_embeds (Tensor): The frozen tracker's output, shape (B, T, Q, C).
            segmented (dict[str, Tensor]): The frozen segmenter's output, see
                :meth:`DecoupledVideoSegmentor.segment`.
            targets (list[InstanceData]): For each of the B clips ``labels`` (n,) and ``masks`` (n, T, H, W).
            guidance (tuple[Tensor, Tensor], optional): Class logits (B, Q, K + 1) and mask logits (B, T, Q, h, w) of
                the tracker, which then decide the assignment for all layers. Defaults to None: the predictions of each
                layer decide its own.
            sample_weights (Tensor, optional): Weight of each clip's losses, shape (B,).
            labelled (Sequence[Sequence[int]], optional): Labelled frames of each clip, see :func:`labelled_frames`, at
                least one. Objects are refined in all frames, and the masks of these are matched and scored. Defaults
                to None: all.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_mask``, ``loss_dice`` of the last layer, ``d{i}.loss_*`` of the
            earlier ones, and ``loss_reid`` where configured.
        """
        out = self(
            track_embeds,
            segmented['query_embeds_no_norm'],
            segmented['cls_scores'].softmax(dim=-1)[..., -1],
            aux=True)
        layers = out['aux'] + [(out['cls_scores'], out['mask_embeds'])]
        cls_scores = [cls_score for cls_score, _ in layers]
        mask_features = segmented['mask_features']
        mask_preds = [_decode_tall_masks(mask_embeds, mask_features, labelled) for _, mask_embeds in layers]
        tall = [_tall_target(target, None if labelled is None else labelled[clip])
                for clip, target in enumerate(targets)]
        # as many points per frame as for single frames
        num_points = self.criterion.num_points * track_embeds.shape[1] if labelled is None else [
            self.criterion.num_points * len(frames) for frames in labelled]
        guide_cls, guide_masks = (cls_scores[-1], mask_preds[-1]) if guidance is None else (
            guidance[0], _stack_clips(guidance[1], labelled))
        indices = self.matcher.assign(guide_cls, guide_masks, tall, num_points)
        losses = deep_supervision_losses(
            self.criterion,
            self.matcher,
            cls_scores,
            mask_preds,
            tall,
            sample_weights,
            indices,
            guides_all_layers=guidance is not None,
            num_points=num_points)
        if self.reid_loss is not None:
            losses.update(self.reid_loss(out['query_embeds'], indices, targets, sample_weights, labelled))
        return losses

    def _predict(self, normed: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (B, Q, K + 1) of the weighted mean over time, and mask embeddings (B, T, Q, c) per frame."""
        weights = self.activation_proj(normed).softmax(dim=1)
        means = apply_in_chunks(_sum_over_time, _OBJECTS_AT_ONCE, 2, normed, weights)[:, 0]
        return self.cls_embed(means), apply_in_chunks(self.mask_embed, FRAMES_AT_ONCE, 1, normed)


def _sum_over_time(x: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of embeddings (B, T, q, C) with the weights (B, T, q, 1): shape (B, 1, q, C)."""
    return (x * weights).sum(dim=1, keepdim=True)


def _stack_frames(masks: Tensor) -> Tensor:
    """Stack the masks of an object vertically: (..., T, Q, h, w) -> (..., Q, T * h, w)."""
    return masks.transpose(-4, -3).flatten(-3, -2)


def _stack_clips(masks: Tensor, labelled: Sequence[Sequence[int]] | None) -> Tensor | list[Tensor]:
    """Stack the masks of all frames, (B, Q, T * h, w), or of the labelled ones, B tensors (Q, t * h, w)."""
    if labelled is None:
        return _stack_frames(masks)
    return [_stack_frames(clip) for clip in cut_clips(masks, labelled)]


def _decode_tall_masks(mask_embeds: Tensor, mask_features: Tensor,
                       labelled: Sequence[Sequence[int]] | None) -> Tensor | list[Tensor]:
    """Decode and stack the masks of all frames, or of the labelled ones; see :func:`_stack_clips`."""
    if labelled is None:
        return _stack_frames(decode_masks(mask_embeds, mask_features))
    clips = zip(cut_clips(mask_embeds, labelled), cut_clips(mask_features, labelled))
    return [_stack_frames(decode_masks(embeds, features)) for embeds, features in clips]


def _tall_target(target: InstanceData, frames: Sequence[int] | None) -> InstanceData:
    """Objects of a clip whose masks in all frames, or in the labelled ones, are one mask."""
    masks = target.masks if frames is None else target.masks[:, list(frames)]
    return InstanceData(labels=target.labels, masks=masks.flatten(1, 2))
