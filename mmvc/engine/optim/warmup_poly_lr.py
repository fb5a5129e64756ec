# Copyright (c) The mmvc contributors. All rights reserved.
import logging

from mmengine.logging import print_log
from mmengine.optim import BaseOptimWrapper
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from torch.optim import Optimizer

from mmvc.registry import PARAM_SCHEDULERS
from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError


@PARAM_SCHEDULERS.register_module()
class WarmupPolyLR(_ParamScheduler):
    """Linear warm-up from 0, then polynomial decay to 0; the encoder may start after the new parameters.

    At iteration ``i`` of ``end``, counted from 0, the learning rate is multiplied by ::

        i / warmup_iters                                     during the warm-up
        ((end - i) / (end - warmup_iters)) ** power          after it

    With ``encoder_warmup_iters`` the parameter groups whose entry ``part`` is ``'encoder'`` (see
    :class:`LayerDecayOptimWrapperConstructor`) keep a learning rate of 0 until ``warmup_iters``. Their own warm-up
    begins there, and their decay begins at the end of their own warm-up.

    The rate depends on the iteration and the initial rate alone. So the class cannot be combined with another
    scheduler of the learning rate.

    Args:
        optimizer (Optimizer or BaseOptimWrapper): The optimizer.
        warmup_iters (int): Length of the warm-up, in iterations.
        encoder_warmup_iters (int, optional): Length of the encoder's own warm-up, in iterations. Defaults to None:
            the encoder has the schedule of all other parameters.
        power (float): Exponent of the decay. Defaults to 0.9.
        end (int): Iteration at which the rate is 0. mmengine fills in ``train_cfg.max_iters``.
        by_epoch (bool): Must be False, because the schedule counts iterations.
        verbose (bool): Whether to log every change. Defaults to False.

    Raises:
        UsageError: ``by_epoch`` is not False, or a number is out of range.

    Source: schedules of VidEoMT (arXiv 2602.17807) and LVMT (arXiv 2609.34895).
    """

    def __init__(self,
                 optimizer: Optimizer | BaseOptimWrapper,
                 warmup_iters: int,
                 encoder_warmup_iters: int | None = None,
                 power: float = 0.9,
                 *,
                 end: int,
                 by_epoch: bool = True,
                 verbose: bool = False) -> None:
        if by_epoch:
            raise UsageError('WarmupPolyLR counts iterations: set by_epoch=False in param_scheduler')
        check_number('param_scheduler.warmup_iters', warmup_iters, 0, whole=True)
        check_number('param_scheduler.encoder_warmup_iters', encoder_warmup_iters or 0, 0, whole=True)
        check_number('param_scheduler.power', power, 0)
        self.warmup_iters = warmup_iters
        self.encoder_warmup_iters = encoder_warmup_iters
        self.power = power
        warmup = warmup_iters + (encoder_warmup_iters or 0)
        if warmup >= end:
            keys = 'warmup_iters' if encoder_warmup_iters is None else 'warmup_iters and encoder_warmup_iters'
            print_log(f'The learning rate warms up over {warmup} iterations, but the schedule ends at {end}, so it '
                      f'never reaches its full value: reduce {keys} in param_scheduler', logger='current',
                      level=logging.WARNING)
        super().__init__(optimizer, 'lr', end=end, by_epoch=False, verbose=verbose)

    def factor(self, iteration: int, part: str = 'new') -> float:
        """Factor on the initial learning rate.

        Args:
            iteration (int): Iteration, counted from 0.
            part (str): ``'encoder'`` or ``'new'``: part of the model. Defaults to ``'new'``.

        Returns:
            float: In [0, 1].
        """
        begin, length = 0, self.warmup_iters
        if part == 'encoder' and self.encoder_warmup_iters is not None:
            begin, length = self.warmup_iters, self.encoder_warmup_iters
        if iteration >= self.end:
            return 0.0
        if iteration < begin + length:
            return max(iteration - begin, 0) / length
        return ((self.end - iteration) / (self.end - begin - length))**self.power

    def step(self) -> None:
        """Set the learning rates of the next iteration. mmengine leaves out ``end``, where the rate becomes 0."""
        super().step()
        if self._global_step == self.end:
            self.last_step += 1
            for group in self.optimizer.param_groups:
                group['lr'] = 0.0
            self._last_value = [0.0] * len(self.base_values)

    def _get_value(self) -> list[float]:
        return [base * self.factor(self.last_step, group.get('part', 'new'))
                for base, group in zip(self.base_values, self.optimizer.param_groups)]
