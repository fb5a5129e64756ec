# Copyright (c) The mmvc contributors. All rights reserved.
"""The global random generators: their states as tensors, and a block of code with generators of its own."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def get_random_state(cuda: bool = True) -> dict[str, Tensor]:
    """States of the generators of Python, numpy and torch.

    Args:
        cuda (bool): Whether to include the current CUDA device, if there is one. Defaults to True.

    Returns:
        dict[str, Tensor]: ``python`` (int64), ``numpy`` (int64), ``torch`` (uint8) and, with a CUDA device, ``cuda``
        (uint8), all on the CPU: plain tensors, so that a checkpoint with them can be read without running code. Half a
        normal number that Python or numpy keep for the next draw is part of them.
    """
    version, words, python_gauss = random.getstate()
    keys: Any
    _, keys, position, has_gauss, numpy_gauss = np.random.get_state(legacy=True)
    state = dict(
        python=torch.tensor([version, *words, python_gauss is not None, _to_bits(python_gauss or 0.)]),
        numpy=torch.tensor([*keys.tolist(), position, has_gauss, _to_bits(float(numpy_gauss))]),
        torch=torch.get_rng_state())
    if cuda and torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Tensor]) -> None:
    """Set the generators to states from :func:`get_random_state`; where CUDA is missing on one side, it is left out.

    Args:
        state (dict[str, Tensor]): The states, on any device.
    """
    version, *words, has_gauss, bits = state['python'].tolist()
    random.setstate((version, tuple(words), _to_float(bits) if has_gauss else None))
    *keys, position, has_gauss, bits = state['numpy'].tolist()
    np.random.set_state(('MT19937', np.array(keys, dtype=np.uint32), position, has_gauss, _to_float(bits)))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def seeded(entropy: Sequence[int]) -> Iterator[None]:
    """Run a block with freshly seeded CPU generators, and put the old ones back afterwards.

    Args:
        entropy (sequence[int]): Non-negative numbers that the seeds are derived from; sequences of one length that
            differ anywhere give unrelated seeds (:class:`numpy.random.SeedSequence`).
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seeds = np.random.SeedSequence(entropy).generate_state(3).tolist()
    random.seed(seeds[0])
    np.random.seed(seeds[1])
    torch.default_generator.manual_seed(seeds[2])  # torch.manual_seed would seed the GPUs, too
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _to_bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


def _to_float(bits: int) -> float:
    return float(np.int64(bits).view(np.float64))
