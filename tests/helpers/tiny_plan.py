# Copyright (c) The mmvc contributors. All rights reserved.
"""An ablation plan over the stages of ``tiny_stages``, trained in a second."""

from pathlib import Path

from tests.helpers.tiny_stages import write_config

PLAN = """
title = 'Tiny'
config = './all.py'
baseline = 'base'
seeds = [0, 1]
variants = [
    dict(name='base'),
    dict(name='late', overrides=dict(offline={'optim_wrapper.optimizer.lr': 0.001})),
    dict(name='early', overrides=dict(online={'optim_wrapper.optimizer.lr': 0.002})),
    dict(name='tested', test_overrides=dict(offline={'test_evaluator.prefix': 'other'})),
]
metrics = [
    dict(name='mIoU', stage='offline', number='tiny/mIoU'),
    dict(name='mIoU online', stage='online', number='tiny/mIoU'),
    dict(name='loss', stage='offline', number='tiny/mIoU', evaluation='hard', minus='clean', higher_is_better=False),
]
evaluations = [
    dict(name='clean'), dict(name='hard', stages=['offline'], overrides={'test_dataloader.dataset.data_root': 'hard'}),
]
"""


def write_plan(folder: Path, text: str = PLAN) -> str:
    """Write the plan with the config of its stages; return its path."""
    write_config(folder)
    (folder / 'plan.py').write_text(text)
    return str(folder / 'plan.py')
