# Copyright (c) The mmvc contributors. All rights reserved.
"""The referring tracker: DVIS++, arXiv 2312.13305, Sec. 3.3."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models.layers import MLP
from mmengine.model import BaseModule, ModuleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmvc.registry import MODELS, TASK_UTILS

from ..layers.grouped_layer_norm import GroupedLayerNorm
from ..layers.initialization import kaiming_init_linears, zero_init_branches
from ..layers.query_layers import ReferringTrackerLayer
from ..losses import deep_supervision_losses
from ..utils.queries import decode_masks, match_queries, reorder_queries


@dataclass
class TrackerState:
    """State of the tracker after a frame, from which it continues with the next one.

    Attributes:
        output (Tensor): Output of the last layer, in the order of the objects, shape (B, Q, C).
        query_embeds (Tensor): The segmenter's normed embeddings, in the order of the objects, shape (B, Q, C).
    """

    output: Tensor
    query_embeds: Tensor


@MODELS.register_module()
class ReferringTracker(BaseModule):
    """Tracks objects from frame to frame by denoising their queries.

    A video may come in windows: the state returned for one window is given with the next. The result is that of the
    whole video at once. Gradients flow back through time.

    Args:
        num_classes (int): Number of classes K; the class logits have K + 1 channels.
        embed_dims (int): Channels C of the query embeddings, twice the segmenter's hidden channels. Defaults to 512.
        mask_channels (int): Channels c of the mask features. Defaults to 256.
        num_layers (int): Defaults to 6.
        num_heads (int): Defaults to 8.
        feedforward_channels (int): Defaults to 2048.
        noise (dict): Config of :class:`QueryNoise`, used in training only. Defaults to weighted averaging, 0.5.
        criterion (dict): Config of :class:`MaskClassificationLoss`; ``num_classes`` is filled in.
        matcher (dict): Config of :class:`ClipHungarianMatcher`.
        reid_loss (dict, optional): Config of :class:`ReferenceContrastiveLoss`. None trains without it. Defaults to
            None.
        norm_groups (int): Groups of channels that the norm before the heads treats apart: 2 for the segmenter's
            queries and their embeddings for re-identification. Defaults to 1: one norm, as in DVIS++.
        inherit_heads (bool): Whether class and mask heads start with what the segmenter's have learnt, see
            :func:`heads_of_segmenter`. They are copied when the training starts from the weights of the segmenter,
            and trained. Defaults to False: random weights, as in DVIS++.
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
                 noise: dict = dict(type='QueryNoise', mode='wa', prob=0.5),
                 criterion: dict = dict(type='MaskClassificationLoss'),
                 matcher: dict = dict(type='ClipHungarianMatcher'),
                 reid_loss: dict | None = None,
                 norm_groups: int = 1,
                 inherit_heads: bool = False,
                 identity_init: bool = False) -> None:
        super().__init__()
        self.inherit_heads = inherit_heads
        self.identity_init = identity_init
        self.layers = ModuleList(
            ReferringTrackerLayer(embed_dims, num_heads, feedforward_channels) for _ in range(num_layers))
        self.post_norm = GroupedLayerNorm(embed_dims, norm_groups)
        self.ref_proj = MLP(embed_dims, embed_dims, embed_dims, 3)
        self.cls_embed = nn.Linear(2 * embed_dims, num_classes + 1)
        self.mask_embed = MLP(embed_dims, embed_dims, mask_channels, 3)
        self.mask_feature_proj = nn.Conv2d(mask_channels, mask_channels, 1)
        self.noise = MODELS.build(noise)
        self.criterion = MODELS.build(criterion, default_args=dict(num_classes=num_classes))
        self.matcher = TASK_UTILS.build(matcher)
        self.reid_loss = MODELS.build(reid_loss) if reid_loss else None

    def init_weights(self) -> None:
        """Xavier uniform for the layers, Kaiming uniform for the reference projection, PyTorch's default elsewhere."""
        super().init_weights()
        kaiming_init_linears(self.ref_proj)
        if self.identity_init:
            zero_init_branches(self.layers)

    def forward(self,
                query_embeds: Tensor,
                query_embeds_no_norm: Tensor,
                state: TrackerState | None = None,
                aux: bool = False) -> tuple[dict[str, Any], TrackerState]:
        """Track objects through consecutive frames.

        Args:
            query_embeds (Tensor): The segmenter's normed embeddings, used for matching only, shape (B, T, Q, C).
            query_embeds_no_norm (Tensor): The same without norm, shape (B, T, Q, C).
            state (TrackerState, optional): State returned by an earlier call, to continue its video. Defaults to None:
                the video begins.
            aux (bool): Whether to return the predictions of every layer too, for deep supervision.

        Returns:
            tuple[dict, TrackerState]: The state after the last frame, and

            - ``cls_scores`` (Tensor): Class logits, shape (B, T, Q, K + 1).
            - ``mask_embeds`` (Tensor): Shape (B, T, Q, c), to be multiplied with :meth:`project` of the mask features.
            - ``query_embeds`` (Tensor): Output before the norm, shape (B, T, Q, C); the refiner's input.
            - ``references`` (Tensor): Reference of every object and frame, shape (B, T, Q, C).
            - ``indices`` (Tensor): int64, shape (B, T, Q): the segmenter's query assigned to each object.
            - ``aux`` (list[tuple[Tensor, Tensor]]): ``(cls_scores, mask_embeds)`` of every layer except the last.
        """
        outputs, references, indices = [], [], []
        for normed, embeds in zip(query_embeds.unbind(1), query_embeds_no_norm.unbind(1)):
            if state is None:
                layer_outputs, reference = self._track_first_frame(embeds)
                index = torch.arange(embeds.shape[1], device=embeds.device).expand(len(embeds), -1)
            else:
                reference = self.ref_proj(state.output)
                if self.noise.is_drawn():
                    identity, index = self.noise(embeds)
                else:
                    index = match_queries(state.query_embeds, normed)
                    identity = reorder_queries(embeds, index)
                layer_outputs = []
                for layer in self.layers:
                    identity = layer(identity, reference, embeds)
                    layer_outputs.append(identity)
            state = TrackerState(layer_outputs[-1], reorder_queries(normed, index))
            outputs.append(torch.stack(layer_outputs if aux else layer_outputs[-1:]))
            references.append(reference)
            indices.append(index)
        assert state is not None  # a clip has frames
        of_layers = torch.stack(outputs, dim=2)  # (layers or last layer, B, T, Q, C)
        of_frames = torch.stack(references, dim=1)
        predictions = [self._predict(x, of_frames) for x in of_layers]
        cls_scores, mask_embeds = predictions.pop()
        out = dict(
            cls_scores=cls_scores,
            mask_embeds=mask_embeds,
            query_embeds=of_layers[-1],
            references=of_frames,
            indices=torch.stack(indices, dim=1),
            aux=predictions)
        return out, state

    def loss(self,
             segmented: dict[str, Tensor],
             targets: list[InstanceData],
             guided: bool,
             sample_weights: Tensor | None = None,
             labelled: Sequence[Sequence[int]] | None = None) -> dict[str, Tensor]:
        """Compute the losses of stage 2: one assignment per clip, deep supervision, contrastive loss of references.

        Args:
            segmented (dict[str, Tensor]): The frozen segmenter's output, see
                :meth:`DecoupledVideoSegmentor.segment`.
            targets (list[InstanceData]): For each of the B clips ``labels`` (n,), ``masks`` (n, T, H, W) and
                ``present`` (n, T) of its objects.
            guided (bool): Whether the segmenter's predictions decide the assignment for all layers; otherwise the
                predictions of each layer decide its own.
            sample_weights (Tensor, optional): Weight of each clip's losses, shape (B,).
            labelled (Sequence[Sequence[int]], optional): Labelled frames of each clip, see :func:`labelled_frames`.
                Objects are tracked through all frames, and only these have losses. Defaults to None: all.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_mask``, ``loss_dice`` of the last layer, ``d{i}.loss_*`` of the
            earlier ones, and ``loss_reid`` where configured.
        """
        out, _ = self(segmented['query_embeds'], segmented['query_embeds_no_norm'], aux=True)
        mask_features = self.project(segmented['mask_features'])
        layers = out['aux'] + [(out['cls_scores'], out['mask_embeds'])]
        cls_scores = [cls_score for cls_score, _ in layers]
        mask_preds = [decode_masks(mask_embeds, mask_features) for _, mask_embeds in layers]
        if guided:
            order = out['indices'].flatten(0, 1)
            guide_cls, guide_embeds = (
                reorder_queries(segmented[name].flatten(0, 1), order).view_as(segmented[name])
                for name in ('cls_scores', 'mask_embeds'))
            indices = self.matcher.assign(guide_cls, decode_masks(guide_embeds, segmented['mask_features']), targets)
        else:
            indices = self.matcher.assign(cls_scores[-1], mask_preds[-1], targets)
        losses = deep_supervision_losses(self.criterion, self.matcher, cls_scores, mask_preds, targets, sample_weights,
                                         indices, guides_all_layers=guided, labelled=labelled)
        if self.reid_loss is not None:
            losses.update(self.reid_loss(out['references'], indices, sample_weights, labelled))
        return losses

    def project(self, mask_features: Tensor) -> Tensor:
        """Apply the tracker's own 1 x 1 convolution to the mask features.

        Args:
            mask_features (Tensor): Shape (..., c, h, w).

        Returns:
            Tensor: Shape (..., c, h, w).
        """
        return self.mask_feature_proj(mask_features.flatten(0, -4)).view_as(mask_features)

    def _track_first_frame(self, embeds: Tensor) -> tuple[list[Tensor], Tensor]:
        """Start an object from every query: in each layer it is its own reference. There is no noise."""
        outputs, identity = [], embeds
        for layer in self.layers:
            identity = layer(identity, self.ref_proj(identity), embeds)
            outputs.append(identity)
        return outputs, self.ref_proj(embeds)

    def _predict(self, output: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits and mask embeddings of a layer's output (B, T, Q, C)."""
        normed = self.post_norm(output)
        return self.cls_embed(torch.cat([references, normed], dim=-1)), self.mask_embed(normed)
