# Copyright (c) The mmvc contributors. All rights reserved.
"""Scoring predictions that were written to files, whoever made them. Not imported by ``mmvc.evaluation``."""

from .report import Report
from .vis import evaluate_vis
from .vps import evaluate_vps
from .vss import evaluate_vss, find_unlabelled, list_masks

__all__ = ['Report', 'evaluate_vis', 'evaluate_vps', 'evaluate_vss', 'find_unlabelled', 'list_masks']
