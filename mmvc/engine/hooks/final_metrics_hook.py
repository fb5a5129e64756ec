# Copyright (c) The mmvc contributors. All rights reserved.
from numbers import Number

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvc.registry import HOOKS


@HOOKS.register_module()
class FinalMetricsHook(Hook):
    """Keeps the numbers of the last validation, and sees to it that the final weights get theirs.

    A training that was killed between its last checkpoint and the validation behind it would, resumed, end without.

    Attributes:
        iter (int | None): Finished training iterations at that validation; None before the first.
        metrics (dict[str, float]): Its numbers.
    """

    def __init__(self) -> None:
        self.iter: int | None = None
        self.metrics: dict[str, float] = {}

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep what is a number."""
        self.iter = runner.iter
        self.metrics = {name: float(value) for name, value in (metrics or {}).items() if isinstance(value, Number)}

    def after_train(self, runner: Runner) -> None:
        """Validate the final weights if that has not been done."""
        if runner.val_loop is not None and self.iter != runner.iter:
            runner.val_loop.run()
