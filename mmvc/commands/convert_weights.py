# Copyright (c) The mmvc contributors. All rights reserved.
"""Convert weights of DVIS++, of encoder-only models, and of what they build on to a checkpoint for mmvc."""

import argparse
import io
from collections.abc import Sequence
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
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.atomic import atomic_write
from mmvc.utils.checkpoint_loading import local_copy
from mmvc.utils.checksums import file_digest
from mmvc.utils.errors import UsageError
from mmvc.utils.outputs import protect_inputs

EPILOG = """sources, recognised by their keys:
  DVIS++ online and offline, CTVIS and MinVIS segmenters   .pth
  DVIS (v1), its segmenter only                            .pth   with --segmenter-only
  Mask2Former (COCO), the official one                     .pkl
  Mask2Former of mmdet                                     .pth
  Mask2Former of Hugging Face                              .safetensors, .bin
  DINOv2 ViT-S, -B, -L without registers, Meta's           .pth
  (backbones: ResNet, Swin Transformer, ViT-Adapter on DINOv2)
  VidEoMT, PMT, LVMT and their segmenters                  .pth
  VidEoMT and EoMT of Hugging Face                         .safetensors
  (encoders: DINOv2 with registers, DINOv3)
  encoders for them, pretrained; S, B, L:
    DINOv2 with and without registers, Meta's and timm's   .pth, .safetensors   with --plain-vit
    DINOv2 and DINOv3 of Hugging Face                      .safetensors
    DINOv3 of Meta and timm                                .pth, .safetensors

examples:
  a trained model; check that it fits a config:
    %(prog)s dvis++_offline.pth converted.pth --config CONFIG
  COCO weights to start a segmenter from (`load_from = 'coco.pth'`), without the head for the classes of COCO:
    %(prog)s model_final.pkl coco.pth --drop-class-head
  a pretrained encoder, with a table of positions for 1280 x 1280 pixels (`load_from = 'encoder.pth'`):
    %(prog)s dinov2_vitl14_reg4_pretrain.pth encoder.pth --plain-vit \\
        --position-grid 80
"""

BUFFERS = ('running_mean', 'running_var', 'num_batches_tracked', 'relative_position_index')


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description='Convert weights of DVIS++, VidEoMT, PMT, LVMT and of the projects that they build on. Unknown or '
        'missing keys are an error, which lists them. No code in the source file is run.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', help='checkpoint to convert: a file, or an https:// address')
    parser.add_argument('dst', help='checkpoint to write, a .pth file')
    parser.add_argument('--config', help='check that the weights fit the model of this config')
    parser.add_argument('--stage', metavar='NAME', help='stage of the config; default: the last')
    parser.add_argument('--drop-class-head', action='store_true',
                        help='leave out the class embeddings, to start a training with other classes')
    parser.add_argument('--segmenter-only', action='store_true',
                        help='leave out tracker and refiner, or the propagation of queries')
    parser.add_argument('--plain-vit', action='store_true',
                        help='convert DINOv2 to the encoder of VidEoMT, PMT or LVMT, instead of to the ViT-Adapter of '
                        'DVIS++')
    parser.add_argument('--position-grid', type=NumberArgument(1, whole=True), metavar='N',
                        help='resample the table of positions of a DINOv2 encoder to N x N patches of 16 x 16 pixels; '
                        'default: 40 x 40 for a pretrained encoder, that of the source for a trained model')
    return parser.parse_args(argv)


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


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
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
