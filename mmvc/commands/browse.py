# Copyright (c) The mmvc contributors. All rights reserved.
"""Show a dataset: images, ground truth, and the patches that Masked Video Consistency hides.

By default, the tool shows clips of the training pipeline, augmented and masked as in training.
"""

import argparse
from collections.abc import Sequence

from mmvc.utils.arguments import NumberArgument
from mmvc.utils.choices import FPS_RANGE, PICTURE_FORMS
from mmvc.utils.config_names import config_argument
from mmvc.utils.overrides import OverrideAction

EXAMPLES = """examples:
  eight training clips of stage 1, each on a sheet with image, ground truth and masked image:
    %(prog)s configs/mvc/dvispp_r50_vspw.py --stage segmenter \\
        --out-dir out
  training clips of stage 2, where all frames have the same mask:
    %(prog)s configs/mvc/dvispp_r50_vspw.py --stage online --out-dir out
  whole validation videos with their ground truth, as video files:
    %(prog)s configs/dvispp/dvispp_r50_vipseg.py --split val --form video
  the patches that another ratio and patch size would hide:
    %(prog)s CONFIG --whole --videos street --mask-ratio 0.5 --patch-size 64
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=config_argument, help='config file; its dataloaders name the datasets')
    parser.add_argument('--stage', metavar='NAME', help='stage of the config, whose training is shown; '
                        'default: the last')
    parser.add_argument('--out-dir', default='work_dirs/browse', help='folder to write to; default: %(default)s')
    parser.add_argument('--form', choices=PICTURE_FORMS, default='sheet',
                        help='a sheet with a row per frame, a picture per frame, or a video; default: %(default)s')
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='train',
                        help='dataloader whose dataset is shown; default: %(default)s')
    parser.add_argument('--whole', action='store_true',
                        help='show whole videos as they are stored, instead of clips of the training pipeline; '
                        'implied by --split val and --split test')
    parser.add_argument('--videos', nargs='+', metavar='NAME', help='show only these videos, whole')
    parser.add_argument('--num', type=NumberArgument(1, whole=True), default=8,
                        help='number of clips or videos; default: %(default)s')
    parser.add_argument('--max-frames', type=NumberArgument(1, whole=True),
                        help='number of frames of a whole video, evenly spread; default: 6 on a sheet, otherwise '
                        'all')
    mask = parser.add_argument_group('masking', 'default: clips are masked as the training pipeline says, whole '
                                     'videos are not masked')
    mask.add_argument('--mask-ratio', type=NumberArgument(0, 1), help='share of hidden patches, 0 to 1; default: 0.7')
    mask.add_argument('--patch-size', type=NumberArgument(1, whole=True),
                      help='side of a patch in pixels; default: 32')
    mask.add_argument('--tube', action='store_true', help='hide the same patches in all frames')
    parser.add_argument('--alpha', type=NumberArgument(0, 1), default=0.6,
                        help='strength of the colours; default: %(default)s')
    parser.add_argument('--fps', type=NumberArgument(*FPS_RANGE), default=10,
                        help='frames per second of a video; default: %(default)s')
    parser.add_argument('--seed', type=int, default=0,
                        help='seed of the choice of clips and masks; default: %(default)s')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    from .browsing import run  # takes seconds to import, and --help does not need it
    run(args)
