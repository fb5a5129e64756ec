# Copyright (c) The mmvc contributors. All rights reserved.
"""Which objects the pickle in a checkpoint may name, and unpicklers that refuse all others.

A pickle is a program: it can call whatever it names. Those of weights and of a training's history need only the few
names below, none of which does more than build a value.
"""

import codecs
import io
import pickle
from collections import Counter, OrderedDict
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler import param_scheduler

_reconstruct, _scalar = np.empty(0).__reduce__()[0], np.float64().__reduce__()[0]
_from_buffer = np.empty(1).__reduce_ex__(5)[0]

#: numpy arrays and plain containers, under the names of numpy 1 and 2
ARRAY_GLOBALS: dict[str, Any] = {
    'collections.OrderedDict': OrderedDict,
    '_codecs.encode': codecs.encode,  # how Python 3 writes bytes in the format of Python 2
    'numpy.ndarray': np.ndarray,
    'numpy.dtype': np.dtype,
    **{
        f'numpy.{core}.{name}': function
        for core in ('core', '_core') for name, function in (('multiarray._reconstruct', _reconstruct),
                                                             ('multiarray.scalar', _scalar),
                                                             ('numeric._frombuffer', _from_buffer))
    },
}


_METHODS = {
    HistoryBuffer: ('min', 'max', 'current', 'mean'),
    param_scheduler.OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
}


def _known_method(owner: Any, name: str) -> Any:
    """In place of ``getattr``, which reaches everything: the methods that histories and schedules keep."""
    if not isinstance(owner, type) or name not in _METHODS.get(owner, ()):
        raise pickle.UnpicklingError(f"it refers to the attribute '{name}' of {owner!r}")
    return getattr(owner, name)


#: in addition, what mmengine leaves in the checkpoint of a training
TRAINING_GLOBALS: dict[str, Any] = {
    **ARRAY_GLOBALS,
    **{
        f'{kind.__module__}.{kind.__name__}': kind
        for kind in (type(np.dtype(code)) for code in '?bBhHiIlLqQefdUS')
    },
    'mmengine.logging.history_buffer.HistoryBuffer': HistoryBuffer,
    f'{param_scheduler.__name__}.OneCycleParamScheduler': param_scheduler.OneCycleParamScheduler,
    'builtins.getattr': _known_method,
    'builtins.slice': slice,
}

#: in addition, what ``torch.load(weights_only=True)`` knows by itself; storages are resolved by torch
_TORCH_GLOBALS: dict[str, Any] = {
    **TRAINING_GLOBALS,
    **{f'builtins.{kind.__name__}': kind for kind in (set, frozenset, complex, bytearray)},
    'collections.Counter': Counter,
    'torch.Size': torch.Size,
    'torch.device': torch.device,
    'torch.nn.parameter.Parameter': torch.nn.Parameter,
    **{
        f'torch._utils.{name}': getattr(torch._utils, name)
        for name in ('_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_parameter')
    },
    **{str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)},
}


class _RestrictedUnpickler(pickle.Unpickler):
    """Refuses what is not known by its name."""

    known: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        module = 'builtins' if module == '__builtin__' else module  # its name in Python 2, which torch.save keeps to
        try:
            return self.known[f'{module}.{name}']
        except KeyError:
            raise pickle.UnpicklingError(f"it refers to '{module}.{name}'") from None


class ArrayUnpickler(_RestrictedUnpickler):
    """Reads numpy arrays and plain containers; anything else that a pickle asks for is refused by its name."""

    known = ARRAY_GLOBALS

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError('it holds tensors of torch')


class _CheckpointUnpickler(_RestrictedUnpickler):
    known = _TORCH_GLOBALS


def _load(file: BinaryIO, **kwargs: Any) -> Any:
    return _CheckpointUnpickler(file, **kwargs).load()


#: argument ``pickle_module`` of :func:`torch.load`, where ``weights_only`` cannot be told what else to trust
CHECKPOINT_PICKLE = SimpleNamespace(
    __name__='restricted_pickle', Unpickler=_CheckpointUnpickler, load=_load,
    loads=lambda data, **kwargs: _load(io.BytesIO(data), **kwargs))
