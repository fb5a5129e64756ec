# Copyright (c) The mmvc contributors. All rights reserved.
"""Recognising the backbone of a checkpoint, and the names of its parameters."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mmvc.models.backbones import DINOv2ViTAdapter
from mmvc.models.backbones.dinov2_vit_adapter import ARCHITECTURES

from .loading import OfficialWeightsError
from .rules import RESNET_RULES, SWIN_RULES, Entry, count_layers, expand, own_side

_RESNETS: dict[tuple[int, ...], int] = {(3, 4, 6, 3): 50, (3, 4, 23, 3): 101, (3, 8, 36, 3): 152}
_SWINS = {(96, 6): 'T', (96, 18): 'S', (128, 18): 'B', (192, 18): 'L'}


def backbone_entries(weights: Mapping[str, Tensor]) -> tuple[str, dict[str, Entry]]:
    """Recognise a backbone.

    Args:
        weights (Mapping[str, Tensor]): Weights of a backbone of detectron2 or mmdet, without the prefix ``backbone.``.

    Returns:
        tuple[str, dict[str, Entry]]: Its name, e.g. ``ResNet-50``, and the parameters that it must have.

    Raises:
        OfficialWeightsError: If it is neither a ResNet, nor a Swin Transformer, nor a ViT-Adapter on DINOv2.
    """
    if 'vit_module.pos_embed' in weights:
        return _vit_adapter(weights)
    if 'stem.conv1.weight' in weights or 'layer1.0.conv1.weight' in weights:
        own = 'conv1.weight' in weights
        stages = [f'layer{i}.' if own else f'res{i + 1}.' for i in (1, 2, 3, 4)]
        depth = _RESNETS.get(tuple(count_layers(weights, stage) for stage in stages), '?')
        return f'ResNet-{depth}', expand(own_side(RESNET_RULES) if own else RESNET_RULES, weights)
    if 'patch_embed.norm.weight' in weights:
        own = 'patch_embed.projection.weight' in weights
        dims = len(weights['patch_embed.norm.weight'])
        size = _SWINS.get((dims, count_layers(weights, 'stages.2.blocks.' if own else 'layers.2.blocks.')), '?')
        return f'Swin-{size}', expand(own_side(SWIN_RULES) if own else SWIN_RULES, weights)
    raise OfficialWeightsError(f'unknown backbone, with keys like {sorted(weights)[:5]}: only a ResNet, a Swin '
                               'Transformer or a ViT-Adapter on DINOv2 can be converted')


def vit_size(embed_dims: int, depth: int) -> str:
    """Name of the transformer with these sizes; ``?`` if no known one has them."""
    return next((name for name, arch in ARCHITECTURES.items()
                 if (arch['embed_dims'], arch['depth']) == (embed_dims, depth)), '?')


def _vit_adapter(weights: Mapping[str, Tensor]) -> tuple[str, dict[str, Entry]]:
    """Name and parameters of a ViT-Adapter, whose official names are also the names here."""
    embed_dims = weights['vit_module.pos_embed'].shape[-1]
    depth = count_layers(weights, 'vit_module.blocks.')
    with torch.device('meta'):
        # only names matter here, and they do not depend on the number of heads
        model = DINOv2ViTAdapter(arch=dict(embed_dims=embed_dims, depth=-(-depth // 4) * 4, num_heads=1))
    return (f'ViT-Adapter on DINOv2 ({vit_size(embed_dims, depth)})', {name: Entry(name)
                                                                       for name in model.state_dict()})
