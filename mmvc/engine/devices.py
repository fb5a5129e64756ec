# Copyright (c) The mmvc contributors. All rights reserved.
"""Training and testing on a device of choice; by itself, mmengine takes the accelerator that it finds."""

from collections.abc import Iterator
from contextlib import contextmanager

import mmengine.device
import torch

from mmvc.utils.devices import usable_device
from mmvc.utils.errors import UsageError


@contextmanager
def on_device(name: str | None, launcher: str = 'none') -> Iterator[None]:
    """Let the runners that are built in the block use a device.

    Args:
        name (str, optional): Such as ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; None changes nothing.
        launcher (str): How the processes were started. A launcher gives each process a GPU of its own. Defaults to
            'none'.

    Raises:
        UsageError: There is no such device here, or there is a launcher.
    """
    if name is None:
        yield
        return
    if launcher != 'none':
        raise UsageError(f'--device {name} is for a single process, and --launcher {launcher} gives each process a '
                         'GPU: leave out one of them. CUDA_VISIBLE_DEVICES=0,1 chooses the GPUs of a launcher')
    device = usable_device(name)
    utils = mmengine.device.utils
    before = utils.DEVICE
    utils.DEVICE = device.type  # what mmengine.device.get_device returns
    try:
        if device.type == 'cuda' and device.index is not None:
            with torch.cuda.device(device):
                yield
        else:
            yield
    finally:
        utils.DEVICE = before
