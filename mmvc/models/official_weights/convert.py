# Copyright (c) The mmvc contributors. All rights reserved.
"""Weights of other projects, turned into weights of this one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmvc.models.backbones import convert_dinov2_weights

from .backbones import backbone_entries, vit_size
from .loading import OfficialWeightsError
from .rules import (
    PIXEL_DECODER_RULES,
    PREDICTOR_RULES,
    REFINER_RULES,
    REID_RULES,
    TRACKER_RULES,
    Entry,
    Rules,
    count_layers,
    expand,
    own_side,
)

#: number of classes -> what has as many
DATASETS: dict[int, str] = {
    25: 'OVIS',
    40: 'YouTube-VIS 2019 or 2021',
    80: 'COCO instances',
    124: 'VSPW or VIPSeg',
    133: 'COCO panoptic',
}

#: what checkpoints hold beside weights, and why it is not needed
NOT_NEEDED: dict[str, str] = {'criterion.empty_weight': 'the class weights of the loss come with the config'}

#: names that older versions of the official code used
_OLD_NAMES: tuple[tuple[str, str], ...] = (
    ('sem_seg_head.predictor.static_query.', 'sem_seg_head.predictor.query_feat.'),
    ('offline_tracker.', 'refiner.'),
)


def describe_classes(num_classes: int) -> str:
    """A number of classes and the data set that has as many, e.g. ``25 (OVIS)``."""
    return f'{num_classes} ({DATASETS[num_classes]})' if num_classes in DATASETS else str(num_classes)


@dataclass
class ConvertedWeights:
    """Weights under the names of this project, and what is known about them.

    Attributes:
        state_dict (dict[str, Tensor]): The weights.
        kind (str): What the checkpoint is, e.g. ``DVIS++ offline``.
        backbone (str): E.g. ``ResNet-50``.
        num_classes (int, optional): Of the checkpoint, even if its class embeddings are left out. None if it has
            none.
        num_queries (int, optional): None if there is a backbone only.
        renamed (dict[str, str]): Official name -> name here, of every parameter that was converted.
        left_out (dict[str, str]): Official name -> reason, of every parameter that was not.
        absent (dict[str, str]): Prefix here -> reason, of parts of a segmenter that these weights lack; a model keeps
            its initialisation there.
    """

    state_dict: dict[str, Tensor]
    kind: str
    backbone: str
    num_classes: int | None = None
    num_queries: int | None = None
    renamed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def convert_official_weights(state_dict: Mapping[str, Tensor],
                             drop_class_head: bool = False,
                             segmenter_only: bool = False) -> ConvertedWeights:
    """Convert weights of Mask2Former, MinVIS, CTVIS, DVIS, DVIS++, mmdet's Mask2Former, or DINOv2.

    Which of these it is shows in the names. Every name is accounted for.

    Args:
        state_dict (Mapping[str, Tensor]): Their weights. A tensor is copied only if its layout is another one here.
        drop_class_head (bool): Leave out the class embeddings, to start a training with other classes.
        segmenter_only (bool): Leave out tracker and refiner.

    Returns:
        ConvertedWeights: The weights under the names here.

    Raises:
        OfficialWeightsError: If names are unknown or missing (all are listed), if parts disagree about the number of
            classes, or if there are modules that do not exist here.
    """
    if 'patch_embed.proj.weight' in state_dict:
        return _convert_dinov2(state_dict)
    weights = {_modern_name(name): value for name, value in state_dict.items()}
    left_out = {name: reason for name, reason in NOT_NEEDED.items() if name in weights}
    kind = _recognise(weights)
    if segmenter_only:
        left_out.update({name: 'not part of the segmenter' for name in weights
                         if name.startswith(('tracker.', 'refiner.'))})
        kind = f'segmenter of {kind}' if 'DVIS' in kind else kind
    elif kind.startswith('DVIS (v1)'):
        raise OfficialWeightsError(
            f'this is {kind}: its tracker and refiner are not those of DVIS++ (half the channels; no reference '
            'projection, no projection of mask features) and do not exist here. Its segmenter can be converted alone: '
            '--segmenter-only')
    weights = {name: value for name, value in weights.items() if name not in left_out}

    backbone, entries = _account_for(weights)
    renamed = {name: entries[name].ours for name in weights}
    converted = {}
    for name, value in weights.items():
        ours, transform = entries[name]
        converted[ours] = transform(value) if transform else value
    for name in list(converted):
        if name.endswith('.running_mean'):  # frozen batch norm of detectron2 does not count batches
            counter = f'{name[:-len("running_mean")]}num_batches_tracked'
            converted.setdefault(counter, torch.zeros((), dtype=torch.int64))

    absent = {}
    if not any(name.startswith('head.reid_embed.') for name in converted):
        absent['head.reid_embed.'] = 'this segmenter has no re-identification branch'
    result = ConvertedWeights(converted, kind, backbone, _count_classes(converted),
                              len(converted['head.query_feat.weight']), renamed, left_out, absent)
    return _without_class_head(result) if drop_class_head else result


def _convert_dinov2(state_dict: Mapping[str, Tensor]) -> ConvertedWeights:
    """Weights of a plain DINOv2 transformer, for the ViT-Adapter of a segmenter."""
    try:
        converted = convert_dinov2_weights(state_dict)
    except ValueError as error:
        raise OfficialWeightsError(str(error)) from error
    converted = {f'backbone.{name}': value for name, value in converted.items()}
    return ConvertedWeights(
        converted,
        'DINOv2',
        f'ViT ({vit_size(state_dict["pos_embed"].shape[-1], count_layers(state_dict, "blocks."))})',
        renamed={name: f'backbone.vit_module.{name}' for name in state_dict},
        absent={'': 'only the transformer was pretrained'})


def _modern_name(name: str) -> str:
    """Today's official name of a parameter."""
    for old, new in _OLD_NAMES:
        if name.startswith(old):
            return new + name[len(old):]
    return name


def _has(weights: Mapping[str, Tensor], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in weights)


def _recognise(weights: Mapping[str, Tensor]) -> str:
    """Name the method that a checkpoint belongs to."""
    if _has(weights, 'panoptic_head.'):
        return 'Mask2Former of mmdet'
    if _has(weights, 'sem_seg_head.'):
        if not _has(weights, 'tracker.') and not _has(weights, 'refiner.'):
            reid = _has(weights, 'sem_seg_head.predictor.reid_embed.')
            return 'CTVIS or DVIS++ segmenter' if reid else 'Mask2Former or MinVIS'
        version = 'DVIS++' if _has(weights, 'tracker.ref_proj.') else 'DVIS (v1)'
        return f'{version} {"offline" if _has(weights, "refiner.") else "online"}'
    if _has(weights, 'head.'):
        raise OfficialWeightsError('these weights have the names of this project already: nothing to convert')
    raise OfficialWeightsError(f'unknown kind of weights, with keys like {sorted(weights)[:5]}: expected those of '
                               "Mask2Former (the official code's or mmdet's), MinVIS, CTVIS, DVIS, DVIS++ or DINOv2")


def _account_for(weights: Mapping[str, Tensor]) -> tuple[str, dict[str, Entry]]:
    """Recognise the backbone, and find out what becomes of every parameter.

    Returns:
        tuple[str, dict[str, Entry]]: Name of the backbone; the entries, names here in full.
    """

    def below(prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix):]: value for name, value in weights.items() if name.startswith(prefix)}

    backbone, backbone_part = backbone_entries(below('backbone.'))
    parts = [('backbone.', 'backbone.', backbone_part)]

    def add(official: str, ours: str, rules: Rules) -> None:
        parts.append((official, ours, expand(rules, below(official))))

    if _has(weights, 'panoptic_head.'):
        add('panoptic_head.pixel_decoder.', 'head.pixel_decoder.', own_side(PIXEL_DECODER_RULES))
        add('panoptic_head.', 'head.', own_side(PREDICTOR_RULES))
    else:
        add('sem_seg_head.pixel_decoder.', 'head.pixel_decoder.', PIXEL_DECODER_RULES)
        add('sem_seg_head.predictor.', 'head.', PREDICTOR_RULES)
        if _has(weights, 'sem_seg_head.predictor.reid_embed.'):
            add('sem_seg_head.predictor.', 'head.', REID_RULES)
        if _has(weights, 'tracker.'):
            add('tracker.', 'tracker.', TRACKER_RULES)
        if _has(weights, 'refiner.'):
            add('refiner.', 'refiner.', REFINER_RULES)

    entries = {official + name: Entry(ours + entry.ours, entry.transform)
               for official, ours, part in parts for name, entry in part.items()}
    problems = [f'unknown: {name}' for name in weights if name not in entries]
    problems += [f'missing: {name}' for name in entries if name not in weights]
    if problems:
        raise OfficialWeightsError(f'{len(problems)} keys are not as in {_recognise(weights)} with {backbone}:\n  ' +
                                   '\n  '.join(problems))
    return backbone, entries


def _count_classes(converted: Mapping[str, Tensor]) -> int:
    """Number of classes, on which segmenter, tracker and refiner must agree."""
    counts = {name.split('.')[0]: len(value) - 1 for name, value in converted.items()
              if name.endswith('.cls_embed.bias')}
    if len(set(counts.values())) > 1:
        raise OfficialWeightsError('parts of different models: ' + ', '.join(
            f'{part} has {describe_classes(count)} classes' for part, count in counts.items()))
    return counts['head']


def _without_class_head(weights: ConvertedWeights) -> ConvertedWeights:
    """Move the class embeddings from the weights to what was left out."""
    for official, ours in list(weights.renamed.items()):
        part, name = ours.split('.')[:2]
        if name == 'cls_embed':
            weights.left_out[official] = 'class embedding, dropped on request'
            weights.absent[f'{part}.cls_embed.'] = 'dropped on request'
            del weights.state_dict[ours], weights.renamed[official]
    return weights
