# Copyright (c) The mmvc contributors. All rights reserved.
"""Windows of consecutive frames: how long they are, and what comes out of the network."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..cpu import cpu_kernels_enabled


class ProcessedWindow(NamedTuple):
    """Consecutive frames that have passed through the network."""
    output: dict[str, Tensor]
    padded_shape: tuple[int, int]
    img_shape: tuple[int, int]


def max_frames_at_once(inputs: Tensor, window_size: int) -> int:
    """Window length for inputs (B, T, 3, H, W); 1 on CPU without gradients, where more would only thrash the cache."""
    is_cpu_inference = inputs.device.type == 'cpu' and cpu_kernels_enabled() and not torch.is_grad_enabled()
    return 1 if is_cpu_inference else window_size


def join_windows(windows: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Join the tensors (B, t, ...) of consecutive windows along time; removes them, so that no video exists twice."""
    return {name: torch.cat([window.pop(name) for window in windows], dim=1) for name in list(windows[0])}
