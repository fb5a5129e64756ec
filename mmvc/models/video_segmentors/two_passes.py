# Copyright (c) The mmvc contributors. All rights reserved.
"""Masked Video Consistency's "sum" (arXiv 2406.04979, Eq. 4) in the memory of one pass: a backward after each."""

from contextlib import nullcontext
from typing import TYPE_CHECKING

from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from torch import Tensor

if TYPE_CHECKING:
    from .minvis import MinVIS

PASSES = ('clean_loss', 'masked_loss')


def train_in_two_passes(model: 'MinVIS | MMDistributedDataParallel', module: 'MinVIS',
                        data: dict | tuple | list, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
    """A training step that frees the clean pass before the masked one begins.

    The gradient is that of the sum of both losses, so clipping sees the sum. With gradient accumulation, both passes
    count as one iteration. Clips without a second pass ("switch") have an ordinary step.

    Args:
        model (MinVIS | MMDistributedDataParallel): What is called: the segmentor, or what wraps it.
        module (MinVIS): The segmentor.
        data (dict | tuple | list): A batch of the data loader.
        optim_wrapper (OptimWrapper): Any one, also of mixed precision.

    Returns:
        dict[str, Tensor]: Losses for the log, as of a single pass over :meth:`MinVIS.loss`.
    """
    with optim_wrapper.optim_context(model):
        batch = module.data_preprocessor(data, True)
    modes = PASSES if module.has_masked_pass(batch['data_samples']) else ('loss', )
    log_vars: dict[str, Tensor] = {}
    for mode in modes:
        is_last = mode == modes[-1]
        # the gradients of all ranks are added up once, with the last pass
        with nullcontext() if is_last or not hasattr(model, 'no_sync') else model.no_sync():
            with optim_wrapper.optim_context(model):
                losses = model._run_forward(batch, mode=mode)
            loss, logs = module.parse_losses(losses)
            del losses
            logs['loss'] = logs['loss'] + log_vars.get('loss', 0)
            log_vars.update({name: value.detach() for name, value in logs.items()})
            if not is_last:
                count = optim_wrapper._inner_count  # of iterations, which backward() counts
                optim_wrapper.backward(optim_wrapper.scale_loss(loss))
                optim_wrapper._inner_count = count
    optim_wrapper.update_params(loss)
    return log_vars


@MODEL_WRAPPERS.register_module()
class TwoPassDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's wrapper with the training step of :func:`train_in_two_passes`.

    mmengine's own makes both passes in one graph, which takes the memory of both; the gradients are the same. To use
    this one: ``model_wrapper_cfg = dict(type='TwoPassDistributedDataParallel', broadcast_buffers=False)`` in a config.
    """

    def train_step(self, data: dict | tuple | list, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One step, see :func:`train_in_two_passes`."""
        if self.detect_anomalous_params:
            return super().train_step(data, optim_wrapper)  # which looks for them in the graph of the whole loss
        return train_in_two_passes(self, self.module, data, optim_wrapper)
