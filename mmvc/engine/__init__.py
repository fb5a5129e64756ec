# Copyright (c) The mmvc contributors. All rights reserved.
"""Training, testing and their configs, for the tools. Hooks are in :mod:`mmvc.engine.hooks`."""

from mmvc.utils.overrides import OverrideAction

from . import atomic_backend, hooks, optim, resumable_train_loop  # noqa: F401  register their classes
from .accumulation import accumulate_gradients
from .checkpoints import last_good_checkpoint, mismatch_hint, require_checkpoint, weight_mismatches
from .config import (
    build_runner,
    default_work_dir,
    enable_amp,
    enable_auto_scale_lr,
    enable_backends,
    enable_deterministic,
    load_config,
    merge_options,
    read_config,
    require_dataloader,
)
from .data_files import data_files
from .devices import on_device
from .distributed import hold_on_main_process, local_checkpoint, on_main_process, setup_distributed
from .reporting import report_errors
from .stage import Stage
from .stage_config import resolve_stage, stage_names
from .stages import load_stages, run_stages

__all__ = [
    # configs
    'OverrideAction', 'accumulate_gradients', 'default_work_dir', 'enable_amp', 'enable_auto_scale_lr',
    'enable_backends', 'enable_deterministic', 'load_config', 'merge_options', 'read_config', 'require_dataloader',
    'resolve_stage', 'stage_names',
    # checkpoints
    'last_good_checkpoint', 'local_checkpoint', 'mismatch_hint', 'require_checkpoint', 'weight_mismatches',
    # running
    'Stage', 'build_runner', 'data_files', 'hold_on_main_process', 'load_stages', 'on_device',
    'on_main_process', 'report_errors', 'run_stages', 'setup_distributed'
]
