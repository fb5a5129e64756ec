# Copyright (c) The mmvc contributors. All rights reserved.
"""Data workers that end with their process and send small tensors quickly, and loaders that do not wait for ever."""

from collections.abc import Callable, Sized
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from mmengine.dist import all_gather_object, is_distributed
from torch import Tensor
from torch._utils import ExceptionWrapper
from torch.multiprocessing.reductions import reduce_tensor
from torch.utils.data import DataLoader, get_worker_info

from mmvc.utils.children import die_with_parent
from mmvc.utils.errors import UsageError

#: how long a loader waits for a batch, unless the config sets ``timeout``
SECONDS_PER_BATCH = 600
# Bytes of a tensor that a worker sends within its batch. Torch shares the memory of each tensor, and asks the worker
# for it by a message of its own, which takes 0.5 ms; on a busy machine, where it waits for the worker, 10 ms.
_SENT_BY_VALUE = 1 << 20
_PLAIN_TYPES = (torch.bool, torch.uint8, torch.int32, torch.int64, torch.float32)


def guard_loaders(runner: Any) -> None:
    """Guard all loaders that a runner builds from its config.

    Their workers end with this process, and send small tensors within the batch. A batch that a worker cannot hand
    over, for lack of shared memory, is an error here; torch would wait for it for ever. A loader without ``timeout``
    waits for a batch for 600 seconds. On several ranks, all must have as many samples.

    Args:
        runner (Runner | FlexibleRunner): The runner; its loops are not built yet.
    """
    build = runner.build_dataloader

    def build_guarded(dataloader: DataLoader | dict, *args: Any, **kwargs: Any) -> DataLoader:
        loader = build(dataloader, *args, **kwargs)
        if isinstance(dataloader, dict):
            _guard(loader)
            _check_lengths(loader)
        return loader

    runner.build_dataloader = build_guarded


def _guard(loader: DataLoader) -> None:
    if loader.num_workers > 0:
        loader.timeout = loader.timeout or SECONDS_PER_BATCH
        loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)


def _start_worker(initialize: Callable[[int], None] | None, number: int) -> None:
    die_with_parent()
    # of a batch that it cannot send, the queue of torch's workers only prints the error
    Queue._on_queue_feeder_error = _send_error  # type: ignore[attr-defined]
    ForkingPickler.register(Tensor, _reduce)
    if initialize is not None:
        initialize(number)


def _reduce(tensor: Tensor) -> tuple:
    """Reduce a tensor for a message to the main process: a small one to its values, others to their shared memory."""
    is_plain = tensor.layout == torch.strided and tensor.device.type == 'cpu' and not tensor.requires_grad
    if is_plain and tensor.dtype in _PLAIN_TYPES and tensor.numel() * tensor.element_size() <= _SENT_BY_VALUE:
        return torch.from_numpy, (tensor.numpy(), )
    return reduce_tensor(tensor)


def _send_error(queue: Queue, error: Exception, item: Any) -> None:
    """Send an error in place of a batch, (position, batch), that cannot be sent."""
    worker = get_worker_info()
    assert worker is not None  # torch has set it before this process began to load
    where = f'in DataLoader worker process {worker.id}'
    queue.put((item[0], ExceptionWrapper((type(error), error, error.__traceback__), where)))


def _check_lengths(loader: DataLoader) -> None:
    if not is_distributed() or not isinstance(loader.dataset, Sized):
        return
    lengths = all_gather_object(len(loader.dataset))
    if len(set(lengths)) > 1:
        raise UsageError(f'the ranks have datasets of {", ".join(map(str, lengths))} samples, in the order of the '
                         'ranks: copy the same data to all machines')
