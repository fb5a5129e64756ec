# Copyright (c) The mmvc contributors. All rights reserved.
"""Conversion of VidEoMT, PMT, LVMT and of Hugging Face's VidEoMT and EoMT."""

from collections.abc import Collection, Mapping

from torch import Tensor

from .converted import NOT_NEEDED, ConvertedWeights
from .encoder_only_rules import (
    GRU_PROPAGATION,
    HUGGING_FACE_QUERIES_AND_HEAD,
    LINEAR_PROPAGATION,
    QUERIES_AND_HEAD,
    below,
    hugging_face_eomt_encoder,
    lateral_decoder,
    rehung_dinov3,
    timm_dinov2,
)
from .plain_encoders import PREFIX, finish_encoder, reasons_to_leave_out
from .rules import Rule
from .translation import split_key_bias, translate

_OFFICIAL_ENCODER = 'backbone.encoder.backbone.'
_OFFICIAL_DECODER = 'backbone.decoder.'
_EOMT = 'EoMT of Hugging Face'
_PROPAGATION = ('query_updater.', 'query_gru.')

_MASK_PROBABILITIES = 'the share of masked attention follows the iterations of a training; a prediction has none'
#: pattern of names that are not converted -> reason
_LEFT_OUT = {
    **NOT_NEEDED,
    r'(.*\.)?attn_mask_probs': _MASK_PROBABILITIES,
    r'backbone\.encoder\.pixel_(mean|std)': 'the config normalises the images',
    r'embeddings\.mask_token': 'only pretraining uses it',
}


def is_encoder_only(names: Collection[str]) -> bool:
    """Whether the names are those of a VidEoMT, PMT, LVMT, or of Hugging Face's VidEoMT or EoMT."""
    return _is_official(names) or ('query.weight' in names and 'embeddings.cls_token' in names)


def convert_encoder_only(state_dict: Mapping[str, Tensor], segmenter_only: bool,
                         position_grid: int | None) -> ConvertedWeights:
    """Convert an encoder-only model of the official code or of Hugging Face.

    Args:
        state_dict (Mapping[str, Tensor]): Its weights.
        segmenter_only (bool): Whether to leave out the propagation of queries.
        position_grid (int, optional): Side of the table of positions of a DINOv2 encoder; None: that of the
            checkpoint.

    Returns:
        ConvertedWeights: The weights under the names here.

    Raises:
        OfficialWeightsError: If keys are unknown, missing or of a wrong shape, or there is no table to resample.
    """
    left_out = reasons_to_leave_out(state_dict, _LEFT_OUT)
    weights = {name: value for name, value in state_dict.items() if name not in left_out}
    kind, rules = (_official if _is_official(weights) else _hugging_face)(weights)
    converted, renamed = translate(weights, rules, kind)
    backbone = finish_encoder(converted, renamed, position_grid, None)
    split_key_bias(converted, renamed, 'decoder.blocks.')
    if kind == _EOMT and 'attn_mask_probs' in state_dict and state_dict['attn_mask_probs'].any():
        left_out['attn_mask_probs'] = 'Hugging Face masks this share of the attention in a prediction too'
    propagation = [name for name, ours in renamed.items() if ours.startswith('propagation.')]
    if segmenter_only and propagation:
        kind = f'segmenter of {kind}'
        for official in propagation:
            del converted[renamed.pop(official)]
            left_out[official] = 'not part of the segmenter'
    absent = {}
    if segmenter_only or not propagation:
        absent['propagation.'] = 'a segmenter of single frames does not propagate queries'
    return ConvertedWeights(converted, kind, backbone, len(converted['head.cls_embed.bias']) - 1,
                            len(converted['query_embed.weight']), renamed, left_out, absent)


def _is_official(names: Collection[str]) -> bool:
    return any(name.startswith(_OFFICIAL_ENCODER) for name in names)


def _official(weights: Mapping[str, Tensor]) -> tuple[str, list[Rule]]:
    """Kind and table of a checkpoint of the official code."""
    has_decoder = any(name.startswith(_OFFICIAL_DECODER) for name in weights)
    base = _OFFICIAL_DECODER if has_decoder else 'backbone.'
    propagation = {part for part in _PROPAGATION if any(name.startswith(base + part) for name in weights)}
    encoder = [name[len(_OFFICIAL_ENCODER):] for name in weights if name.startswith(_OFFICIAL_ENCODER)]
    is_rope = any(name.startswith(('patch_embed.cls_token', 'patch_embed.patch_embeddings.')) for name in encoder)
    # the official models always have registers
    encoder_rules = rehung_dinov3(encoder) if is_rope else timm_dinov2([*encoder, 'reg_token'])
    rules = below(_OFFICIAL_ENCODER, PREFIX, encoder_rules) + below(base, '', QUERIES_AND_HEAD)
    if has_decoder:
        rules += below('backbone.', '', lateral_decoder(weights))
    if 'query_gru.' in propagation:
        return 'LVMT', rules + below(base, '', GRU_PROPAGATION)
    kind = 'PMT' if has_decoder else 'VidEoMT'
    if propagation:
        return kind, rules + below(base, '', LINEAR_PROPAGATION)
    return f'segmenter of {kind}', rules


def _hugging_face(weights: Mapping[str, Tensor]) -> tuple[str, list[Rule]]:
    """Kind and table of a checkpoint of Hugging Face."""
    rules = below('', PREFIX, hugging_face_eomt_encoder(weights)) + [*HUGGING_FACE_QUERIES_AND_HEAD]
    if any(name.startswith('query_updater.') for name in weights):
        return 'VidEoMT of Hugging Face', rules + [*LINEAR_PROPAGATION]
    return _EOMT, rules
