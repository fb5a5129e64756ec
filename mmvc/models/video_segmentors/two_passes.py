# Copyright (c) The mmvc contributors. All rights reserved.
"""Training steps with several backward passes, in the memory of one.

Masked Video Consistency's "sum" (arXiv 2406.04979, Eq. 4) passes a batch twice, clean and masked. Truncated query
propagation (LVMT, arXiv 2609.34895) cuts clips into chunks of frames.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from mmdet.structures import TrackDataSample
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from torch import Tensor

CLEAN, MASKED = 'clean', 'masked'  # the passes over a batch


class CarriedQueries:
    """What a chunk hands to the next one.

    It is no dataclass: model wrappers of mixed precision copy the dataclasses among their arguments, and those inside
    them, so the next chunk would miss what was written to the copy.
    """

    def __init__(self) -> None:
        #: Queries of the next frame, without gradients, shape (B, Q, D). None before the first chunk.
        self.queries: Tensor | None = None
        #: The whole clips, of which a chunk sees some frames.
        self.clips: Sequence[TrackDataSample] = ()


@dataclass
class Chunk:
    """Consecutive frames of all clips of a batch."""

    frames: slice
    """Their indices."""
    carried: CarriedQueries = field(default_factory=CarriedQueries)
    """The same object for all chunks of a pass."""


def split_frames(num_frames: int, chunk_size: int) -> list[Chunk]:
    """Cut clips into chunks, the last of which may be shorter. A clip that is not longer than a chunk is one chunk.

    Args:
        num_frames (int): Frames T of a clip.
        chunk_size (int): Frames of a chunk, at least 1.

    Returns:
        list[Chunk]: The chunks in order. They share what they carry.
    """
    carried = CarriedQueries()
    ranges = [range(num_frames)[start:start + chunk_size] for start in range(0, num_frames, chunk_size)]
    return [Chunk(slice(frames.start, frames.stop), carried) for frames in ranges]


class PassedSegmentor(Protocol):
    """What :func:`train_pass_by_pass` needs of a segmentor."""

    data_preprocessor: Any

    def agree_on_passes(self, data_samples: Sequence[TrackDataSample]) -> tuple[str, ...]:
        """Passes that all ranks make over a batch; a collective."""

    def chunks(self, inputs: Tensor) -> Sequence[Chunk | None]:
        """Chunks of clips (B, T, ...), each with a backward of its own. ``[None]`` for all frames at once."""

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of the losses, and the losses for the log."""


def train_pass_by_pass(model: BaseModel | MMDistributedDataParallel, module: PassedSegmentor,
                       data: dict | tuple | list, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
    """Train on a batch, and free the memory of each pass and chunk before the next one begins.

    The gradient is that of the sum of all losses, so clipping sees the sum. With gradient accumulation, all passes and
    chunks count as one iteration. A batch with one pass and no chunks has an ordinary step.

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
    parts = [(name, chunk) for name in module.agree_on_passes(batch['data_samples'])
             for chunk in module.chunks(batch['inputs'])]
    log_vars: dict[str, Tensor] = {}
    for i, (name, chunk) in enumerate(parts):
        is_last = i == len(parts) - 1
        # ranks add up their gradients once, in the last part
        with nullcontext() if is_last or not hasattr(model, 'no_sync') else model.no_sync():
            with optim_wrapper.optim_context(model):
                losses = model._run_forward(dict(batch, passes=(name, ), chunk=chunk), mode='loss')
            loss, logs = module.parse_losses(losses)
            del losses
            for key, value in logs.items():
                log_vars[key] = log_vars.get(key, 0) + value.detach()
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
