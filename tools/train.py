# Copyright (c) The mmvc contributors. All rights reserved.
"""Train a model, or all stages of one."""

import argparse
import os

from mmengine.config import Config
from torch.distributed.elastic.multiprocessing.errors import record

import mmvc  # noqa: F401  registers the scope
from mmvc.engine import (
    LAUNCHERS,
    VIS_BACKENDS,
    OverrideAction,
    Stage,
    accumulate_gradients,
    default_work_dir,
    enable_amp,
    enable_auto_scale_lr,
    enable_backends,
    enable_deterministic,
    load_config,
    load_stages,
    on_main_process,
    read_config,
    report_errors,
    run_stages,
    setup_distributed,
    stage_names,
)
from mmvc.utils import keep_freed_memory
from mmvc.utils.arguments import NumberArgument
from mmvc.utils.checkpoint_loading import trust_checkpoints
from mmvc.utils.errors import UsageError

EXAMPLES = """examples:
  all stages of a config, one after the other:
    python tools/train.py configs/mvc/dvispp_r18_synthetic.py
  go on after it was stopped:
    python tools/train.py configs/mvc/dvispp_r18_synthetic.py --resume
  only the tracker, from the segmenter that is in the work dir:
    python tools/train.py configs/mvc/dvispp_r18_synthetic.py --stage online
  on data in another folder, with another learning rate:
    python tools/train.py configs/mvc/dvispp_r18_camvid.py --data-root data/camvid \\
        --cfg-options optim_wrapper.optimizer.lr=5e-4
  on two processes:
    bash tools/dist_train.sh configs/mvc/dvispp_r18_synthetic.py 2
  on one GPU instead of eight, with the batch and the schedule of eight:
    python tools/train.py configs/mvc/dvispp_r50_vspw.py --accumulate 8
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train a model. A config with "stages" is trained stage by stage, each in its own folder of the '
        'work dir and from the weights of the one before. The numbers of all stages end up in summary.json.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir',
                        help='folder for logs and checkpoints; default: work_dirs/<folder and name of the config>')
    parser.add_argument('--resume', action='store_true',
                        help='go on from the last intact checkpoint; finished stages are skipped')
    parser.add_argument('--overwrite', action='store_true',
                        help='discard the checkpoints of the trainings that are to be done, and begin anew')
    parser.add_argument('--stage', '--stages', nargs='+', metavar='NAME',
                        help='train only these stages; the first of them starts from the stage before, or from '
                        'load_from if the work dir does not have that; default: all')
    parser.add_argument('--allow-random-weights', action='store_true',
                        help='train a stage without the weights of the one before; without this option, a training '
                        'whose frozen parts would stay random is refused')
    parser.add_argument('--data-root', help='folder of the dataset, instead of data_root of the config')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='load checkpoints even if reading them runs code that is in them')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision (GPU)')
    parser.add_argument('--accumulate', type=NumberArgument(1, whole=True), default=1, metavar='N',
                        help='sum the gradients of N iterations, and train N times as many: the batch, the schedule '
                        'and the learning rate of N times as many GPUs')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate by the real batch size over auto_scale_lr.base_batch_size')
    parser.add_argument('--deterministic', action='store_true',
                        help='the same weights, bit for bit, from every run on the same machine; slower on GPUs')
    parser.add_argument('--watch', nargs='+', choices=list(VIS_BACKENDS), default=[],
                        help='send losses and metrics there, too')
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction, metavar='KEY=VALUE',
                        help='override entries of the config, of every stage: key=value, a.b.c=value, key="[1,2]"; '
                        'of one stage: stages.NAME.key=value')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how processes were started')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help='set by launchers, not by hand')
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def prepare(args: argparse.Namespace, stage: str | None = None) -> Config:
    """Load the config of a stage (the last one by default) with what the command line says."""
    cfg = load_config(args.config, args.cfg_options, args.data_root, stage)
    if args.amp:
        enable_amp(cfg)
    accumulate_gradients(cfg, args.accumulate)
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    if args.deterministic:
        enable_deterministic(cfg)
    if args.watch:
        enable_backends(cfg, args.watch)
    cfg.launcher = args.launcher
    return cfg


@record  # torchrun ends with the traceback of the process that failed first
def run(args: argparse.Namespace) -> None:
    """Train as the command line says."""
    if args.trust_checkpoint:
        trust_checkpoints()
    with report_errors():
        cfg = prepare(args)
        names = stage_names(read_config(args.config))
        cfg.work_dir = args.work_dir or cfg.get('work_dir') or default_work_dir(args.config)
        setup_distributed(args.launcher, cfg)
        if names:
            stages = load_stages(names, cfg.work_dir, lambda name: prepare(args, name))
            resume = args.resume
        elif args.stage:
            raise UsageError(f'config "{args.config}" has no stages: --stage does not apply')
        else:
            stages = [Stage('', cfg, cfg.work_dir)]
            stages[0].require_training()
            if args.overwrite and not on_main_process(stages[0].holds_results):
                raise UsageError(f'config "{args.config}" has no stages, and "{cfg.work_dir}" no results to discard: '
                                 'leave out --overwrite')
            resume = args.resume or bool(cfg.get('resume'))
        run_stages(stages, args.stage, resume, args.overwrite, args.allow_random_weights)


def main() -> None:
    args = parse_args()
    keep_freed_memory()
    run(args)


if __name__ == '__main__':
    main()
