# Copyright (c) The mmvc contributors. All rights reserved.
"""Masked Video Consistency's "sum" (arXiv 2406.04979, Eq. 4) in the memory of one pass: a backward after each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

from mmdet.structures import TrackDataSample
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from torch import Tensor

CLEAN, MASKED = 'clean', 'masked'  # the passes over a batch


class PassedSegmentor(Protocol):
    """What :func:`train_pass_by_pass` needs of a segmentor."""

    data_preprocessor: Any

    def agree_on_passes(self, data_samples: Sequence[TrackDataSample]) -> tuple[str, ...]:
        """Passes that all ranks make over a batch; a collective."""

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of the losses, and the losses for the log."""


def train_pass_by_pass(model: BaseModel | MMDistributedDataParallel, module: PassedSegmentor,
                       data: dict | tuple | list, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
    """Train on a batch, and free the memory of the clean pass before the masked one begins.

    The gradient is that of the sum of both losses, so clipping sees the sum. With gradient accumulation, both passes
    count as one iteration. A batch without a masked pass has an ordinary step.

    Args:
        model (BaseModel | MMDistributedDataParallel): The segmentor, or its distributed wrapper.
        module (PassedSegmentor): The segmentor.
        data (dict | tuple | list): A batch of the data loader.
        optim_wrapper (OptimWrapper): Any wrapper, also of mixed precision.

    Returns:
        dict[str, Tensor]: Losses for the log, the same as those of one call of the segmentor's ``loss``.
    """
    with optim_wrapper.optim_context(model):
        batch = module.data_preprocessor(data, True)
    passes = module.agree_on_passes(batch['data_samples'])
    log_vars: dict[str, Tensor] = {}
    for name in passes:
        is_last = name == passes[-1]
        # ranks add up their gradients once, in the last pass
        with nullcontext() if is_last or not hasattr(model, 'no_sync') else model.no_sync():
            with optim_wrapper.optim_context(model):
                losses = model._run_forward(dict(batch, passes=(name, )), mode='loss')
            loss, logs = module.parse_losses(losses)
            del losses
            logs['loss'] = logs['loss'] + log_vars.get('loss', 0)
            log_vars.update({key: value.detach() for key, value in logs.items()})
            if not is_last:
                with _uncounted(optim_wrapper):
                    optim_wrapper.backward(optim_wrapper.scale_loss(loss))
    optim_wrapper.update_params(loss)
    return log_vars


@contextmanager
def _uncounted(optim_wrapper: OptimWrapper) -> Iterator[None]:
    """Keep a backward out of the wrapper's count of iterations, by which it accumulates gradients.

    mmengine counts in ``backward()`` and has no public way to call it without counting.
    """
    count = optim_wrapper._inner_count
    yield
    optim_wrapper._inner_count = count


@MODEL_WRAPPERS.register_module()
class TwoPassDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's wrapper with the training step of :func:`train_pass_by_pass`.

    mmengine's own step makes both passes in one graph, which takes the memory of both; the gradients are the same. To
    use this one, set ``model_wrapper_cfg = dict(type='TwoPassDistributedDataParallel', broadcast_buffers=False)`` in
    the config.
    """

    def train_step(self, data: dict | tuple | list, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Train on a batch, see :func:`train_pass_by_pass`."""
        if self.detect_anomalous_params:
            return super().train_step(data, optim_wrapper)  # it searches the graph of the whole loss
        return train_pass_by_pass(self, self.module, data, optim_wrapper)
