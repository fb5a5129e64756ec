# Copyright (c) The mmvc contributors. All rights reserved.
from .atomic_io import AtomicLocalBackend, atomic_write
from .checkpoints import is_intact_checkpoint, last_good_checkpoint, require_checkpoint, weight_mismatches
from .config import build_runner, default_work_dir, enable_amp, enable_auto_scale_lr, load_config
from .distributed import LAUNCHERS, on_main_process, setup_distributed
from .errors import UsageError
from .hooks import (
    AtomicCheckpointHook,
    CheckWeightsHook,
    FinalMetricsHook,
    VideoSegVisualizationHook,
    WeightMismatchError,
)
from .stages import Stage, load_stages, plan_stages, run_stages
from .summary import format_summary

__all__ = [
    'LAUNCHERS', 'AtomicCheckpointHook', 'AtomicLocalBackend', 'CheckWeightsHook', 'FinalMetricsHook', 'Stage',
    'UsageError', 'VideoSegVisualizationHook', 'WeightMismatchError', 'atomic_write', 'build_runner',
    'default_work_dir', 'enable_amp', 'enable_auto_scale_lr', 'format_summary', 'is_intact_checkpoint',
    'last_good_checkpoint', 'load_config', 'load_stages', 'on_main_process', 'plan_stages', 'require_checkpoint',
    'run_stages', 'setup_distributed', 'weight_mismatches'
]
