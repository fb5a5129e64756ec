# Copyright (c) The mmvc contributors. All rights reserved.
"""Conversion of weights of other projects to the names of this one."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from mmvc.models.backbones import convert_dinov2_weights

from .backbones import backbone_entries, vit_size
from .converted import NOT_NEEDED, ConvertedWeights, describe_classes
from .encoder_only import convert_encoder_only, is_encoder_only
from .hugging_face_mask2former import KIND, is_hugging_face_mask2former, to_official_names
from .loading import OfficialWeightsError
from .plain_encoders import convert_encoder, recognise_encoder
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

#: names in older versions of the official code -> names in the current one
_OLD_NAMES: tuple[tuple[str, str], ...] = (
    ('sem_seg_head.predictor.static_query.', 'sem_seg_head.predictor.query_feat.'),
    ('offline_tracker.', 'refiner.'),
)


def convert_official_weights(state_dict: Mapping[str, Tensor],
                             drop_class_head: bool = False,
                             segmenter_only: bool = False,
                             plain_vit: bool = False,
                             position_grid: int | None = None) -> ConvertedWeights:
    """Convert weights of Mask2Former, MinVIS, CTVIS, DVIS, DVIS++, VidEoMT, PMT, LVMT, EoMT, DINOv2 or DINOv3.

    The method is recognised by the names. Every name must be a known one.

    Args:
        state_dict (Mapping[str, Tensor]): Their weights. Tensors are copied only if their layout differs here.
        drop_class_head (bool): Whether to leave out the class embeddings, to start a training with other classes.
            Defaults to False.
        segmenter_only (bool): Whether to leave out tracker and refiner, or the propagation of queries. Defaults to
            False.
        plain_vit (bool): Whether DINOv2 without registers, in Meta's names or timm's, becomes the encoder of an
            encoder-only model instead of the backbone of the ViT-Adapter. Defaults to False.
        position_grid (int, optional): Side of the table of positions of a DINOv2 encoder. None: 40 for a pretrained
            one, and that of the checkpoint for a trained model.

    Returns:
        ConvertedWeights: The weights under the names here.

    Raises:
        OfficialWeightsError: If names are unknown or missing (all are listed), if modules have different numbers of
            classes, if modules do not exist here, or if an option has no meaning for these weights.
    """
    if is_encoder_only(state_dict):
        result = convert_encoder_only(state_dict, segmenter_only, position_grid)
        return _without_class_head(result) if drop_class_head else result
    form = recognise_encoder(state_dict, plain_vit)
    if form is not None:
        return convert_encoder(state_dict, form, position_grid)
    if plain_vit or position_grid is not None:
        raise OfficialWeightsError('--plain-vit and --position-grid are for encoder-only models and their encoders, '
                                   f'and these weights are neither, with keys like {sorted(state_dict)[:5]}: for a '
                                   'DINOv2 encoder give --plain-vit, otherwise leave both out')
    if 'patch_embed.proj.weight' in state_dict:
        return _convert_dinov2(state_dict)
    if is_hugging_face_mask2former(state_dict):
        return _convert_hugging_face_mask2former(state_dict, drop_class_head)
    weights = {_modern_name(name): value for name, value in state_dict.items()}
    left_out = {name: reason for name, reason in NOT_NEEDED.items() if name in weights}
    kind = _recognise(weights)
    if segmenter_only:
        left_out.update({name: 'not part of the segmenter' for name in weights
                         if name.startswith(('tracker.', 'refiner.'))})
        kind = f'segmenter of {kind}' if 'DVIS' in kind else kind
    elif kind.startswith('DVIS (v1)'):
        raise OfficialWeightsError(
            f'this is {kind}. Its tracker and refiner do not exist here: they have half the channels of those of '
            'DVIS++ and no projections of references and mask features. Convert its segmenter alone: --segmenter-only')
    weights = {name: value for name, value in weights.items() if name not in left_out}

    backbone, entries = _account_for(weights)
    renamed = {name: entries[name].ours for name in weights}
    converted = {}
    for name, value in weights.items():
        ours, transform = entries[name]
        converted[ours] = transform(value) if transform else value
    for name in list(converted):
        if name.endswith('.running_mean'):  # detectron2's frozen batch norm has no counter of batches
            counter = f'{name[:-len("running_mean")]}num_batches_tracked'
            converted.setdefault(counter, torch.zeros((), dtype=torch.int64))

    absent = {}
    if not any(name.startswith('head.reid_embed.') for name in converted):
        absent['head.reid_embed.'] = 'this segmenter has no re-identification branch'
    result = ConvertedWeights(converted, kind, backbone, _count_classes(converted),
                              len(converted['head.query_feat.weight']), renamed, left_out, absent)
    return _without_class_head(result) if drop_class_head else result


def has_official_names(names: Collection[str]) -> bool:
    """Whether weights are those of a whole model of the official codes or of Hugging Face, from their names alone.

    Those of backbones, and of mmdet, which models here may use as they are, are not counted.

    Args:
        names (Collection[str]): Names of the weights.
    """
    return (is_encoder_only(names) or is_hugging_face_mask2former(names)
            or any(name.startswith('sem_seg_head.') for name in names))


def _convert_dinov2(state_dict: Mapping[str, Tensor]) -> ConvertedWeights:
    """Convert weights of a plain DINOv2 transformer for the ViT-Adapter of a segmenter."""
    try:
        converted = convert_dinov2_weights(state_dict)
    except ValueError as error:
        raise OfficialWeightsError(f'{error}\nThe encoder of an encoder-only model may have registers: for it, give '
                                   '--plain-vit') from error
    converted = {f'backbone.{name}': value for name, value in converted.items()}
    return ConvertedWeights(
        converted,
        'DINOv2',
        f'ViT ({vit_size(state_dict["pos_embed"].shape[-1], count_layers(state_dict, "blocks."))})',
        renamed={name: f'backbone.vit_module.{name}' for name in state_dict},
        absent={'': 'only the transformer was pretrained'})


def _convert_hugging_face_mask2former(state_dict: Mapping[str, Tensor], drop_class_head: bool) -> ConvertedWeights:
    """Convert Hugging Face's Mask2Former by way of the official names."""
    weights, official, left_out = to_official_names(state_dict)
    result = convert_official_weights(weights, drop_class_head)
    result.kind = KIND
    result.left_out = {**left_out, **{name: result.left_out[official[name]] for name in official
                                      if official[name] in result.left_out}}
    result.renamed = {name: result.renamed[official[name]] for name in official if official[name] in result.renamed}
    return result


def _modern_name(name: str) -> str:
    """Name of a parameter in the current official code."""
    for old, new in _OLD_NAMES:
        if name.startswith(old):
            return new + name[len(old):]
    return name


def _has(weights: Mapping[str, Tensor], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in weights)


def _recognise(weights: Mapping[str, Tensor]) -> str:
    """Find the method of a checkpoint."""
    if _has(weights, 'panoptic_head.'):
        return 'Mask2Former of mmdet'
    if _has(weights, 'sem_seg_head.'):
        if not _has(weights, 'tracker.') and not _has(weights, 'refiner.'):
            reid = _has(weights, 'sem_seg_head.predictor.reid_embed.')
            return 'CTVIS or DVIS++ segmenter' if reid else 'Mask2Former or MinVIS'
        version = 'DVIS++' if _has(weights, 'tracker.ref_proj.') else 'DVIS (v1)'
        return f'{version} {"offline" if _has(weights, "refiner.") else "online"}'
    if _has(weights, 'head.'):
        raise OfficialWeightsError('these weights already have the names of this project: load them as they are')
    raise OfficialWeightsError(f'unknown kind of weights, with keys like {sorted(weights)[:5]}: only weights of '
                               "Mask2Former (the official code's, mmdet's or Hugging Face's), MinVIS, CTVIS, DVIS, "
                               'DVIS++, VidEoMT, PMT, LVMT, EoMT, DINOv2 and DINOv3 can be converted')


def _account_for(weights: Mapping[str, Tensor]) -> tuple[str, dict[str, Entry]]:
    """Recognise the backbone, and find the name here of every parameter.

    Returns:
        tuple[str, dict[str, Entry]]: Name of the backbone, and the entries by full official name.
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
        raise OfficialWeightsError(f'{len(problems)} keys differ from those of {_recognise(weights)} with {backbone}. '
                                   'Is the checkpoint complete, and of an official training?\n  ' +
                                   '\n  '.join(problems))
    return backbone, entries


def _count_classes(converted: Mapping[str, Tensor]) -> int:
    """Number of classes, which must be the same in segmenter, tracker and refiner."""
    counts = {name.split('.')[0]: len(value) - 1 for name, value in converted.items()
              if name.endswith('.cls_embed.bias')}
    if len(set(counts.values())) > 1:
        raise OfficialWeightsError('the checkpoint mixes modules of different models: ' + ', '.join(
            f'{part} has {describe_classes(count)} classes' for part, count in counts.items()) +
            '. Use a checkpoint of one training, or convert its segmenter alone: --segmenter-only')
    return counts['head']


def _without_class_head(weights: ConvertedWeights) -> ConvertedWeights:
    """Move the class embeddings from the weights to ``left_out``."""
    for official, ours in list(weights.renamed.items()):
        part, name = ours.split('.')[:2]
        if name == 'cls_embed':
            weights.left_out[official] = 'class embedding, dropped on request'
            weights.absent[f'{part}.cls_embed.'] = 'dropped on request'
            del weights.state_dict[ours], weights.renamed[official]
    return weights
