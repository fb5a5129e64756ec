# Copyright (c) The mmvc contributors. All rights reserved.
"""Data workers that end with their process, and loaders that never wait without a limit."""

from collections.abc import Callable, Sized
from functools import partial
from multiprocessing.queues import Queue
from typing import Any

from mmengine.dist import all_gather_object, is_distributed
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader, get_worker_info

from mmvc.utils.children import die_with_parent
from mmvc.utils.errors import UsageError

#: how long a loader waits for a batch, unless the config sets ``timeout``
SECONDS_PER_BATCH = 600


def guard_loaders(runner: Any) -> None:
    """Guard all loaders that a runner builds from its config.

    Their workers end with this process. A batch that a worker cannot hand over, for lack of shared memory, is an error
    here; torch would wait for it for ever. A loader without ``timeout`` waits for a batch for 600 seconds. On several
    ranks, all must have as many samples.

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
    if initialize is not None:
        initialize(number)


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
