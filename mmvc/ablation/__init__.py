# Copyright (c) The mmvc contributors. All rights reserved.
"""Ablations: run the trainings of a plan, each different one once, and compare them in tables."""

from .attention_share_hook import AttentionShareHook
from .job import run_evaluation, run_training
from .plan import Evaluation, Metric, Plan, Run, Training
from .plot import plot_results
from .report import to_markdown
from .results import gather
from .runner import AblationRunner
from .scheduler import BLOCKED, DONE, FAILED, run_processes
from .slurm import slurm_script
from .statistics import Difference, Sample, describe, paired_difference
from .store import Store

__all__ = [
    'BLOCKED', 'DONE', 'FAILED', 'AblationRunner', 'AttentionShareHook', 'Difference', 'Evaluation', 'Metric', 'Plan',
    'Run', 'Sample', 'Store', 'Training', 'describe', 'gather', 'paired_difference', 'plot_results', 'run_evaluation',
    'run_processes', 'run_training', 'slurm_script', 'to_markdown'
]
