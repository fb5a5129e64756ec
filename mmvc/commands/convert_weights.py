# Copyright (c) The mmvc contributors. All rights reserved.
"""Convert weights of DVIS++, of encoder-only models, and of what they build on to a checkpoint for mmvc."""

import argparse
from collections.abc import Sequence

from mmvc.utils.arguments import NumberArgument

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


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    from .weight_conversion import run  # takes seconds to import, and --help does not need it
    run(args)
