# Copyright (c) The mmvc contributors. All rights reserved.
"""The device of the inferencer, and half precision on it."""

import torch
from mmengine.device import get_device

from mmvc.utils.errors import UsageError

AMP_DTYPES = dict(bf16=torch.bfloat16, fp16=torch.float16)


def find_device(name: str | None) -> torch.device:
    """Get a device, and check that it works.

    Args:
        name (str, optional): Such as ``'cuda:0'``. None: an accelerator if there is one, else the CPU.

    Raises:
        UsageError: It cannot be used.
    """
    try:
        device = torch.device(name or get_device())
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
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
