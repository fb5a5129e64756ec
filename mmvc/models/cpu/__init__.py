# Copyright (c) The mmvc contributors. All rights reserved.
"""Faster forms of layers for inference on CPU, and the switch that turns all of them on and off.

Results are those of the ordinary forms, up to rounding. The kernels are on by default. ``use_cpu_kernels(False)`` runs
PyTorch's, mmcv's and mmdet's own forms instead: for measurements, or to find out whether a kernel is at fault.
"""

_enabled = True


def use_cpu_kernels(enabled: bool) -> None:
    """Turn the kernels of this package on or off, for the whole process.

    Args:
        enabled (bool): Whether inference on CPU uses them.
    """
    global _enabled
    _enabled = enabled


def cpu_kernels_enabled() -> bool:
    """Whether inference on CPU uses the kernels of this package."""
    return _enabled
