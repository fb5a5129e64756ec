# Copyright (c) The mmvc contributors. All rights reserved.
"""Unpicklers that allow only the objects that a checkpoint needs.

A pickle is a program: it can call any function that it names. Weights and training state need only the names below,
each of which does nothing but create a value.
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
    '_codecs.encode': codecs.encode,  # Python 3 writes bytes with it in pickle protocols of Python 2
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
    """Replace ``getattr``, which could reach anything: return a method that histories and schedules store."""
    if not isinstance(owner, type) or name not in _METHODS.get(owner, ()):
        raise pickle.UnpicklingError(f"it refers to the attribute '{name}' of {owner!r}")
    return getattr(owner, name)


#: in addition, what mmengine saves in the checkpoint of a training
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

#: in addition, what ``torch.load(weights_only=True)`` allows by itself; torch resolves storages
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
    """Raises an error on any object that is not in ``known``."""

    known: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        module = 'builtins' if module == '__builtin__' else module  # the name in Python 2, which torch.save uses
        try:
            return self.known[f'{module}.{name}']
        except KeyError:
            raise pickle.UnpicklingError(f"it refers to '{module}.{name}'") from None


class ArrayUnpickler(_RestrictedUnpickler):
    """Reads numpy arrays and plain containers; any other object raises an error that names it."""

    known = ARRAY_GLOBALS

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError('it contains torch tensors')


class _CheckpointUnpickler(_RestrictedUnpickler):
    known = _TORCH_GLOBALS


def _load(file: BinaryIO, **kwargs: Any) -> Any:
    return _CheckpointUnpickler(file, **kwargs).load()


#: argument ``pickle_module`` of :func:`torch.load`, for versions of torch without ``safe_globals``
CHECKPOINT_PICKLE = SimpleNamespace(
    __name__='restricted_pickle', Unpickler=_CheckpointUnpickler, load=_load,
    loads=lambda data, **kwargs: _load(io.BytesIO(data), **kwargs))
