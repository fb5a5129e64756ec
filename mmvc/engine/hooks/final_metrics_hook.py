# Copyright (c) The mmvc contributors. All rights reserved.
import logging
import math
from numbers import Number

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvc.registry import HOOKS


@HOOKS.register_module()
class FinalMetricsHook(Hook):
    """Stores the metrics of the last validation, and validates the final weights if that was missed.

    It is missed if the training is killed between its last checkpoint and the validation after it, and then resumed.

    Attributes:
        iter (int | None): Training iterations finished at that validation; None before the first validation.
        metrics (dict[str, float]): Metrics of that validation.
    """

    def __init__(self) -> None:
        self.iter: int | None = None
        self.metrics: dict[str, float] = {}

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Store the numeric metrics. A number that a scheduler watches and the data do not define becomes NaN."""
        self.iter = runner.iter
        self.metrics = {name: float(value) for name, value in (metrics or {}).items() if isinstance(value, Number)}
        if metrics is None:
            return
        schedulers = runner.param_schedulers or []
        for scheduler in sum(schedulers.values(), []) if isinstance(schedulers, dict) else schedulers:
            monitor = getattr(scheduler, 'monitor', None)  # of ReduceOnPlateau
            if monitor is not None and monitor not in metrics:
                print_log(f'The validation gives no {monitor}, which {type(scheduler).__name__} watches: it counts as '
                          'no improvement', logger='current', level=logging.WARNING)
                metrics[monitor] = math.nan

    def after_train(self, runner: Runner) -> None:
        """Validate the final weights, unless they are validated already."""
        if runner.val_loop is not None and self.iter != runner.iter:
            runner.val_loop.run()
