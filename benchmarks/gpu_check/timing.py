# Copyright (c) The mmvc contributors. All rights reserved.
"""Times of calls, and peak memory. CUDA runs behind the program, so every time ends when the device has finished."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from benchmarks.inference import memory_mb


def finish(device: str) -> None:
    """Wait until the device has done all its work."""
    if device == 'cuda':
        torch.cuda.synchronize()


class Times(NamedTuple):
    """Seconds of repeated calls."""

    seconds: list[float]

    def columns(self, frames: int) -> dict[str, str]:
        """Columns of a table: frames per second, and the median and 95th percentile of a call in milliseconds.

        Args:
            frames (int): Frames that a call processes.
        """
        return {
            'frames/s': f'{frames * len(self.seconds) / sum(self.seconds):.2f}',
            'p50 ms': f'{1000 * statistics.median(self.seconds):.1f}',
            'p95 ms': f'{1000 * percentile(self.seconds, 0.95):.1f}',
        }


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least a share of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def repeat(call: Callable[[], object], device: str, warm_up: int, count: int, seconds: float) -> Times:
    """Time calls, each until the device has finished.

    Args:
        call (Callable): What to time.
        device (str): ``cuda`` or ``cpu``.
        warm_up (int): Calls before the timed ones.
        count (int): Timed calls.
        seconds (float): After so many seconds, no further call is timed; at least two are.
    """
    for _ in range(warm_up):
        call()
    finish(device)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < count and (len(times) < 2 or time.perf_counter() < end):
        start = time.perf_counter()
        call()
        finish(device)
        times.append(time.perf_counter() - start)
    return Times(times)


class PeakMemory:
    """The largest memory since an object of this class was made.

    Args:
        device (str): ``cuda``: of all tensors on the device; ``cpu``: of the whole process, since it began.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        if device == 'cuda':
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def columns(self) -> dict[str, str]:
        """Columns of a table, in MB; on CUDA also what PyTorch has taken from the device."""
        if self.device == 'cuda':
            return {'peak MB': f'{torch.cuda.max_memory_allocated() / 2**20:.0f}',
                    'reserved MB': f'{torch.cuda.max_memory_reserved() / 2**20:.0f}'}
        return {'peak MB': f'{memory_mb(peak=True):.0f}'}
