# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData


@pytest.fixture
def replay_rand(monkeypatch) -> Callable[[Iterable], list]:
    """Make ``torch.rand`` give recorded draws, in order; a call with another shape than the recorded one fails.

    Returns:
        Callable: Takes the draws and returns the list of those that are left, to be checked for emptiness.
    """

    def install(draws: Iterable) -> list:
        left = [torch.as_tensor(draw) for draw in draws]

        def rand(*size, device=None, **kwargs):
            shape = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
            assert left and tuple(left[0].shape) == shape, f'draw of {shape}, recorded: {[d.shape for d in left[:1]]}'
            return left.pop(0).to(device)

        monkeypatch.setattr(torch, 'rand', rand)
        return left

    return install


@pytest.fixture
def recorded(data_dir) -> dict[str, torch.Tensor]:
    """Matching costs, indices and losses of the official DVIS++ code, with inputs and random draws."""
    with np.load(data_dir / 'modules/criterion.npz') as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files if key != 'meta'}


@pytest.fixture
def official_clips(recorded) -> list[InstanceData]:
    """The golden's two clips of three frames; an object may be matched where its recorded id is not -1."""
    clips = []
    for frames in (range(3), range(3, 6)):
        ids, masks = (
            torch.cat([recorded[f'consistent/inp/targets/{f}/{key}'] for f in frames], dim=1)
            for key in ('ids', 'masks'))
        labels = recorded[f'consistent/inp/targets/{frames[0]}/labels']
        clips.append(InstanceData(labels=labels, masks=masks, present=ids >= 0))
    return clips
