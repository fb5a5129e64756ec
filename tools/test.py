# Copyright (c) The mmvc contributors. All rights reserved.
"""Evaluate a checkpoint and, on request, write videos to watch."""

import argparse
import json
import os
import os.path as osp
import sys

from mmengine.config import DictAction
from mmengine.dist import is_main_process

import mmvc  # noqa: F401  registers the scope
from mmvc.engine import (
    LAUNCHERS,
    CheckWeightsHook,
    UsageError,
    VideoSegVisualizationHook,
    WeightMismatchError,
    atomic_write,
    build_runner,
    load_config,
    require_checkpoint,
    setup_distributed,
)

EXAMPLES = """examples:
  the numbers of a checkpoint:
    python tools/test.py CONFIG work_dirs/NAME/offline/iter_600.pth
  numbers, and a video of input, ground truth and prediction side by side:
    python tools/test.py CONFIG CHECKPOINT --show-dir work_dirs/show
  on two processes:
    bash tools/dist_test.sh CONFIG CHECKPOINT 2
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Evaluate a checkpoint on the test set of a config.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for logs; default: work_dirs/<name of the config>')
    parser.add_argument('--show-dir', help='write every video to this folder, as mp4 and as frames')
    parser.add_argument('--show-fps', type=float, default=10, help='frames per second of these videos; default: 10')
    parser.add_argument('--out', metavar='FILE.json', help='write the numbers to this file')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config: key=value, a.b.c=value, key="[1,2]"')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how processes were started')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help='set by launchers, not by hand')
    args = parser.parse_args()
    if args.show_fps <= 0:
        parser.error(f'--show-fps must be positive, found {args.show_fps}')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    args = parse_args()
    try:
        cfg = load_config(args.config, args.cfg_options, args.data_root)
        require_checkpoint(args.checkpoint)
        if cfg.get('test_dataloader') is None:
            raise UsageError(f'config "{args.config}" has no test_dataloader: nothing to evaluate on')
        cfg.work_dir = args.work_dir or cfg.get('work_dir') or osp.join(
            'work_dirs', osp.splitext(osp.basename(args.config))[0])
        cfg.launcher, cfg.load_from, cfg.resume = args.launcher, args.checkpoint, False
        setup_distributed(args.launcher, cfg)
        runner = build_runner(cfg)
        runner.register_hook(CheckWeightsHook())
        if args.show_dir:
            runner.register_hook(VideoSegVisualizationHook(args.show_dir, args.show_fps))
        metrics = runner.test()
    except (UsageError, WeightMismatchError) as error:
        sys.exit(f'error: {error}' if is_main_process() else 2)
    if args.out and is_main_process():
        atomic_write(args.out, json.dumps({name: float(value) for name, value in metrics.items()}, indent=2).encode())


if __name__ == '__main__':
    main()
