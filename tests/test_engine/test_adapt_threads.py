# Copyright (c) The mmvc contributors. All rights reserved.
"""Every runner adapts the number of threads."""

import pytest

from mmvc.engine import build_runner
from mmvc.engine.hooks import AdaptThreadsHook
from mmvc.utils.adaptive_threads import AdaptiveThreads
from tests.helpers.tiny_inference import tiny_config


@pytest.fixture
def calls(monkeypatch):
    """Number of calls of ``adapt``, in a list of one."""
    counts = [0]

    def adapt(self):
        counts[0] += 1

    monkeypatch.setattr(AdaptiveThreads, 'adapt', adapt)
    return counts


@pytest.mark.parametrize('moment', ['train', 'val', 'test'])
def test_after_each_iteration(calls, moment):
    getattr(AdaptThreadsHook(), f'after_{moment}_iter')(None, 0)
    assert calls == [1]


def test_every_runner_has_the_hook(tmp_path):
    cfg = tiny_config('DVISOnline')
    cfg.work_dir = str(tmp_path)
    assert any(isinstance(hook, AdaptThreadsHook) for hook in build_runner(cfg).hooks)
