# Copyright (c) The mmvc contributors. All rights reserved.
"""Pretrained DINOv2 and DINOv3 transformers of Meta, timm and Hugging Face, as encoders of encoder-only models."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from .backbones import vit_size
from .converted import ConvertedWeights
from .encoder_only_rules import (
    below,
    hugging_face_dinov2,
    hugging_face_dinov3,
    meta_dinov3,
    timm_dinov2,
    timm_dinov3,
)
from .loading import OfficialWeightsError
from .resampling import resample_patch_kernel, resample_position_table, table_side
from .rules import Rule, count_layers
from .translation import split_key_bias, translate

PREFIX = 'encoder.'

#: side of the table of positions that the official models start from
POSITION_GRID = 40
PATCH_SIZE = 16

#: pattern of names that are not converted -> reason
_LEFT_OUT = {
    r'.*mask_token': 'only pretraining uses it',
    r'local_cls_norm\.(weight|bias)': 'only pretraining uses it, for small crops',
    r'rope(_embed)?\.(periods|inv_freq)': 'the encoder computes the frequencies of its rotary positions',
}

_ABSENT = dict.fromkeys(('query_embed.', 'head.', 'decoder.', 'propagation.'), 'only the encoder was pretrained')


class _Format(NamedTuple):
    """A way to name the parameters of a transformer."""

    kind: str
    rules: Callable[[Collection[str]], list[Rule]]


def recognise_encoder(names: Collection[str], plain_vit: bool) -> _Format | None:
    """Find the format of a pretrained encoder.

    Args:
        names (Collection[str]): Names of its parameters.
        plain_vit (bool): Whether DINOv2 in Meta's names is wanted as such an encoder. If not, it belongs to the
            ViT-Adapter.

    Returns:
        _Format, optional: None if the weights are not those of an encoder that is used as such.
    """
    if 'embeddings.cls_token' in names:
        if any('layer.' in name and '.mlp.up_proj.' in name for name in names):
            return _Format('DINOv3 of Hugging Face', hugging_face_dinov3)
        return _Format('DINOv2 of Hugging Face', hugging_face_dinov2)
    if 'storage_tokens' in names or 'rope_embed.periods' in names:
        return _Format('DINOv3 of Meta', meta_dinov3)
    if any(re.fullmatch(r'blocks\.\d+\.gamma_[12]', name) for name in names):
        return _Format('DINOv3 of timm', timm_dinov3)
    if 'reg_token' in names:
        return _Format('DINOv2 of timm', timm_dinov2)
    if plain_vit and 'pos_embed' in names:
        return _Format('DINOv2 of Meta' if 'mask_token' in names else 'DINOv2 of timm', timm_dinov2)
    return None


def convert_encoder(state_dict: Mapping[str, Tensor], form: _Format, position_grid: int | None) -> ConvertedWeights:
    """Convert a pretrained encoder.

    Args:
        state_dict (Mapping[str, Tensor]): Its weights.
        form (_Format): Result of :func:`recognise_encoder`.
        position_grid (int, optional): Side of the table of positions; None: 40. DINOv3 has no table.

    Returns:
        ConvertedWeights: The weights below ``encoder.``.

    Raises:
        OfficialWeightsError: If keys are unknown, missing or of a wrong shape, or the table cannot be resampled.
    """
    left_out = reasons_to_leave_out(state_dict, _LEFT_OUT)
    weights = {name: value for name, value in state_dict.items() if name not in left_out}
    converted, renamed = translate(weights, below('', PREFIX, form.rules(weights)), form.kind)
    kernel = f'{PREFIX}patch_embed.proj.weight'
    converted[kernel] = resample_patch_kernel(converted[kernel], PATCH_SIZE)
    backbone = finish_encoder(converted, renamed, position_grid, POSITION_GRID)
    return ConvertedWeights(converted, form.kind, backbone, renamed=renamed, left_out=left_out, absent=dict(_ABSENT))


def reasons_to_leave_out(names: Collection[str], patterns: Mapping[str, str]) -> dict[str, str]:
    """Names that match a pattern, and its reason."""
    return {name: reason for name in names for pattern, reason in patterns.items() if re.fullmatch(pattern, name)}


def finish_encoder(converted: dict[str, Tensor], renamed: dict[str, str], position_grid: int | None,
                   default_grid: int | None) -> str:
    """Bring the tokens, positions and biases of an encoder to the form that they have here, in place.

    Args:
        converted (dict[str, Tensor]): Weights by name here.
        renamed (dict[str, str]): Name here by official name.
        position_grid (int, optional): Side of the table of positions that the user asks for.
        default_grid (int, optional): Side if the user asks for none; None: that of the checkpoint.

    Returns:
        str: Description of the encoder.

    Raises:
        OfficialWeightsError: If ``position_grid`` is given and there is no table, the table is not square, or a key
            has a bias.
    """
    dims = len(converted[f'{PREFIX}norm.weight'])
    depth = count_layers(converted, f'{PREFIX}blocks.')
    registers = converted.setdefault(f'{PREFIX}register_tokens', torch.zeros(1, 0, dims))
    size = f'ViT ({vit_size(dims, depth)})'
    with_registers = f'{registers.shape[1]} registers'
    if f'{PREFIX}pos_embed' in converted:
        side = _finish_positions(converted, position_grid or default_grid)
        return f'DINOv2 {size}, {with_registers}, table of {side} x {side} positions'
    if position_grid is not None:
        raise OfficialWeightsError('a DINOv3 encoder has rotary positions and no table of them: leave out '
                                   '--position-grid')
    split_key_bias(converted, renamed, f'{PREFIX}blocks.')
    for layer in range(depth):
        for name in ('q_bias', 'v_bias'):  # timm leaves out biases that are zero
            converted.setdefault(f'{PREFIX}blocks.{layer}.attn.{name}', torch.zeros(dims))
    return f'DINOv3 {size}, {with_registers}'


def _finish_positions(converted: dict[str, Tensor], position_grid: int | None) -> int:
    """Move the position of the class token into it, and resample those of the patches; returns the side."""
    table = converted[f'{PREFIX}pos_embed']
    if table_side(table) is None and table_side(table[:, 1:]) is not None:
        converted[f'{PREFIX}cls_token'] = converted[f'{PREFIX}cls_token'] + table[:, :1]
        table = table[:, 1:]
    side = table_side(table)
    if not side:
        raise OfficialWeightsError(f'the table of {table.shape[1]} positions is neither square, nor square with one '
                                   'position for the class token: only such tables can be used')
    side = position_grid or side
    converted[f'{PREFIX}pos_embed'] = resample_position_table(table, side)
    return side
