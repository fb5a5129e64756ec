# Copyright (c) The mmvc contributors. All rights reserved.
"""Evaluate a checkpoint and, on request, write its predictions and videos to watch."""

import argparse
import os
from collections.abc import Sequence

from mmvc.utils import keep_freed_memory
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.choices import FPS_RANGE, LAUNCHERS
from mmvc.utils.config_names import config_argument
from mmvc.utils.overrides import OverrideAction

EXAMPLES = """examples:
  compute the metrics of a checkpoint:
    %(prog)s CONFIG work_dirs/NAME/offline/iter_600.pth
  the metrics of an earlier stage:
    %(prog)s CONFIG work_dirs/NAME/segmenter/iter_600.pth --stage segmenter
  metrics, and videos with input, ground truth and prediction side by side:
    %(prog)s CONFIG CHECKPOINT --show-dir work_dirs/show
  predictions for a split without public ground truth, in the format of its server:
    %(prog)s CONFIG CHECKPOINT --format-only --out-dir work_dirs/vspw_test \\
        --cfg-options test_dataloader.dataset.ann_file=test.txt
  published weights by their name, which are downloaded once:
    %(prog)s configs/dvispp/dvispp_r50_vspw.py dvispp_r50_vspw_offline
  on two processes:
    bash tools/dist_test.sh CONFIG CHECKPOINT 2
"""


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description='Evaluate a checkpoint on the test set of a config.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=config_argument, help='config file, or the name of a config of mmvc')
    parser.add_argument('checkpoint', help='checkpoint file, name of published weights, hf://USER/REPO/FILE or https '
                        'address')
    parser.add_argument('--stage', metavar='NAME', help='stage of the config that the checkpoint is of; default: the '
                        'last')
    parser.add_argument('--work-dir', help='folder for logs; default: work_dirs/<folder and name of the config>, and '
                        'the stage if --stage names it')
    parser.add_argument('--show-dir', help='write every video to this folder, as mp4 and as frames')
    parser.add_argument('--show-fps', type=NumberArgument(*FPS_RANGE), default=10,
                        help='frames per second of these videos; default: 10')
    parser.add_argument('--out', metavar='FILE.json', help='write the metrics to this file')
    parser.add_argument('--out-dir', help='write the predictions to this folder, in the format of the benchmark, for '
                        'its server or mmvc evaluate')
    parser.add_argument('--format-only', action='store_true',
                        help='write the predictions without computing metrics; needs no ground truth. Default folder: '
                        'output_dir of the test_evaluator, or <work dir>/results')
    parser.add_argument('--tta', action='store_true',
                        help='test-time augmentation: vote over scales and flips (tta_model and tta_pipeline of the '
                        'config, or scales 0.9 to 1.2, each with its mirror image)')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='load the checkpoint even if loading runs code that it contains')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                        help='override entries of the config: key=value, a.b.c=value, key="[1,2]"')
    parser.add_argument('--device', help='such as cpu, cuda, cuda:1 or mps; default: an accelerator if there is one')
    parser.add_argument('--verbose', action='store_true', help='print everything that the log file gets: config, '
                        'hooks, environment, and a line for each parameter')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how processes were started')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help='set by launchers, not by hand')
    args = parser.parse_args(argv)
    if args.format_only and args.out:
        parser.error('--out is for metrics, and --format-only computes none: drop one of them')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    args = parse_args(argv, prog)
    from .testing import run  # takes seconds to import, and --help does not need it
    keep_freed_memory()
    run(args)
