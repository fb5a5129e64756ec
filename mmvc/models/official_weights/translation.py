# Copyright (c) The mmvc contributors. All rights reserved.
"""Names, shapes and joined tensors of an encoder-only model, checked before anything is converted."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from string import ascii_letters, digits

import torch
from torch import Tensor

from .loading import OfficialWeightsError
from .rules import Rules, expand

#: names here -> shape; letters are sizes that a checkpoint chooses, the same everywhere. The first pattern counts.
_SHAPES: tuple[tuple[str, str], ...] = (
    (r'cls_token', '1 1 D'),
    (r'register_tokens', '1 R D'),
    (r'pos_embed', '1 N D'),
    (r'patch_embed\.proj\.weight', 'D 3 P P'),
    (r'blocks\.\d+\.attn\.qkv\.weight', '3D D'),
    (r'blocks\.\d+\.attn\.qkv\.bias(_mask)?', '3D'),
    (r'blocks\.\d+\.attn\.proj\.weight', 'D D'),
    (r'encoder\.blocks\.\d+\.mlp\.fc1\.weight', 'M D'),
    (r'encoder\.blocks\.\d+\.mlp\.fc1\.bias', 'M'),
    (r'encoder\.blocks\.\d+\.mlp\.fc2\.weight', 'D M'),
    (r'decoder\.blocks\.\d+\.mlp\.fc1\.weight', 'm D'),
    (r'decoder\.blocks\.\d+\.mlp\.fc1\.bias', 'm'),
    (r'decoder\.blocks\.\d+\.mlp\.fc2\.weight', 'D m'),
    (r'decoder\.projections\.\d+\.0\.weight', 'H D'),
    (r'decoder\.projections\.\d+\.0\.bias', 'H'),
    (r'decoder\.projections\.\d+\.2\.weight', 'D H'),
    (r'num_batches_tracked', ''),
    (r'query_embed\.weight', 'Q D'),
    (r'head\.cls_embed\.weight', 'K D'),
    (r'head\.cls_embed\.bias', 'K'),
    (r'head\.mask_embed\.\d\.weight', 'D D'),
    (r'head\.upscale\.\d+\.deconv\.weight', 'D D 2 2'),
    (r'head\.upscale\.\d+\.depthwise\.weight', 'D 1 3 3'),
    (r'propagation\.fc\.weight', 'D D'),
    (r'propagation\.cell\.weight_.h', '3D D'),
    (r'propagation\.cell\.bias_.h', '3D'),
    (r'', 'D'),
)


def translate(weights: Mapping[str, Tensor], rules: Rules, what: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Give parameters their names here, and join those with the same name.

    Args:
        weights (Mapping[str, Tensor]): Official weights, each of which must be in the table.
        rules (Sequence[Rule]): Table of the whole model, with full names.
        what (str): What the weights are, for errors.

    Returns:
        tuple[dict[str, Tensor], dict[str, str]]: The weights by name here, and the name here by official name.

    Raises:
        OfficialWeightsError: If names are unknown or missing, or shapes do not agree with the others; all are listed.
    """
    entries = expand(rules, weights)
    problems = [f'unknown: {name}' for name in weights if name not in entries]
    problems += [f'missing: {name}' for name in entries if name not in weights]
    official: dict[str, list[str]] = defaultdict(list)  # by name here
    for name, entry in entries.items():
        official[entry.ours].append(name)
    parts: dict[str, dict[str, Tensor]] = {ours: {} for ours in official}
    for name, (ours, transform) in entries.items():
        if name in weights:
            parts[ours][name] = transform(weights[name]) if transform else weights[name]
    problems += _wrong_shapes(parts, {ours: len(names) for ours, names in official.items()})
    if problems:
        raise OfficialWeightsError(f'{len(problems)} keys differ from those of {what}. Is the checkpoint complete, '
                                   'and of an official training?\n  ' + '\n  '.join(problems))
    converted = {ours: next(iter(tensors.values())) if len(tensors) == 1 else torch.cat(list(tensors.values()))
                 for ours, tensors in parts.items()}
    return converted, {name: entries[name].ours for name in weights}


def split_key_bias(converted: dict[str, Tensor], renamed: dict[str, str], prefix: str) -> None:
    """Replace joined biases of query, key and value, in place, in blocks whose keys have no bias here.

    With rotary positions a bias of the key would change the attention, so that it must be zero.

    Args:
        converted (dict[str, Tensor]): Weights by name here; ``attn.qkv.bias`` becomes ``attn.q_bias`` and
            ``attn.v_bias``, and ``attn.qkv.bias_mask`` is taken out.
        renamed (dict[str, str]): Name here by official name.
        prefix (str): Prefix of the blocks.

    Raises:
        OfficialWeightsError: If keys have a bias, or a mask hides more than the biases of the keys.
    """
    official = {ours: name for name, ours in renamed.items()}
    problems = []
    for name in [name for name in converted if name.startswith(prefix) and name.endswith('.attn.qkv.bias')]:
        query, key, value = converted.pop(name).chunk(3)
        mask = converted.pop(f'{name}_mask', None)
        stem = name[:-len('qkv.bias')]
        if mask is not None:
            query_mask, key_mask, value_mask = mask.chunk(3)
            key = key * key_mask
            if not (query_mask == 1).all() or not (value_mask == 1).all():
                problems.append(f'{official[f"{name}_mask"]}: not 1 for all queries and values')
            renamed[official[f'{name}_mask']] = f'{stem}{{q_bias,v_bias}}'
        if key.any():
            problems.append(f'{official[name]}: the bias of the key is not zero')
        converted.update({f'{stem}q_bias': query, f'{stem}v_bias': value})
        renamed[official[name]] = f'{stem}{{q_bias,v_bias}}'
    if problems:
        raise OfficialWeightsError(f'{len(problems)} biases have no place in an encoder with rotary positions. Use '
                                   'weights of DINOv3, PMT or LVMT as they were published:\n  ' +
                                   '\n  '.join(problems))


def _shape_of(ours: str) -> list[tuple[int, str]]:
    """Shape of a parameter: a factor and a letter (or an empty string) per axis."""
    shape = next(shape for pattern, shape in _SHAPES if re.search(f'(^|\\.){pattern}$' if pattern else '', ours))
    return [(int(axis.rstrip(ascii_letters) or 1), axis.lstrip(digits)) for axis in shape.split()]


def _wrong_shapes(parts: Mapping[str, Mapping[str, Tensor]], numbers: Mapping[str, int]) -> list[str]:
    """List tensors whose shapes disagree with the sizes that most tensors have."""
    shapes = {}
    for ours in parts:
        shape = _shape_of(ours)
        if numbers[ours] > 1:  # joined along the first axis
            shape[0] = (shape[0][0] // numbers[ours], shape[0][1])
        shapes[ours] = shape
    votes: dict[str, Counter] = defaultdict(Counter)
    for ours, tensors in parts.items():
        for value in tensors.values():
            if value.ndim == len(shapes[ours]):
                for size, (factor, letter) in zip(value.shape, shapes[ours]):
                    if letter and size % factor == 0:
                        votes[letter][size // factor] += 1
    sizes = {'': 1, **{letter: counter.most_common(1)[0][0] for letter, counter in votes.items()}}
    problems = []
    for ours, tensors in parts.items():
        expected = [factor * sizes[letter] if letter in sizes else letter for factor, letter in shapes[ours]]
        for name, value in tensors.items():
            if list(value.shape) != expected:
                problems.append(f'wrong shape: {name} is {tuple(value.shape)}, not ({", ".join(map(str, expected))})')
    return problems
