# Copyright (c) The mmvc contributors. All rights reserved.
"""Settings of the memory allocator."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # numbers of malloc.h
_MMAP_THRESHOLDS = 1 << 30, 1 << 25  # bytes; older releases of glibc refuse more than 32 MiB


def keep_freed_memory() -> bool:
    """Let this process reuse freed memory instead of returning it to the kernel each time.

    A decoded frame takes a few MiB, and features of a network tens of MiB. By default glibc requests such a block from
    the kernel and returns it when it is freed, so every frame needs new pages. Where new pages are slow, keeping them
    makes reading label maps a third faster and a training step up to a tenth faster, and threads no longer wait for
    each other. The process keeps its peak memory until it ends. Call this function early in programs; a library should
    not change the allocator of its process.

    Returns:
        bool: Whether the allocator accepted the setting; False if it is not glibc.
    """
    if not sys.platform.startswith('linux'):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    kept = any(mallopt(_M_MMAP_THRESHOLD, threshold) for threshold in _MMAP_THRESHOLDS)
    return bool(kept and mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1))
