# Copyright (c) The mmvc contributors. All rights reserved.
"""The hook that measures attention during the evaluations of an ablation."""

from contextlib import ExitStack
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmvc.analysis.attention import record_attention
from mmvc.utils.errors import UsageError


class AttentionShareHook(Hook):
    """Measures during a test how much of the refiner's attention goes to background queries.

    The numbers are in percent, averaged over videos, frames and layers. ``attention/background`` is the share of the
    weight of foreground queries that goes to background keys. ``attention/chance`` is the share of background among
    the keys; attention without preference would have this value. Each batch must hold one video.

    Only :func:`run_evaluation` uses this hook, for evaluations with ``attention=True``. So it is not registered in
    ``HOOKS``.
    """

    def __init__(self) -> None:
        self._open = ExitStack()
        self._record: Any = None
        self._videos: list[tuple[str, float, float]] = []

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Start to record."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._record = self._open.enter_context(record_attention(model))

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Store the shares of the video."""
        self._open.close()
        share = self._record.background_share()
        chance = self._record.background.float().mean().item()
        if len(outputs) != 1:
            raise UsageError(f'attention is recorded for one video at a time, got a batch of {len(outputs)}: set '
                             'test_dataloader.batch_size=1')
        if not share.isnan().all():
            self._videos.append((str(outputs[0][0].metainfo['video_id']), share.nanmean().item(), chance))

    def numbers(self) -> dict[str, float]:
        """Return the numbers over the videos of all ranks; empty if no query of any video is foreground."""
        videos = {name: values for part in all_gather_object(self._videos) for name, *values in part}
        if not videos:
            return {}
        share, chance = np.mean([videos[name] for name in sorted(videos)], axis=0)
        return {'attention/background': float(100 * share), 'attention/chance': float(100 * chance)}
