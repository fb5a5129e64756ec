# Copyright (c) The mmvc contributors. All rights reserved.
"""How much a training step keeps for its backward passes."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def peak_of_saved_tensors(step: Callable[[], object], ignored: Iterable[Tensor] = ()) -> int:
    """Most bytes that the graphs of a step keep for backward at any time.

    Args:
        step (Callable): The step.
        ignored (Iterable[Tensor]): Tensors that do not count, nor their views, such as parameters.
    """
    kept = dict(now=0, peak=0)
    ignored = {tensor.untyped_storage().data_ptr() for tensor in ignored}

    class Saved:

        def __init__(self, tensor):
            self.tensor, self.size = tensor, tensor.numel() * tensor.element_size()
            if tensor.untyped_storage().data_ptr() in ignored:
                self.size = 0
            kept['now'] += self.size
            kept['peak'] = max(kept['peak'], kept['now'])

        def __del__(self):
            kept['now'] -= self.size

    with torch.autograd.graph.saved_tensors_hooks(Saved, lambda saved: saved.tensor):
        step()
    return kept['peak']
