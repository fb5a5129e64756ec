# Copyright (c) The mmvc contributors. All rights reserved.
"""Names of the parameters of detectron2-based models, and their names here: one table per module.

A table lists all parameters of a module, so that a checkpoint can be checked for completeness before a model is built.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from torch import Tensor

AFFINE = ('weight', 'bias')
ATTENTION = ('in_proj_weight', 'in_proj_bias', 'out_proj.weight', 'out_proj.bias')
BATCH_NORM = ('weight', 'bias', 'running_mean', 'running_var')


class Rule(NamedTuple):
    """A group of parameters with one prefix.

    Attributes:
        official (str): Prefix in the official code. ``{name}`` stands for an index that counts from 0; rules of a
            table with the same name share the index.
        ours (str): Prefix here, with the same indices.
        leaves (tuple[str, ...]): Last components of the names, the same on both sides. ``('', )`` if the prefix is the
            whole name.
        transform (Callable, optional): Converts an official tensor. Defaults to None: the tensor stays unchanged.
    """

    official: str
    ours: str
    leaves: tuple[str, ...] = AFFINE
    transform: Callable[[Tensor], Tensor] | None = None


Rules = Sequence[Rule]


class Entry(NamedTuple):
    """Name of a parameter here, and the conversion of its tensor (None: it stays unchanged)."""

    ours: str
    transform: Callable[[Tensor], Tensor] | None = None


def expand(rules: Rules, names: Iterable[str]) -> dict[str, Entry]:
    """List all parameters of a module, with as many layers as a checkpoint has.

    Args:
        rules (Sequence[Rule]): Table of the module.
        names (Iterable[str]): Official names in the checkpoint, without the module's prefix.

    Returns:
        dict[str, Entry]: Entries by official name.
    """
    names = list(names)
    counts: dict[str, int] = {}
    for rule in rules:
        index = re.search(r'\{(\w+)\}', rule.official)
        if index:
            counts[index[1]] = max(counts.get(index[1], 1), count_layers(names, rule.official[:index.start()]))
    entries = {}
    for rule in rules:
        index = re.search(r'\{(\w+)\}', rule.official)
        for i in range(counts[index[1]] if index else 1):
            official, ours = (side.format(**{index[1]: i}) if index else side for side in (rule.official, rule.ours))
            for leaf in rule.leaves:
                suffix = f'.{leaf}' if leaf else ''
                entries[official + suffix] = Entry(ours + suffix, rule.transform)
    return entries


def count_layers(names: Iterable[str], prefix: str) -> int:
    """Count the layers ``<prefix>0``, ``<prefix>1``, ... that occur in parameter names."""
    matches = map(re.compile(re.escape(prefix) + r'(\d+)\.').match, names)
    return 1 + max((int(match[1]) for match in matches if match), default=-1)


def own_side(rules: Rules) -> list[Rule]:
    """Rewrite a table for a checkpoint that already has the names here (mmdet's)."""
    return [
        Rule(rule.ours, rule.ours, (*BATCH_NORM, 'num_batches_tracked') if rule.leaves is BATCH_NORM else rule.leaves)
        for rule in rules
    ]


def unfold_order(weight: Tensor) -> Tensor:
    """Reorder the input channels of Swin's patch merging, weights (O, 4C) or norm (4C,).

    The official code concatenates the four patches column by column: (0, 0), (1, 0), (0, 1), (1, 1). mmdet's
    :class:`torch.nn.Unfold` keeps the four values of a channel together, row by row.
    """
    return weight.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :].transpose(-1, -2).flatten(-2)


def _transformer_layers(attentions: Sequence[tuple[str, str]], ours: str) -> list[Rule]:
    """Rules of a stack of post-norm layers: attentions ``(official, ours)`` in their order here, then the FFN."""
    rules = []
    for i, (official, name) in enumerate(attentions):
        attention = 'multihead_attn' if 'cross' in official else 'self_attn'
        rules += [
            Rule(f'{official}.{{layer}}.{attention}', f'{ours}.{{layer}}.{name}.attn', ATTENTION),
            Rule(f'{official}.{{layer}}.norm', f'{ours}.{{layer}}.norms.{i}')
        ]
    return rules + [
        Rule('transformer_ffn_layers.{layer}.linear1', f'{ours}.{{layer}}.ffn.layers.0.0'),
        Rule('transformer_ffn_layers.{layer}.linear2', f'{ours}.{{layer}}.ffn.layers.1'),
        Rule('transformer_ffn_layers.{layer}.norm', f'{ours}.{{layer}}.norms.{len(attentions)}')
    ]


def _mlp(official: str, ours: str, stride: int = 1) -> list[Rule]:
    """Rules of an MLP of three linear layers; ``stride`` 2 if the activations are modules here."""
    return [Rule(f'{official}.layers.{i}', f'{ours}.{stride * i}') for i in range(3)]


#: below ``backbone.``; the official code never changes the statistics and scales of batch norm
RESNET_RULES: Rules = (
    Rule('stem.conv1', 'conv1', ('weight', )),
    Rule('stem.conv1.norm', 'bn1', BATCH_NORM),
    *(rule for stage in (1, 2, 3, 4) for rule in (
        Rule(f'res{stage + 1}.0.shortcut', f'layer{stage}.0.downsample.0', ('weight', )),
        Rule(f'res{stage + 1}.0.shortcut.norm', f'layer{stage}.0.downsample.1', BATCH_NORM),
        *(rule for conv in (1, 2, 3) for rule in (
            Rule(f'res{stage + 1}.{{block{stage}}}.conv{conv}', f'layer{stage}.{{block{stage}}}.conv{conv}',
                 ('weight', )),
            Rule(f'res{stage + 1}.{{block{stage}}}.conv{conv}.norm', f'layer{stage}.{{block{stage}}}.bn{conv}',
                 BATCH_NORM))))),
)

#: below ``backbone.``
SWIN_RULES: Rules = (
    Rule('patch_embed.proj', 'patch_embed.projection'),
    Rule('patch_embed.norm', 'patch_embed.norm'),
    *(rule for stage in range(4) for rule in (
        Rule(f'norm{stage}', f'norm{stage}'),
        *(Rule(f'layers.{stage}.blocks.{{block{stage}}}.{official}', f'stages.{stage}.blocks.{{block{stage}}}.{ours}',
               leaves) for official, ours, leaves in (
                   ('norm1', 'norm1', AFFINE),
                   ('attn', 'attn.w_msa', ('relative_position_bias_table', 'relative_position_index', 'qkv.weight',
                                           'qkv.bias', 'proj.weight', 'proj.bias')),
                   ('norm2', 'norm2', AFFINE),
                   ('mlp.fc1', 'ffn.layers.0.0', AFFINE),
                   ('mlp.fc2', 'ffn.layers.1', AFFINE))))),
    *(rule for stage in range(3) for rule in (
        Rule(f'layers.{stage}.downsample.norm', f'stages.{stage}.downsample.norm', AFFINE, unfold_order),
        Rule(f'layers.{stage}.downsample.reduction', f'stages.{stage}.downsample.reduction', ('weight', ),
             unfold_order))),
)

#: below ``sem_seg_head.pixel_decoder.``
PIXEL_DECODER_RULES: Rules = (
    Rule('input_proj.{level}.0', 'input_convs.{level}.conv'),
    Rule('input_proj.{level}.1', 'input_convs.{level}.gn'),
    Rule('transformer.level_embed', 'level_encoding.weight', ('', )),
    Rule('transformer.encoder.layers.{layer}.self_attn', 'encoder.layers.{layer}.self_attn', tuple(
        f'{part}.{leaf}' for part in ('sampling_offsets', 'attention_weights', 'value_proj', 'output_proj')
        for leaf in AFFINE)),
    Rule('transformer.encoder.layers.{layer}.norm1', 'encoder.layers.{layer}.norms.0'),
    Rule('transformer.encoder.layers.{layer}.linear1', 'encoder.layers.{layer}.ffn.layers.0.0'),
    Rule('transformer.encoder.layers.{layer}.linear2', 'encoder.layers.{layer}.ffn.layers.1'),
    Rule('transformer.encoder.layers.{layer}.norm2', 'encoder.layers.{layer}.norms.1'),
    Rule('adapter_1', 'lateral_convs.0.conv', ('weight', )),
    Rule('adapter_1.norm', 'lateral_convs.0.gn'),
    Rule('layer_1', 'output_convs.0.conv', ('weight', )),
    Rule('layer_1.norm', 'output_convs.0.gn'),
    Rule('mask_features', 'mask_feature'),
)

#: below ``sem_seg_head.predictor.``, what every Mask2Former has
PREDICTOR_RULES: Rules = (
    *_transformer_layers((('transformer_cross_attention_layers', 'cross_attn'),
                          ('transformer_self_attention_layers', 'self_attn')), 'transformer_decoder.layers'),
    Rule('decoder_norm', 'transformer_decoder.post_norm'),
    *(Rule(name, name, ('weight', )) for name in ('query_feat', 'query_embed', 'level_embed')),
    Rule('class_embed', 'cls_embed'),
    *_mlp('mask_embed', 'mask_embed', stride=2),
)

#: below ``sem_seg_head.predictor.``, the re-identification branch of CTVIS and DVIS++
REID_RULES: Rules = _mlp('reid_embed', 'reid_embed.layers')

#: below ``tracker.`` and ``refiner.``
_HEADS: Rules = (
    Rule('decoder_norm', 'post_norm'),
    Rule('class_embed', 'cls_embed'),
    *_mlp('mask_embed', 'mask_embed.layers'),
)

#: below ``tracker.``
TRACKER_RULES: Rules = (
    *_transformer_layers((('transformer_cross_attention_layers', 'cross_attn'),
                          ('transformer_self_attention_layers', 'self_attn')), 'layers'),
    *_HEADS,
    *_mlp('ref_proj', 'ref_proj.layers'),
    Rule('mask_feature_proj', 'mask_feature_proj'),
)

#: below ``refiner.``; the second of its five norms belongs to the convolutions
REFINER_RULES: Rules = (
    Rule('transformer_time_self_attention_layers.{layer}.self_attn', 'layers.{layer}.time_attn.attn', ATTENTION),
    Rule('transformer_time_self_attention_layers.{layer}.norm', 'layers.{layer}.norms.0'),
    Rule('conv_short_aggregate_layers.{layer}.0', 'layers.{layer}.time_conv.0'),
    Rule('conv_short_aggregate_layers.{layer}.2', 'layers.{layer}.time_conv.2'),
    Rule('conv_norms.{layer}', 'layers.{layer}.norms.1'),
    Rule('transformer_obj_self_attention_layers.{layer}.self_attn', 'layers.{layer}.object_attn.attn', ATTENTION),
    Rule('transformer_obj_self_attention_layers.{layer}.norm', 'layers.{layer}.norms.2'),
    Rule('transformer_cross_attention_layers.{layer}.multihead_attn', 'layers.{layer}.cross_attn.attn', ATTENTION),
    Rule('transformer_cross_attention_layers.{layer}.norm', 'layers.{layer}.norms.3'),
    Rule('transformer_ffn_layers.{layer}.linear1', 'layers.{layer}.ffn.layers.0.0'),
    Rule('transformer_ffn_layers.{layer}.linear2', 'layers.{layer}.ffn.layers.1'),
    Rule('transformer_ffn_layers.{layer}.norm', 'layers.{layer}.norms.4'),
    *_HEADS,
    Rule('activation_proj', 'activation_proj'),
)
