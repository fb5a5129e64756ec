# Copyright (c) The mmvc contributors. All rights reserved.
"""Scores of prediction files from any model. Not imported by ``mmvc.evaluation``."""

from .completeness import find_ending
from .report import ScoreReport, report_files
from .vis import evaluate_vis
from .vps import evaluate_vps
from .vss import evaluate_vss

__all__ = ['ScoreReport', 'evaluate_vis', 'evaluate_vps', 'evaluate_vss', 'find_ending', 'report_files']
