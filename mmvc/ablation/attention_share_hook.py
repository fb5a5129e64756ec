# Copyright (c) The mmvc contributors. All rights reserved.
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
    """Measures, while a model is tested, how much of the refiner's attention goes to background queries.

    Numbers, in percent, mean over videos, frames and layers: ``attention/background``, the share of the weight that
    foreground queries give to background keys, and ``attention/chance``, the share of background among the keys, which
    attention without preference would give. Each batch holds one video.
    """

    def __init__(self) -> None:
        self._open = ExitStack()
        self._record: Any = None
        self._videos: list[tuple[str, float, float]] = []

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Begin to record."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._record = self._open.enter_context(record_attention(model))

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Keep the shares of the video."""
        self._open.close()
        share = self._record.background_share()
        chance = self._record.background.float().mean().item()
        if len(outputs) != 1:
            raise UsageError('attention is recorded video by video: set test_dataloader.batch_size=1, not '
                             f'{len(outputs)}')
        if not share.isnan().all():
            self._videos.append((str(outputs[0][0].metainfo['video_id']), share.nanmean().item(), chance))

    def numbers(self) -> dict[str, float]:
        """Return the numbers over the videos of all ranks; none if no query of any video is foreground."""
        videos = {name: values for part in all_gather_object(self._videos) for name, *values in part}
        if not videos:
            return {}
        share, chance = np.mean([videos[name] for name in sorted(videos)], axis=0)
        return {'attention/background': float(100 * share), 'attention/chance': float(100 * chance)}
