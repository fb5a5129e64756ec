# Copyright (c) The mmvc contributors. All rights reserved.
"""Lets the classic mmengine (0.10.7) resume a training with torch >= 2.6.

There ``torch.load`` reads tensors and plain containers only, unless told what else to trust, and mmengine tells it
nothing. But a training checkpoint also holds the logged history (numpy arrays in mmengine's ``HistoryBuffer``), and
some learning rate schedules leave themselves in it. The maintained mmengine handles both, in the way of this module.
"""

import os
import pickle
from typing import Optional

import mmengine.runner.checkpoint
import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import CheckpointLoader

#: what loggers and metrics leave in a checkpoint
_TRUSTED = [
    HistoryBuffer,
    getattr,
    np.ndarray,
    np.dtype,
    np.empty(0).__reduce__()[0],  # numpy's functions that restore an array and a scalar: their module's name changed
    np.float64().__reduce__()[0],
    *(type(np.dtype(kind)) for kind in (np.bool_, np.uint8, np.int32, np.int64, np.uint64, np.float32, np.float64)),
]


def load_from_local(filename: str, map_location: Optional[str] = None) -> dict:
    """Load a checkpoint file, a training state included.

    Args:
        filename (str): Path of the file.
        map_location (str, optional): As for :func:`torch.load`.

    Returns:
        dict: The checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    filename = os.path.expanduser(filename)
    try:
        with torch.serialization.safe_globals(_TRUSTED):
            return torch.load(filename, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split('WeightsUnpickler error: ')[-1].split(' Please use')[0]
        print_log(f'{filename} holds more than weights and history, so it is loaded as a trusted file ({reason})',
                  'current')
    return torch.load(filename, map_location=map_location, weights_only=False)


def register_checkpoint_loader() -> None:
    """Have mmengine load local files with :func:`load_from_local`, where its own loader cannot."""
    if (not hasattr(mmengine.runner.checkpoint, 'get_torch_safe_globals')
            and hasattr(torch.serialization, 'safe_globals')):  # that is, torch >= 2.5
        CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
