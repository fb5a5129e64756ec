# Copyright (c) The mmvc contributors. All rights reserved.
"""Whether the schedule of the learning rate is as long as the training."""

import math
from typing import Any

from mmengine.config import Config

from mmvc.utils.type_names import type_name

_DECAYS = ('CosineAnnealingLR', 'PolyLR', 'WarmupPolyLR', 'OneCycleLR')  # they reach their lowest rate at their end


def schedule_mismatch(cfg: Config) -> str | None:
    """Say that the schedulers of a config do not fit the length of its training.

    ``train_cfg.max_iters`` alone makes a training shorter or longer, and leaves the schedulers as they are.

    Args:
        cfg (Config): Config with ``train_cfg`` and ``param_scheduler``.

    Returns:
        str | None: What ends too late or too early, and how to change it, in one line. None if all of them fit, or if
        the config does not tell.
    """
    schedulers = cfg.get('param_scheduler') or []
    single = isinstance(schedulers, dict)
    if single:
        schedulers = [schedulers]
    train_cfg = cfg.get('train_cfg') or {}
    parts = []
    for by_epoch, unit, limit in ((False, 'iteration', 'max_iters'), (True, 'epoch', 'max_epochs')):
        length = train_cfg.get(limit)
        if not isinstance(length, int):
            continue
        own = {f'param_scheduler{"" if single else f".{index}"}': scheduler
               for index, scheduler in enumerate(schedulers)
               if isinstance(scheduler, dict) and scheduler.get('by_epoch', True) == by_epoch}
        ends = {key: end for key, scheduler in own.items() if math.isfinite(end := _end(scheduler))}
        last = max(ends, key=lambda key: ends[key], default=None)
        for key, end in ends.items():
            too_early = key == last and end < length and len(ends) == len(own) and type_name(own[key]) in _DECAYS
            if end > length or too_early:
                setting = 'end' if 'end' in own[key] else 'milestones'
                parts.append(f'{key} ({type_name(own[key])}) ends at {unit} {end}, the training at {length} '
                             f'(--cfg-options {key}.{setting}=...)')
    return '; '.join(parts) or None


def _end(scheduler: dict[str, Any]) -> float:
    """Where a scheduler ends; infinity if it does not say."""
    milestones = scheduler.get('milestones') or [-math.inf]
    end = scheduler.get('end', math.inf if milestones == [-math.inf] else max(milestones))
    return end if isinstance(end, (int, float)) else math.inf
