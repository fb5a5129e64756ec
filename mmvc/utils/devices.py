# Copyright (c) The mmvc contributors. All rights reserved.
"""The device that a model runs on, and half precision on it."""

import torch
from mmengine.device import get_device

from .errors import UsageError

AMP_DTYPES = dict(bf16=torch.bfloat16, fp16=torch.float16)


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


def amp_dtype(name: str, device: torch.device) -> torch.dtype:
    """Get the type of half precision, and check that a device has it.

    Args:
        name (str): A key of ``AMP_DTYPES``.
        device (torch.device): The device.

    Raises:
        UsageError: The device does not have it.
    """
    dtype, one = AMP_DTYPES[name], torch.ones(1, 1, device=device)
    with torch.autocast(device.type, dtype=dtype):
        if (one @ one).dtype != dtype:  # older versions of torch only warn, and continue in full precision
            raise UsageError(f'torch {torch.__version__} does not support {name} on {device.type}: choose another '
                             'amp, or none')
    return dtype
