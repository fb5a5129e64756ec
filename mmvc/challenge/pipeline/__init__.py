# Copyright (c) The mmvc contributors. All rights reserved.
"""The challenge pipeline of arXiv 2406.04979: models, voting, aggregation, category correction and submission."""

from .challenge_pipeline import ChallengePipeline
from .plan import ChallengePlan, load_plan
from .prediction import run_model
from .report import ChallengeReport, StepResult
from .submission import write_submission

__all__ = [
    'ChallengePipeline', 'ChallengePlan', 'ChallengeReport', 'StepResult', 'load_plan', 'run_model',
    'write_submission'
]
