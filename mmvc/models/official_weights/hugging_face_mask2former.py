# Copyright (c) The mmvc contributors. All rights reserved.
"""Hugging Face's ``Mask2FormerForUniversalSegmentation``: its names, turned into those of the official code.

The names are those in the files of ``save_pretrained``, which have been the same since the first version.
"""

import re
from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from .loading import OfficialWeightsError

KIND = 'Mask2Former of Hugging Face'

_PIXELS = 'model.pixel_level_module.'
_SWIN = f'{_PIXELS}encoder.encoder.layers.'
_RESNET = f'{_PIXELS}encoder.'
_DECODER = f'{_PIXELS}decoder.'
_QUERIES = 'model.transformer_module.'
_OFFICIAL_PIXELS = 'sem_seg_head.pixel_decoder.'
_OFFICIAL_QUERIES = 'sem_seg_head.predictor.'
_BLOCK = rf'{_SWIN}(\d+).blocks.(\d+).'
_LAYER = rf'{_QUERIES}decoder.layers.(\d+).'
_ENCODER_LAYER = rf'{_DECODER}encoder.layers.(\d+).'

#: pattern of a name there -> the official name; ``?`` stands for the part of a tensor that is joined there
_NAMES: tuple[tuple[str, str], ...] = (
    # Swin Transformer
    (rf'{_PIXELS}encoder.embeddings.patch_embeddings.projection.(.*)', r'backbone.patch_embed.proj.\1'),
    (rf'{_PIXELS}encoder.embeddings.norm.(.*)', r'backbone.patch_embed.norm.\1'),
    (rf'{_BLOCK}attention.self.(query|key|value).(weight|bias)', r'backbone.layers.\1.blocks.\2.attn.qkv.\4?\3'),
    (rf'{_BLOCK}attention.self.(relative_position_bias_table|relative_position_index)',
     r'backbone.layers.\1.blocks.\2.attn.\3'),
    (rf'{_BLOCK}attention.output.dense.(.*)', r'backbone.layers.\1.blocks.\2.attn.proj.\3'),
    (rf'{_BLOCK}layernorm_before.(.*)', r'backbone.layers.\1.blocks.\2.norm1.\3'),
    (rf'{_BLOCK}layernorm_after.(.*)', r'backbone.layers.\1.blocks.\2.norm2.\3'),
    (rf'{_BLOCK}intermediate.dense.(.*)', r'backbone.layers.\1.blocks.\2.mlp.fc1.\3'),
    (rf'{_BLOCK}output.dense.(.*)', r'backbone.layers.\1.blocks.\2.mlp.fc2.\3'),
    (rf'{_SWIN}(\d+).downsample.(.*)', r'backbone.layers.\1.downsample.\2'),
    # ResNet; its stages and the norms of Swin are counted from another number there, see _official_name
    (rf'{_RESNET}embedder.embedder.convolution.(.*)', r'backbone.stem.conv1.\1'),
    (rf'{_RESNET}embedder.embedder.normalization.(.*)', r'backbone.stem.conv1.norm.\1'),
    # pixel decoder
    (rf'{_DECODER}level_embed', rf'{_OFFICIAL_PIXELS}transformer.level_embed'),
    (rf'{_DECODER}input_projections.(.*)', rf'{_OFFICIAL_PIXELS}input_proj.\1'),
    (rf'{_ENCODER_LAYER}self_attn.(.*)', rf'{_OFFICIAL_PIXELS}transformer.encoder.layers.\1.self_attn.\2'),
    (rf'{_ENCODER_LAYER}self_attn_layer_norm.(.*)', rf'{_OFFICIAL_PIXELS}transformer.encoder.layers.\1.norm1.\2'),
    (rf'{_ENCODER_LAYER}fc([12]).(.*)', rf'{_OFFICIAL_PIXELS}transformer.encoder.layers.\1.linear\2.\3'),
    (rf'{_ENCODER_LAYER}final_layer_norm.(.*)', rf'{_OFFICIAL_PIXELS}transformer.encoder.layers.\1.norm2.\2'),
    (rf'{_DECODER}(adapter_1|layer_1).0.(.*)', rf'{_OFFICIAL_PIXELS}\1.\2'),
    (rf'{_DECODER}(adapter_1|layer_1).1.(.*)', rf'{_OFFICIAL_PIXELS}\1.norm.\2'),
    (rf'{_DECODER}mask_projection.(.*)', rf'{_OFFICIAL_PIXELS}mask_features.\1'),
    # decoder of the queries
    (rf'{_QUERIES}queries_embedder.(.*)', rf'{_OFFICIAL_QUERIES}query_embed.\1'),
    (rf'{_QUERIES}queries_features.(.*)', rf'{_OFFICIAL_QUERIES}query_feat.\1'),
    (rf'{_QUERIES}level_embed.(.*)', rf'{_OFFICIAL_QUERIES}level_embed.\1'),
    (rf'{_LAYER}self_attn.([qkv])_proj.(weight|bias)',
     rf'{_OFFICIAL_QUERIES}transformer_self_attention_layers.\1.self_attn.in_proj_\3?\2'),
    (rf'{_LAYER}self_attn.out_proj.(.*)',
     rf'{_OFFICIAL_QUERIES}transformer_self_attention_layers.\1.self_attn.out_proj.\2'),
    (rf'{_LAYER}self_attn_layer_norm.(.*)', rf'{_OFFICIAL_QUERIES}transformer_self_attention_layers.\1.norm.\2'),
    (rf'{_LAYER}cross_attn.(.*)', rf'{_OFFICIAL_QUERIES}transformer_cross_attention_layers.\1.multihead_attn.\2'),
    (rf'{_LAYER}cross_attn_layer_norm.(.*)', rf'{_OFFICIAL_QUERIES}transformer_cross_attention_layers.\1.norm.\2'),
    (rf'{_LAYER}fc([12]).(.*)', rf'{_OFFICIAL_QUERIES}transformer_ffn_layers.\1.linear\2.\3'),
    (rf'{_LAYER}final_layer_norm.(.*)', rf'{_OFFICIAL_QUERIES}transformer_ffn_layers.\1.norm.\2'),
    (rf'{_QUERIES}decoder.layernorm.(.*)', rf'{_OFFICIAL_QUERIES}decoder_norm.\1'),
    (rf'{_QUERIES}decoder.mask_predictor.mask_embedder.(\d).0.(.*)', rf'{_OFFICIAL_QUERIES}mask_embed.layers.\1.\2'),
    (r'class_predictor.(.*)', rf'{_OFFICIAL_QUERIES}class_embed.\1'),
)
_PATTERNS = tuple((re.compile(pattern.replace('.', r'\.').replace(r'(\.*)', '(.*)')), official)
                  for pattern, official in _NAMES)
_NORM = re.compile(rf'{re.escape(_PIXELS)}encoder\.hidden_states_norms\.stage(\d)\.(.*)')
_RESNET_LAYER = re.compile(rf'{re.escape(_RESNET)}encoder\.stages\.(\d)\.layers\.(\d+)\.(shortcut|layer\.(\d))\.'
                           r'(convolution|normalization)\.(.*)')
_PARTS = (('query', 'key', 'value'), ('q', 'k', 'v'))

#: parameters that have no use here -> reason
LEFT_OUT = {
    re.compile(r'model\.pixel_level_module\.encoder\.(swin\.)?layernorm\..*'): 'the stages have norms of their own',
    re.compile(r'.*\.num_batches_tracked'): 'batch norm with fixed statistics does not count batches',
    re.compile(r'criterion\..*'): 'the class weights of the loss come with the config',
}


def is_hugging_face_mask2former(names: Collection[str]) -> bool:
    """Whether the names are those of a ``Mask2FormerForUniversalSegmentation``."""
    return f'{_QUERIES}queries_features.weight' in names


def to_official_names(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str], dict[str, str]]:
    """Give the weights their official names; joins queries, keys and values.

    Args:
        state_dict (Mapping[str, Tensor]): Weights of Hugging Face's model.

    Returns:
        tuple[dict[str, Tensor], dict[str, str], dict[str, str]]: Weights by official name, the official name by name
        there, and reasons by name there for parameters that are left out.

    Raises:
        OfficialWeightsError: Names are unknown, or parts of a joined tensor are missing; all are listed.
    """
    official: dict[str, dict[str, Tensor]] = {}
    renamed, left_out, problems = {}, {}, []
    for name, value in state_dict.items():
        reason = next((why for pattern, why in LEFT_OUT.items() if pattern.fullmatch(name)), None)
        if reason is not None:
            left_out[name] = reason
            continue
        full = _official_name(name)
        if full is None:
            problems.append(f'unknown: {name}')
            continue
        renamed[name], _, part = full.partition('?')
        official.setdefault(renamed[name], {})[part] = value
    joined = {}
    for name, parts in official.items():
        if '' in parts:
            joined[name] = parts['']
            continue
        order = next(names for names in _PARTS if next(iter(parts)) in names)
        absent = [part for part in order if part not in parts]
        if absent:
            problems.append(f'missing: the {" and ".join(absent)} that belong to {renamed_from(renamed, name)}')
        else:
            joined[name] = torch.cat([parts[part] for part in order])
    if problems:
        raise OfficialWeightsError(f'{len(problems)} keys differ from those of {KIND}. Is the checkpoint complete?\n  '
                                   + '\n  '.join(problems))
    joined.update(list(_position_indices(joined)))
    return joined, renamed, left_out


def renamed_from(renamed: Mapping[str, str], official: str) -> str:
    """The first name of a mapping that has a value."""
    return next(name for name, value in renamed.items() if value == official)


def _official_name(name: str) -> str | None:
    """Official name of a parameter, with a part behind ``?`` if it is to be joined; None if the name is unknown."""
    match = _NORM.fullmatch(name)
    if match is not None:
        return f'backbone.norm{int(match[1]) - 1}.{match[2]}'
    match = _RESNET_LAYER.fullmatch(name)
    if match is not None:
        conv = 'shortcut' if match[3] == 'shortcut' else f'conv{int(match[4]) + 1}'
        norm = 'norm.' if match[5] == 'normalization' else ''
        return f'backbone.res{int(match[1]) + 2}.{match[2]}.{conv}.{norm}{match[6]}'
    for pattern, official in _PATTERNS:
        match = pattern.fullmatch(name)
        if match is not None:
            return match.expand(official)
    return None


def _position_indices(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The row of each pair of positions in the bias tables of Swin, which newer files do not contain."""
    end = 'relative_position_bias_table'
    for name, table in weights.items():
        index = f'{name.removesuffix(end)}relative_position_index'
        if name.endswith(end) and index not in weights:
            window = (round(len(table)**0.5) + 1) // 2
            rows, columns = torch.arange(window * window) // window, torch.arange(window * window) % window
            yield index, ((rows[:, None] - rows + window - 1) * (2 * window - 1) + columns[:, None] - columns
                          + window - 1)
