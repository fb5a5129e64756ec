# Copyright (c) The mmvc contributors. All rights reserved.
"""What ``mmvc convert weights`` does."""

import argparse
import io
from pathlib import Path
from urllib.parse import urlsplit

import torch
from mmengine.registry import init_default_scope
from prettytable import PrettyTable

from mmvc import __version__
from mmvc.engine import load_config, report_errors, weight_mismatches
from mmvc.models import BaseVideoSegmentor
from mmvc.models.official_weights import (
    ConvertedWeights,
    OfficialWeightsError,
    convert_official_weights,
    describe_classes,
    load_official_checkpoint,
)
from mmvc.registry import MODELS
from mmvc.utils.atomic import atomic_write
from mmvc.utils.checkpoint_loading import local_copy
from mmvc.utils.checksums import file_digest
from mmvc.utils.errors import UsageError
from mmvc.utils.outputs import protect_inputs

BUFFERS = ('running_mean', 'running_var', 'num_batches_tracked', 'relative_position_index')


def check_fit(weights: ConvertedWeights, model: BaseVideoSegmentor) -> None:
    """Load the weights into a model. Only the parts in ``weights.absent`` may be missing.

    Raises:
        OfficialWeightsError: If the number of classes, a shape or a name differs.
    """
    found = weights.num_classes
    if found is not None and found != model.num_classes and 'head.cls_embed.' not in weights.absent:
        raise OfficialWeightsError(
            f'the checkpoint has {describe_classes(found)} classes, the model of the config '
            f'{describe_classes(model.num_classes)}: use the config of the dataset that it was trained on, or '
            '--drop-class-head to start a training from it')
    problems = weight_mismatches(model, weights.state_dict, allow_missing=True)
    if not problems:
        missing = model.load_state_dict(weights.state_dict, strict=False).missing_keys
        problems = [f'{name}: not in the checkpoint' for name in missing
                    if not name.startswith(tuple(weights.absent))]
    if problems:
        hint = ('\nThe table of positions has another size: --position-grid resamples it'
                if any(problem.startswith('encoder.pos_embed: shape') for problem in problems) else '')
        raise OfficialWeightsError(
            f'{len(problems)} weights do not fit the model of the config (does the backbone or the stage '
            'differ?):\n  ' + '\n  '.join(problems) + hint)


def summarize(weights: ConvertedWeights) -> str:
    """Describe the checkpoint, with a table of its modules."""
    lines = [f'kind      {weights.kind}', f'backbone  {weights.backbone}']
    if weights.num_queries is not None and weights.num_classes is not None:  # more than a backbone
        stages = [stage for stage, part in (('segmenter', 'head'), ('tracker', 'tracker'), ('refiner', 'refiner'),
                                            ('online', 'propagation'))
                  if any(name.startswith(f'{part}.') for name in weights.state_dict)]
        lines += [f'stages    {", ".join(stages)}', f'classes   {describe_classes(weights.num_classes)}',
                  f'queries   {weights.num_queries}']
    table = PrettyTable(['module', 'keys', 'parameters', 'buffers'], align='r')
    table.align['module'] = 'l'
    modules: dict[str, list[int]] = {}
    has_pixel_decoder = any(name.startswith('head.pixel_decoder.') for name in weights.state_dict)
    for name, value in weights.state_dict.items():
        part, rest = name.split('.', 1)
        if part == 'head' and has_pixel_decoder:
            part = 'head.pixel_decoder' if rest.startswith('pixel_decoder.') else 'head (decoder)'
        row = modules.setdefault(part, [0, 0, 0])
        row[0] += 1
        row[2 if name.endswith(BUFFERS) else 1] += value.numel()
    modules['total'] = [sum(column) for column in zip(*modules.values())]
    for module, row in modules.items():
        table.add_row([module, *(f'{number:,}' for number in row)])
    lines.append(str(table))
    reasons = list(weights.left_out.values())
    lines += [f'left out: {reasons.count(reason)} keys ({reason}), e.g. '
              f'{next(name for name, why in weights.left_out.items() if why == reason)}'
              for reason in dict.fromkeys(reasons)]
    lines += [f'missing: {prefix or "the rest of the model"} ({reason}): a model keeps its initialisation'
              for prefix, reason in weights.absent.items()]
    return '\n'.join(lines)


def run(args: argparse.Namespace) -> None:
    """Convert the weights of the command line."""
    with report_errors():
        if not args.dst.endswith('.pth'):
            raise UsageError(f'"{args.dst}": the checkpoint to write must be a .pth file')
        src = local_copy(args.src)
        protect_inputs([args.dst], {src: 'source and destination are the same file'}, 'DST')
        protect_inputs([args.dst], [args.config], 'DST')
        weights = convert_official_weights(
            load_official_checkpoint(src), args.drop_class_head, args.segmenter_only, args.plain_vit,
            args.position_grid)
        print(summarize(weights))
        if args.config:
            cfg = load_config(args.config, stage=args.stage)
            init_default_scope(cfg.get('default_scope', 'mmvc'))
            check_fit(weights, MODELS.build(cfg.model))
            print(f'fits the model of {args.config}')
        meta = dict(
            converted_from=weights.kind,
            source=Path(args.src if src == args.src else urlsplit(args.src).path).name,
            source_sha256=file_digest(src),
            mmvc_version=__version__)
        buffer = io.BytesIO()
        torch.save(dict(meta=meta, state_dict=weights.state_dict), buffer)
        atomic_write(args.dst, buffer.getbuffer())
        print(f'{args.dst}: written')
