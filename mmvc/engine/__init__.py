# Copyright (c) The mmvc contributors. All rights reserved.
from .accumulation import accumulate_gradients
from .atomic_backend import AtomicLocalBackend
from .checkpoints import is_intact_checkpoint, last_good_checkpoint, require_checkpoint, weight_mismatches
from .config import (
    VIS_BACKENDS,
    OverrideAction,
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
from .distributed import LAUNCHERS, exit_with_message, on_main_process, setup_distributed
from .hooks import (
    ActivationCheckpointHook,
    AtomicCheckpointHook,
    BadSampleHook,
    CheckClassesHook,
    CheckWeightsHook,
    FinalMetricsHook,
    HostMemoryHook,
    NaNGuardHook,
    NonFiniteError,
    RandomStateHook,
    VideoSegVisualizationHook,
    WeightMismatchError,
    checkpoint_activations,
)
from .reporting import report_errors
from .resumable_train_loop import ResumableTrainLoop
from .stage_config import resolve_stage, stage_names
from .stages import Stage, load_stages, plan_stages, run_stages
from .summary import format_summary

__all__ = [
    'LAUNCHERS', 'VIS_BACKENDS', 'ActivationCheckpointHook', 'AtomicCheckpointHook', 'AtomicLocalBackend',
    'BadSampleHook', 'CheckClassesHook', 'CheckWeightsHook', 'FinalMetricsHook', 'HostMemoryHook', 'NaNGuardHook',
    'NonFiniteError', 'OverrideAction', 'RandomStateHook', 'ResumableTrainLoop', 'Stage',
    'VideoSegVisualizationHook', 'WeightMismatchError', 'accumulate_gradients', 'build_runner',
    'checkpoint_activations', 'default_work_dir', 'enable_amp', 'enable_auto_scale_lr', 'enable_backends',
    'enable_deterministic', 'exit_with_message', 'format_summary', 'is_intact_checkpoint', 'last_good_checkpoint',
    'load_config', 'load_stages', 'merge_options', 'on_main_process', 'plan_stages', 'read_config', 'report_errors',
    'require_checkpoint', 'require_dataloader', 'resolve_stage', 'run_stages', 'setup_distributed', 'stage_names',
    'weight_mismatches'
]
