# Copyright (c) The mmvc contributors. All rights reserved.
import math
import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mmvc.utils.errors import UsageError

from .dinov2_vit import DINOv2ViT


def resize_patch_projection(weight: Tensor, patch_size: int) -> Tensor:
    """Resize the kernels of the patch embedding for patches of another size.

    Args:
        weight (Tensor): Shape (C, 3, P, P), P the patch size of the training.
        patch_size (int): The new patch size in pixels.

    Returns:
        Tensor: Shape (C, 3, patch_size, patch_size), with the same corner values.
    """
    return F.interpolate(weight, size=(patch_size, patch_size), mode='bilinear', align_corners=True)


def convert_dinov2_weights(state_dict: Mapping[str, Tensor], patch_size: int = 16) -> dict[str, Tensor]:
    """Convert an official DINOv2 checkpoint to weights of :class:`DINOv2ViTAdapter`.

    Args:
        state_dict (Mapping[str, Tensor]): Weights of an official ``.pth`` of a ViT-S, -B or -L without registers.
        patch_size (int): Patch size of the adapter's transformer in pixels; the official one is 14.

    Returns:
        dict[str, Tensor]: The same weights under ``vit_module.``, the patch projection resized.

    Raises:
        UsageError: If a parameter is missing, unknown, or has a wrong shape; all of them are listed.
    """
    if 'pos_embed' not in state_dict:
        raise UsageError("these are not the weights of a DINOv2 transformer: no 'pos_embed' among the keys "
                         f'{sorted(state_dict)[:10]}. Use a `dinov2_vit{{s,b,l}}14_pretrain.pth`')
    converted = dict(state_dict)
    projection = converted.get('patch_embed.proj.weight')
    if projection is not None:
        converted['patch_embed.proj.weight'] = resize_patch_projection(projection, patch_size)

    positions, embed_dims = state_dict['pos_embed'].shape[1:]
    blocks = [int(match[1]) for match in (re.match(r'blocks\.(\d+)\.', key) for key in state_dict) if match]
    with torch.device('meta'):
        expected = DINOv2ViT(
            embed_dims,
            depth=1 + max(blocks, default=0),
            num_heads=1,
            patch_size=patch_size,
            pretrained_grid=math.isqrt(positions - 1)).state_dict()
    problems = [f'unknown: {key}' for key in converted if key not in expected]
    problems += [f'missing: {key}' for key in expected if key not in converted]
    problems += [
        f'{key}: shape {tuple(value.shape)} instead of {tuple(expected[key].shape)}'
        for key, value in converted.items() if key in expected and value.shape != expected[key].shape
    ]
    if problems:
        raise UsageError('these are not the weights of a DINOv2 ViT-S, -B or -L without registers (use a '
                         '`dinov2_vit{s,b,l}14_pretrain.pth`):\n  ' + '\n  '.join(problems))
    return {f'vit_module.{key}': value for key, value in converted.items()}
