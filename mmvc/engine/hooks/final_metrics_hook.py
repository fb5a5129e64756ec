# Copyright (c) The mmvc contributors. All rights reserved.
from numbers import Number

from mmengine.hooks import Hook
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
        """Store the numeric metrics."""
        self.iter = runner.iter
        self.metrics = {name: float(value) for name, value in (metrics or {}).items() if isinstance(value, Number)}

    def after_train(self, runner: Runner) -> None:
        """Validate the final weights, unless they are validated already."""
        if runner.val_loop is not None and self.iter != runner.iter:
            runner.val_loop.run()
