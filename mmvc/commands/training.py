# Copyright (c) The mmvc contributors. All rights reserved.
"""What ``mmvc train`` does."""

import argparse

from mmengine.config import Config
from torch.distributed.elastic.multiprocessing.errors import record

from mmvc.engine import (
    Stage,
    accumulate_gradients,
    default_work_dir,
    enable_amp,
    enable_auto_scale_lr,
    enable_backends,
    enable_deterministic,
    hold_on_main_process,
    load_config,
    load_stages,
    on_device,
    on_main_process,
    read_config,
    report_errors,
    run_stages,
    setup_distributed,
    stage_names,
)
from mmvc.utils.checkpoint_loading import trust_checkpoints
from mmvc.utils.errors import UsageError


def prepare(args: argparse.Namespace, stage: str | None = None) -> Config:
    """Load the config of a stage (by default the last one), changed as the command line says."""
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


@record  # torchrun prints the traceback of the process that failed first
def run(args: argparse.Namespace) -> None:
    """Run the training of the command line."""
    if args.trust_checkpoint:
        trust_checkpoints()
    with report_errors(args.verbose), on_device(args.device, args.launcher):
        cfg = prepare(args)
        names = stage_names(read_config(args.config))
        cfg.work_dir = args.work_dir or cfg.get('work_dir') or default_work_dir(args.config)
        setup_distributed(args.launcher, cfg)
        with hold_on_main_process([cfg.work_dir]):
            if names:
                stages = load_stages(names, cfg.work_dir, lambda name: prepare(args, name))
                resume = args.resume
            elif args.stage:
                raise UsageError(f'config "{args.config}" has no stages: --stage does not apply')
            else:
                stages = [Stage('', cfg, cfg.work_dir)]
                stages[0].require_training()
                if args.overwrite and not on_main_process(stages[0].holds_results):
                    raise UsageError(f'config "{args.config}" has no stages, and "{cfg.work_dir}" no results to '
                                     'discard: leave out --overwrite')
                resume = args.resume or bool(cfg.get('resume'))
            run_stages(stages, args.stage, resume, args.overwrite, args.allow_random_weights)
