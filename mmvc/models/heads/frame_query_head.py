# Copyright (c) The mmvc contributors. All rights reserved.
"""The segmenter's head: Mask2Former (arXiv 2112.01527) with DVIS++'s re-identification branch (arXiv 2312.13305)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.layers import MLP, Mask2FormerTransformerDecoder, SinePositionalEncoding
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmvc.registry import MODELS, TASK_UTILS

from ..layers.initialization import kaiming_init_linears, xavier_init_matrices
from ..losses import deep_supervision_losses
from ..utils.queries import decode_masks


@MODELS.register_module()
class FrameQueryHead(BaseModule):
    """Mask2Former head that also returns the embeddings for tracking.

    It processes frames independently. Its state dict has the names of :class:`mmdet.Mask2FormerHead`, so that mmdet's
    checkpoints can initialise it; the re-identification branch (``reid_embed``) is the only addition. It does not
    inherit from mmdet's head, which brings losses of its own.

    Args:
        num_classes (int): Number of classes K, things and stuff together. The class logits have K + 1 channels; the
            last is the empty class.
        in_channels (Sequence[int]): Channels of the backbone's feature maps, from high to low resolution.
        feat_channels (int): Channels of the pixel decoder and of the queries.
        out_channels (int): Channels c of mask embeddings and mask features.
        num_queries (int): Number of queries Q.
        pixel_decoder (dict): Config of :class:`MSDeformAttnPixelDecoder`; channels and strides are filled in.
        transformer_decoder (dict): Arguments of :class:`mmdet.models.layers.Mask2FormerTransformerDecoder`.
        positional_encoding (dict): Arguments of :class:`mmdet.models.layers.SinePositionalEncoding`.
        criterion (dict): Config of :class:`MaskClassificationLoss`; ``num_classes`` is filled in.
        matcher (dict): Config of :class:`HungarianMaskMatcher`.
        strides (Sequence[int]): Strides of the feature maps. Defaults to (4, 8, 16, 32).
        num_transformer_feat_level (int): Feature levels that the queries attend to in turn. Defaults to 3.
        with_reid (bool): Whether there is a re-identification branch. Without it (MinVIS, DVIS), tracking uses the
            decoder's output alone, and C = hidden. Defaults to True.
        reid_channels (int): Hidden channels of the re-identification branch. Defaults to ``feat_channels``.
        reid_loss (dict, optional): Config of :class:`FrameContrastiveLoss`, which trains the branch by comparing the
            frames of a clip. Defaults to None.

    Raises:
        ValueError: The pixel decoder attends to another number of levels than the queries, or there is a
            ``reid_loss`` without a re-identification branch.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: Sequence[int],
                 feat_channels: int,
                 out_channels: int,
                 num_queries: int,
                 pixel_decoder: dict,
                 transformer_decoder: dict,
                 positional_encoding: dict,
                 criterion: dict,
                 matcher: dict,
                 strides: Sequence[int] = (4, 8, 16, 32),
                 num_transformer_feat_level: int = 3,
                 with_reid: bool = True,
                 reid_channels: int | None = None,
                 reid_loss: dict | None = None) -> None:
        super().__init__()
        num_levels = pixel_decoder['encoder']['layer_cfg']['self_attn_cfg']['num_levels']
        if num_levels != num_transformer_feat_level:
            raise ValueError(f'num_levels of the pixel decoder is {num_levels} and num_transformer_feat_level of '
                             f'FrameQueryHead is {num_transformer_feat_level}: give both the same value')
        self.num_transformer_feat_level = num_transformer_feat_level
        self.num_heads = transformer_decoder['layer_cfg']['cross_attn_cfg']['num_heads']
        self.pixel_decoder = MODELS.build({
            **pixel_decoder, 'in_channels': list(in_channels), 'strides': list(strides),
            'feat_channels': feat_channels, 'out_channels': out_channels
        })
        self.transformer_decoder = Mask2FormerTransformerDecoder(**transformer_decoder)
        self.decoder_embed_dims = self.transformer_decoder.embed_dims
        self.decoder_positional_encoding = SinePositionalEncoding(**positional_encoding)
        self.query_embed = nn.Embedding(num_queries, feat_channels)
        self.query_feat = nn.Embedding(num_queries, feat_channels)
        self.level_embed = nn.Embedding(num_transformer_feat_level, feat_channels)
        self.cls_embed = nn.Linear(feat_channels, num_classes + 1)
        self.mask_embed = nn.Sequential(
            nn.Linear(feat_channels, feat_channels), nn.ReLU(inplace=True),
            nn.Linear(feat_channels, feat_channels), nn.ReLU(inplace=True), nn.Linear(feat_channels, out_channels))
        self.criterion = MODELS.build(criterion, default_args=dict(num_classes=num_classes))
        self.matcher = TASK_UTILS.build(matcher)
        self.reid_loss = MODELS.build(reid_loss) if reid_loss else None
        self.reid_embed = None
        if with_reid:
            embed_dims = self.decoder_embed_dims
            self.reid_embed = MLP(embed_dims, reid_channels or embed_dims, embed_dims, 3)
            if self.reid_loss is None:  # without a loss; distributed training fails on parameters without gradient
                self.reid_embed.requires_grad_(False)
        elif self.reid_loss is not None:
            raise ValueError('FrameQueryHead has a `reid_loss`, but no re-identification branch that it could train: '
                             'set with_reid=True')

    def init_weights(self) -> None:
        """Xavier uniform for the decoder, Kaiming uniform for the re-identification branch, elsewhere as in mmdet."""
        self.pixel_decoder.init_weights()
        for parameter in self.transformer_decoder.parameters():
            if parameter.dim() > 1:  # mmdet draws these; drawn again below, so that a seed gives the same weights
                nn.init.xavier_normal_(parameter)
        xavier_init_matrices(self.transformer_decoder)
        if self.reid_embed is not None:
            kaiming_init_linears(self.reid_embed)

    def forward(self, feats: tuple[Tensor], aux: bool = False) -> dict[str, Tensor]:
        """Segment frames.

        Args:
            feats (tuple[Tensor]): Feature maps of N frames from high to low resolution.
            aux (bool): Whether to return the predictions of every decoder layer too, for deep supervision.

        Returns:
            dict: With Q queries, C = 2 x hidden channels, mask features of c channels and size (h, w) = input / 4:

            - ``cls_scores`` (Tensor): Class logits, shape (N, Q, K + 1).
            - ``mask_embeds`` (Tensor): Shape (N, Q, c); mask logits are their product with the mask features.
            - ``mask_features`` (Tensor): Shape (N, c, h, w).
            - ``query_embeds`` (Tensor): ``cat(norm(out), reid)``, for matching queries, shape (N, Q, C).
            - ``query_embeds_no_norm`` (Tensor): ``cat(out, reid)``, the tracker's input, shape (N, Q, C).
            - ``aux`` (list[tuple[Tensor, Tensor]]): ``(cls_scores, mask_embeds)`` of the learnable queries and of
              every layer except the last, first to last; empty without ``aux``.
        """
        mask_features, memories = self.pixel_decoder(feats)
        keys, key_pos = self._decoder_inputs(memories)
        # resizing commutes with decoding masks: resize the features once, not the masks of every query and layer
        small_features = [
            F.interpolate(mask_features.detach(), memory.shape[-2:], mode='bilinear', align_corners=False)
            for memory in memories[:self.num_transformer_feat_level]
        ]
        batch = len(mask_features)
        query_pos = self.query_embed.weight.expand(batch, -1, -1)
        query = self.query_feat.weight.expand(batch, -1, -1)
        predictions = [self._predict(query)]
        for i, layer in enumerate(self.transformer_decoder.layers):
            level = i % self.num_transformer_feat_level
            query = layer(
                query=query,
                key=keys[level],
                value=keys[level],
                query_pos=query_pos,
                key_pos=key_pos[level],
                cross_attn_mask=self._attention_mask(predictions[-1][1], small_features[level]))
            predictions.append(self._predict(query))
        cls_scores, mask_embeds = predictions.pop()
        normed = self.transformer_decoder.post_norm(query)
        reid = [] if self.reid_embed is None else [self.reid_embed(normed)]
        return dict(
            cls_scores=cls_scores,
            mask_embeds=mask_embeds,
            mask_features=mask_features,
            query_embeds=torch.cat([normed, *reid], dim=-1),
            query_embeds_no_norm=torch.cat([query, *reid], dim=-1),
            aux=predictions if aux else [])

    def loss(self,
             feats: tuple[Tensor],
             targets: list[InstanceData],
             num_frames: int | Sequence[int],
             sample_weights: Tensor | None = None) -> dict[str, Tensor]:
        """Compute the losses of stage 1: frame-wise matching, deep supervision, contrastive loss over a clip's frames.

        Args:
            feats (tuple[Tensor]): Feature maps of N = B * T frames; those of a clip follow one another.
            targets (list[InstanceData]): For each of the N frames ``labels`` (n,), ``instances_ids`` (n,) and
                ``masks`` (n, H, W) of its entities.
            num_frames (int | Sequence[int]): Frames T of a clip; of clips that are cut to their labelled frames, those
                of each clip.
            sample_weights (Tensor, optional): Weight of each frame's losses, shape (N,).

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_mask``, ``loss_dice`` of the last layer, ``d{i}.loss_*`` of the
            earlier ones, and the contrastive losses ``loss_reid`` and ``loss_aux_reid`` where configured.
        """
        out = self(feats, aux=True)
        layers = out['aux'] + [(out['cls_scores'], out['mask_embeds'])]
        cls_scores = [cls_score for cls_score, _ in layers]
        mask_preds = [decode_masks(mask_embeds, out['mask_features']) for _, mask_embeds in layers]
        indices = self.matcher.assign(cls_scores[-1], mask_preds[-1], targets)
        losses = deep_supervision_losses(
            self.criterion, self.matcher, cls_scores, mask_preds, targets, sample_weights, indices)
        if self.reid_loss is not None:
            reid = out['query_embeds'][..., self.decoder_embed_dims:]
            losses.update(self.reid_loss(reid, indices, targets, num_frames, sample_weights=sample_weights))
        return losses

    def _decoder_inputs(self, memories: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Keys (N, h * w, hidden) and position embeddings (1, h * w, hidden) of the feature levels."""
        keys, key_pos = [], []
        for level, memory in enumerate(memories[:self.num_transformer_feat_level]):
            key = memory.flatten(2).transpose(1, 2)
            keys.append(key + self.level_embed.weight[level])
            encoding = self.decoder_positional_encoding(None, input=memory[:1])
            key_pos.append(encoding.flatten(2).transpose(1, 2).to(key.dtype))
        return keys, key_pos

    def _predict(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits and mask embeddings of a layer's output (N, Q, hidden)."""
        normed = self.transformer_decoder.post_norm(query)
        return self.cls_embed(normed), self.mask_embed(normed)

    @torch.no_grad()
    def _attention_mask(self, mask_embeds: Tensor, mask_features: Tensor) -> Tensor:
        """Compute where queries must not attend: outside of their own masks (Mask2Former, Eq. 3).

        Args:
            mask_embeds (Tensor): Shape (N, Q, c).
            mask_features (Tensor): Mask features at the size of the attended level, shape (N, c, h, w).

        Returns:
            Tensor: Bool, shape (N * heads, Q, h * w), or (Q, h * w) for a single frame, whose heads share it; True =
            not attended. A query with an empty mask attends everywhere.
        """
        outside = decode_masks(mask_embeds, mask_features).flatten(2) < 0
        outside &= ~outside.all(dim=-1, keepdim=True)
        return outside[0] if len(outside) == 1 else outside.repeat_interleave(self.num_heads, dim=0)
