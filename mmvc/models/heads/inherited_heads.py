# Copyright (c) The mmvc contributors. All rights reserved.
"""Start the class and mask heads of a stage with those of the stage before.

The published trainings of DVIS (arXiv 2306.03413), DVIS++ (arXiv 2312.13305) and DVIS-DAQ (arXiv 2404.00086) start the
heads of tracker and refiner from random weights. Their stages are long enough to learn them again. In a short training
a stage must not lose what the stage before has learnt, so its heads start with the same function. Where the new head
is wider, it is extended as in Net2Net (Chen et al., arXiv 1511.05641): new inputs and outputs start without effect,
and learn.
"""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from .frame_query_head import FrameQueryHead
from .referring_tracker import ReferringTracker
from .temporal_refiner import TemporalRefiner

_FINAL = 2  # index of the last layer of a mask head


def heads_of_segmenter(weights: Mapping[str, Tensor], tracker: ReferringTracker) -> dict[str, Tensor]:
    """Weights of a tracker's heads that predict what the segmenter predicts.

    The tracker's query is the segmenter's, with the embedding for re-identification behind it; the norm treats the
    two apart (``norm_groups``).

    Args:
        weights (Mapping[str, Tensor]): State dict of a :class:`FrameQueryHead`.
        tracker (ReferringTracker): It is not changed.

    Returns:
        dict[str, Tensor]: Weights by their name in the tracker.
    """
    own = {name: value.clone() for name, value in tracker.state_dict().items()}
    hidden, channels = weights['cls_embed.weight'].shape[1], own['post_norm.weight'].numel()
    for name in ('weight', 'bias'):
        own[f'post_norm.{name}'].flatten()[:hidden] = weights[f'transformer_decoder.post_norm.{name}']
    own['cls_embed.weight'].zero_()  # references and re-identification have no part in it yet
    own['cls_embed.weight'][:, channels:channels + hidden] = weights['cls_embed.weight']
    own['cls_embed.bias'].copy_(weights['cls_embed.bias'])
    for layer, source in enumerate((0, 2, 4)):
        matrix, bias = own[f'mask_embed.layers.{layer}.weight'], own[f'mask_embed.layers.{layer}.bias']
        given = weights[f'mask_embed.{source}.weight']
        if layer == _FINAL:
            matrix.zero_()
        matrix[:len(given)] = 0  # what the new channels say
        matrix[:len(given), :given.shape[1]] = given
        bias[:len(given)] = weights[f'mask_embed.{source}.bias']
    own['mask_feature_proj.weight'].copy_(torch.eye(len(own['mask_feature_proj.bias']))[..., None, None])
    own['mask_feature_proj.bias'].zero_()
    return _heads(own)


def heads_of_tracker(weights: Mapping[str, Tensor], refiner: TemporalRefiner) -> dict[str, Tensor]:
    """Weights of a refiner's heads that predict what the tracker predicts, as far as a refiner can.

    A refiner has no references, and uses the segmenter's mask features. So the references' part of the class logits
    and the bias of the tracker's ``mask_feature_proj`` are left out. The class is that of the plain mean over time.

    Args:
        weights (Mapping[str, Tensor]): State dict of a :class:`ReferringTracker`.
        refiner (TemporalRefiner): It is not changed.

    Returns:
        dict[str, Tensor]: Weights by their name in the refiner.
    """
    own = {name: value.clone() for name, value in refiner.state_dict().items()}
    own.update({name: weights[name] for name in own if name.startswith(('post_norm.', 'mask_embed.'))})
    own['cls_embed.weight'] = weights['cls_embed.weight'][:, -own['cls_embed.weight'].shape[1]:].clone()
    own['cls_embed.bias'] = weights['cls_embed.bias']
    projection = weights['mask_feature_proj.weight'][..., 0, 0].T
    for name in ('weight', 'bias'):
        own[f'mask_embed.layers.{_FINAL}.{name}'] = projection @ weights[f'mask_embed.layers.{_FINAL}.{name}']
        own[f'activation_proj.{name}'].zero_()
    return _heads(own)


def require_inheritable(head: FrameQueryHead, tracker: ReferringTracker) -> None:
    """Raise an error unless a tracker can start with the heads of a segmenter.

    Args:
        head (FrameQueryHead): The segmenter's head.
        tracker (ReferringTracker): The tracker.

    Raises:
        ValueError: Channels differ; the message names the settings.
    """
    hidden, group = head.cls_embed.in_features, tracker.post_norm.weight.numel() // tracker.post_norm.num_groups
    if hidden != group:
        raise ValueError(f'inherit_heads of the tracker: the segmenter has {hidden} hidden channels, and each of the '
                         f'{tracker.post_norm.num_groups} groups of the tracker\'s norm has {group}. Set '
                         'norm_groups of the tracker to embed_dims / hidden channels: 2 with re-identification, 1 '
                         'without')
    given, own = cast(nn.Linear, head.mask_embed[-1]).out_features, tracker.mask_feature_proj.in_channels
    if given != own:
        raise ValueError(f'inherit_heads of the tracker: the segmenter\'s mask embeddings have {given} channels '
                         f'(out_channels of its head), those of the tracker {own} (mask_channels): give both the same '
                         'value')


def require_same_norms(tracker: ReferringTracker, refiner: TemporalRefiner) -> None:
    """Raise an error unless a refiner can start with the heads of a tracker.

    Args:
        tracker (ReferringTracker): The tracker.
        refiner (TemporalRefiner): The refiner.

    Raises:
        ValueError: Their norms have different groups.
    """
    groups = tracker.post_norm.num_groups, refiner.post_norm.num_groups
    if groups[0] != groups[1]:
        raise ValueError(f'inherit_heads of the refiner: the tracker has norm_groups={groups[0]} and the refiner '
                         f'norm_groups={groups[1]}: give both the same value')


def _heads(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the heads among those of a stage's module."""
    heads = ('post_norm.', 'cls_embed.', 'mask_embed.', 'mask_feature_proj.', 'activation_proj.')
    return {name: value for name, value in weights.items() if name.startswith(heads)}
