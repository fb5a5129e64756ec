# Copyright (c) The mmvc contributors. All rights reserved.
"""Reading other projects' checkpoints without running code that is in them."""

import codecs
import contextlib
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, ContextManager, Dict, Mapping, Union

import numpy as np
import torch
from torch import Tensor


class OfficialWeightsError(ValueError):
    """A checkpoint cannot be read, or is not one that can be converted."""


_reconstruct, _scalar = np.empty(0).__reduce__()[0], np.float64().__reduce__()[0]
_from_buffer = np.empty(1).__reduce_ex__(5)[0]
#: what a pickle of numpy arrays and plain containers refers to, under the names of numpy 1 and 2
_PICKLE_GLOBALS: Dict[str, Any] = {
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


class _ArrayUnpickler(pickle.Unpickler):
    """Reads numpy arrays and plain containers; anything else that a pickle asks for is refused by its name."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _PICKLE_GLOBALS[f'{module}.{name}']
        except KeyError:
            raise pickle.UnpicklingError(f"it refers to '{module}.{name}'") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError('it holds tensors of torch')


def load_official_checkpoint(path: Union[str, Path]) -> Dict[str, Tensor]:
    """Read the weights of a checkpoint; nothing else in it is used, and no code in it is run.

    Args:
        path (str | Path): A ``.pkl`` of detectron2 (numpy arrays), or a ``.pth`` of torch: a state dict, alone or as
            the entry ``model`` or ``state_dict``.

    Returns:
        dict[str, Tensor]: The state dict, on the CPU; a prefix ``module.`` that all names share is taken off.

    Raises:
        OfficialWeightsError: If the file is missing, broken, needs code to be read, or holds no weights.
    """
    path = Path(path)
    if not path.is_file():
        raise OfficialWeightsError(f'checkpoint "{path}" does not exist')
    content = _read_pickle(path) if path.suffix == '.pkl' else _read_torch(path)
    for entry in ('model', 'state_dict'):
        if isinstance(content, Mapping) and isinstance(content.get(entry), Mapping):
            content = content[entry]
            break
    if not isinstance(content, Mapping) or not content:
        raise OfficialWeightsError(f'checkpoint "{path}" holds no weights: expected a state dict, alone or under '
                                   "'model' or 'state_dict'")
    state_dict = {name: _as_tensor(path, name, value) for name, value in content.items()}
    if all(name.startswith('module.') for name in state_dict):
        state_dict = {name[len('module.'):]: value for name, value in state_dict.items()}
    return state_dict


def _read_pickle(path: Path) -> Any:
    """Content of a pickle of numpy arrays."""
    try:
        with open(path, 'rb') as file:
            return _ArrayUnpickler(file, encoding='latin1').load()  # that of detectron2's oldest files
    except Exception as error:  # a damaged pickle can fail in any way
        raise OfficialWeightsError(
            f'checkpoint "{path}" is not read: {error}. A .pkl may hold numpy arrays in plain containers only, since '
            'reading anything else could run code') from error


def _read_torch(path: Path) -> Any:
    """Content of a file of torch.save."""
    try:
        with _numpy_trusted():
            return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split('WeightsUnpickler error: ')[-1].split(' Please use')[0].strip()
        raise OfficialWeightsError(
            f'checkpoint "{path}" holds more than weights, and reading the rest could run code, so it is refused '
            f'({reason}). If you trust its source, save its weights alone: '
            "torch.save(torch.load(SRC, weights_only=False)['model'], DST)") from error
    except (RuntimeError, EOFError, OSError) as error:
        raise OfficialWeightsError(f'checkpoint "{path}" is truncated, corrupt or no checkpoint: {error}') from error


def _numpy_trusted() -> ContextManager:
    """Let torch read numpy scalars and arrays as well (schedulers leave them in checkpoints), where it can be told."""
    if not hasattr(torch.serialization, 'safe_globals'):  # torch < 2.5
        return contextlib.nullcontext()
    dtypes = [type(np.dtype(kind)) for kind in (np.bool_, np.uint8, np.int32, np.int64, np.float32, np.float64)]
    return torch.serialization.safe_globals([np.ndarray, np.dtype, _reconstruct, _scalar, codecs.encode, *dtypes])


def _as_tensor(path: Path, name: Any, value: Any) -> Tensor:
    """The entry of a state dict as a tensor."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in 'fiub':
        value = torch.from_numpy(np.array(value))  # a copy: arrays of a pickle may be read-only
    if not isinstance(name, str) or not isinstance(value, Tensor):
        raise OfficialWeightsError(f'checkpoint "{path}" holds no weights: its entry {name!r} is a '
                                   f'{type(value).__name__}, not a tensor')
    return value
