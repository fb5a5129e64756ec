# Copyright (c) The mmvc contributors. All rights reserved.
"""Train a model, or all stages of one."""

import argparse
import os
import sys

from mmengine.config import Config, DictAction
from mmengine.dist import is_main_process

import mmvc  # noqa: F401  registers the scope
from mmvc.engine import (
    LAUNCHERS,
    UsageError,
    build_runner,
    default_work_dir,
    enable_amp,
    enable_auto_scale_lr,
    last_good_checkpoint,
    load_config,
    load_stages,
    on_main_process,
    run_stages,
    setup_distributed,
)

EXAMPLES = """examples:
  all stages of a config, one after the other:
    python tools/train.py configs/mvc/dvispp_r18_synthetic.py
  go on after it was stopped:
    python tools/train.py configs/mvc/dvispp_r18_synthetic.py --resume
  on data in another folder, with another learning rate:
    python tools/train.py configs/mvc/dvispp_r18_camvid.py --data-root data/camvid \\
        --cfg-options optim_wrapper.optimizer.lr=5e-4
  on two processes:
    bash tools/dist_train.sh configs/mvc/dvispp_r18_synthetic.py 2
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train a model. A config that lists "stages" is trained stage by stage, each in its own folder of '
        'the work dir and from the weights of the one before; the numbers of all stages end up in summary.json.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir',
                        help='folder for logs and checkpoints; default: work_dirs/<folder and name of the config>')
    parser.add_argument('--resume', action='store_true',
                        help='go on from the last intact checkpoint; finished stages are skipped')
    parser.add_argument('--overwrite', action='store_true',
                        help='discard checkpoints of the stages to be trained (stages only)')
    parser.add_argument('--stages', nargs='+', metavar='NAME', help='train only these stages; default: all')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision (GPU)')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate by the real batch size over auto_scale_lr.base_batch_size')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config, of every stage: key=value, a.b.c=value, key="[1,2]"')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how processes were started')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help='set by launchers, not by hand')
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def prepare(path: str, args: argparse.Namespace) -> Config:
    """Load a config (of a stage) with what the command line says."""
    cfg = load_config(path, args.cfg_options, args.data_root)
    if args.amp:
        enable_amp(cfg)
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    cfg.launcher = args.launcher
    return cfg


def train_alone(cfg: Config, resume: bool) -> None:
    """Train a config without stages."""
    if resume:
        checkpoint = on_main_process(lambda: last_good_checkpoint(cfg.work_dir))
        if checkpoint is None:
            print(f'No checkpoint to resume from in "{cfg.work_dir}": training starts from the beginning')
        else:
            cfg.load_from, cfg.resume = checkpoint, True
    build_runner(cfg).train()


def main() -> None:
    args = parse_args()
    try:
        cfg = prepare(args.config, args)
        cfg.work_dir = args.work_dir or cfg.get('work_dir') or default_work_dir(args.config)
        setup_distributed(args.launcher, cfg)
        if 'stages' in cfg:
            stages = load_stages(cfg, cfg.work_dir, lambda path: prepare(path, args))
            run_stages(stages, args.stages, args.resume, args.overwrite)
        elif args.stages or args.overwrite:
            raise UsageError(f'config "{args.config}" has no stages: --stages and --overwrite do not apply')
        else:
            train_alone(cfg, args.resume)
    except UsageError as error:
        sys.exit(f'error: {error}' if is_main_process() else 2)


if __name__ == '__main__':
    main()
