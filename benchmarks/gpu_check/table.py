# Copyright (c) The mmvc contributors. All rights reserved.
"""The checks, in the order in which they run: what is most likely to be wrong first, what takes longest last.

Nothing here imports torch, so that the command starts at once, and can report an environment in which torch is broken.
"""

from typing import NamedTuple


class Check(NamedTuple):
    """A check: a module with a function ``run(recorder, settings, **arguments)`` that runs in its own process."""

    name: str
    title: str
    module: str
    """Name of the module in ``benchmarks.gpu_check.checks``."""
    limit: int
    """Seconds on a GPU after which the process is killed."""
    minimum: int
    """Seconds without which it is not worth to begin."""
    arguments: dict = {}
    """Arguments of its function."""


def _inference(model: str, title: str, limit: int = 60) -> Check:
    return Check(f'inference-{model}', f'Inference: {title}', 'inference', limit, 15, dict(model=model))


def _compiled(model: str, title: str) -> Check:
    return Check(f'compiled-{model}', f'Inference through torch.compile: {title}', 'compiled', 150, 45,
                 dict(model=model))


CHECKS = (
    Check('environment', 'Device and versions', 'device', 60, 5),
    Check('ops', 'Forms of deformable attention and point sampling', 'ops', 60, 10),
    Check('amp', 'AMP: training steps with a gradient scaler', 'amp', 90, 15),
    Check('deterministic', 'Deterministic training: two runs', 'deterministic', 90, 15),
    Check('resume', 'Exact resume', 'resume', 90, 15),
    Check('distributed', 'SyncBN and collectives', 'distributed', 90, 15),
    Check('tests', 'Tests that need CUDA', 'cuda_tests', 180, 20),
    _inference('r50-online', 'DVIS++ R50, online'),
    _inference('r50-offline', 'DVIS++ R50, offline'),
    _inference('vitl-online', 'DVIS++ ViT-L, online'),
    _inference('vitl-offline', 'DVIS++ ViT-L, offline'),
    _inference('videomt', 'VidEoMT ViT-L'),
    _inference('pmt', 'PMT ViT-L'),
    _inference('lvmt', 'LVMT ViT-L'),
    Check('training-r50', 'Training steps: DVIS++ R50', 'training', 90, 20, dict(model='r50')),
    _compiled('r50-online', 'DVIS++ R50, online'),
    _compiled('videomt', 'VidEoMT ViT-L'),
    Check('training-vitl', 'Training steps: DVIS++ ViT-L', 'training', 90, 20, dict(model='vitl')),
    _compiled('vitl-online', 'DVIS++ ViT-L, online'),
)
BY_NAME = {check.name: check for check in CHECKS}
