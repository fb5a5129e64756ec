# Copyright (c) The mmvc contributors. All rights reserved.
"""What differs between the checkpoints of two trainings."""

import torch


def differences(one, other, path=''):
    """Names of the tensors and numbers in nested structures that are not equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [line for name in one.keys() | other.keys()
                for line in differences(one.get(name), other.get(name), f'{path}.{name}')]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        return [line for i, pair in enumerate(zip(one, other)) for line in differences(*pair, f'{path}[{i}]')]
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return [] if same else [path]


def assert_same_training(one, other):
    assert one['optimizer'] and one['random_state']
    parts = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers', 'random_state')
    assert differences(*({name: checkpoint.get(name) for name in parts} for checkpoint in (one, other))) == []
