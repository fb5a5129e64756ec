# Copyright (c) The mmvc contributors. All rights reserved.
"""The device that a model runs on."""

import torch
from mmengine.device import get_device

from .errors import UsageError


def usable_device(name: str | None = None) -> torch.device:
    """Return a device, after trying it.

    Args:
        name (str, optional): Such as ``cpu``, ``cuda``, ``cuda:1`` or ``mps``. Defaults to None: an accelerator if
            there is one, else the CPU.

    Raises:
        UsageError: There is no such device here, or this torch cannot use it.
    """
    name = name or get_device()
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # fails on a device without storage, too
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f'device "{name}" cannot be used: {str(error).splitlines()[0]}; choose another one '
                         '(--device)') from error
    return device
