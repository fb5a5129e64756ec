# Copyright (c) The mmvc contributors. All rights reserved.
"""Peak memory of a training step, for the benchmarks: exact, and not the size of the process."""

from collections.abc import Callable

import torch
from torch import nn
from torch.optim import Optimizer


def bytes_of_state(model: nn.Module, optimizer: Optimizer) -> int:
    """Bytes of parameters, buffers and optimizer states."""
    tensors = list(model.state_dict().values())
    for state in optimizer.state.values():
        tensors += [value for value in state.values() if torch.is_tensor(value)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def peak_growth(step: Callable[[], object], device: str) -> int:
    """Run a step; return by how many bytes all tensors together grow at most.

    Args:
        step (Callable): The step.
        device (str): ``'cpu'`` or ``'cuda'``, whose memory counts.
    """
    if device == 'cuda':
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == '[memory]']
    now = peak = 0
    for event in sorted(events, key=_start):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


def _start(event: object) -> int:
    return event.start_ns() if hasattr(event, 'start_ns') else event.start_us()  # before torch 2.4
