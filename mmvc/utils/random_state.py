# Copyright (c) The mmvc contributors. All rights reserved.
"""Saving and restoring the state of the global random number generators (RNGs)."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def get_random_state(cuda: bool = True) -> dict[str, Tensor]:
    """Return the RNG states of Python, numpy and torch.

    Args:
        cuda (bool): Whether to include the current CUDA device, if there is one. Defaults to True.

    Returns:
        dict[str, Tensor]: ``python`` (int64), ``numpy`` (int64), ``torch`` (uint8) and, with a CUDA device, ``cuda``
        (uint8), all on the CPU. They are plain tensors, so that a checkpoint with them loads without running code. The
        states include the second value of a pair of normal random numbers, which Python and numpy keep for later.
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
    """Restore RNG states from :func:`get_random_state`.

    Args:
        state (dict[str, Tensor]): States on any device. ``cuda`` is ignored without a CUDA device, and may be missing.
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
    """Seed the CPU RNGs for a block of code, and restore their states afterwards.

    Args:
        entropy (sequence[int]): Non-negative numbers from which the seeds are derived. Different sequences of equal
            length give unrelated seeds (:class:`numpy.random.SeedSequence`).
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seeds = np.random.SeedSequence(entropy).generate_state(3).tolist()
    random.seed(seeds[0])
    np.random.seed(seeds[1])
    torch.default_generator.manual_seed(seeds[2])  # torch.manual_seed would also seed the GPUs
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
