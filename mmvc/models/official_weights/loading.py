# Copyright (c) The mmvc contributors. All rights reserved.
"""Reading checkpoints of other projects without running code in them."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmvc.utils import safetensors_files
from mmvc.utils.checkpoint_loading import failure_reason, is_pickled, load_weights_only, local_copy, plain_name
from mmvc.utils.errors import CheckpointError, UsageError
from mmvc.utils.foreign_files import recognise_foreign_file
from mmvc.utils.restricted_pickle import ArrayUnpickler


class OfficialWeightsError(UsageError):
    """A checkpoint cannot be read or converted."""


def load_official_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read the weights of a checkpoint. Other entries are ignored, and code in it is never run.

    Args:
        path (str | Path): A ``.pkl`` of detectron2 (numpy arrays), a ``.pth`` of torch (a state dict, alone or as
            the entry ``model`` or ``state_dict``), or a ``.safetensors``; or the address of one, which is downloaded.

    Returns:
        dict[str, Tensor]: The state dict, on the CPU; names are without what wrappers of a model add.

    Raises:
        OfficialWeightsError: If the file is missing or damaged, is no checkpoint, holds no weights, or could run code.
        CheckpointError: If the address gives no checkpoint.
    """
    given = str(path)  # Path() makes another address of an address
    path = Path(local_copy(given))
    if not path.is_file():
        raise OfficialWeightsError(f'checkpoint "{given}" does not exist: check the path')
    readers = {'.pkl': _read_pickle, safetensors_files.SUFFIX: _read_safetensors}
    content = _weights_in(readers.get(path.suffix, _read_torch)(path))
    if not isinstance(content, Mapping) or not content:
        raise OfficialWeightsError(f'checkpoint "{path}" holds no weights: expected a state dict, alone or under '
                                   "'model' or 'state_dict'")
    state_dict = {name: _as_tensor(path, name, value) for name, value in content.items()}
    return {plain_name(name): value for name, value in state_dict.items()}


def weight_names(path: str | Path) -> list[str]:
    """Names of the weights in a checkpoint of torch or safetensors. Tensors are not read.

    Args:
        path (str | Path): File.

    Returns:
        list[str]: Names; empty if the file cannot be read, or holds something else.
    """
    try:
        if str(path).endswith(safetensors_files.SUFFIX):
            return safetensors_files.names(path)
        content = _weights_in(load_weights_only(str(path), map_location='cpu', mmap=zipfile.is_zipfile(path)))
    except (CheckpointError, pickle.UnpicklingError, RuntimeError, EOFError, OSError):
        return []
    return [name for name in content if isinstance(name, str)] if isinstance(content, Mapping) else []


def _weights_in(content: Any) -> Any:
    """The state dict in the content of a file: the entry ``model`` or ``state_dict``, or the whole."""
    for entry in ('model', 'state_dict'):
        if isinstance(content, Mapping) and isinstance(content.get(entry), Mapping):
            return content[entry]
    return content


def _read_pickle(path: Path) -> Any:
    """Read a pickle of numpy arrays."""
    if zipfile.is_zipfile(path):  # of torch.save, whatever the suffix says
        return _read_torch(path)
    try:
        with open(path, 'rb') as file:
            return ArrayUnpickler(file, encoding='latin1').load()  # encoding of detectron2's oldest files
    except Exception as error:  # a damaged pickle can fail in any way
        if not str(error).startswith('it refers to'):  # old pickles are text
            _refuse_foreign(path, error)
        raise OfficialWeightsError(
            f'checkpoint "{path}" is not read: {error}. Reading anything but numpy arrays in plain containers could '
            'run code: save its weights alone as such a .pkl') from error


def _read_torch(path: Path) -> Any:
    """Read a file of torch.save."""
    try:
        return load_weights_only(str(path), map_location='cpu')
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        _refuse_foreign(path, error)
        if not isinstance(error, pickle.UnpicklingError) or not is_pickled(str(path)):
            raise OfficialWeightsError(f'checkpoint "{path}" is truncated, corrupt or not a checkpoint: '
                                       f'{failure_reason(error)}. Download it again') from error
        raise OfficialWeightsError(
            f'checkpoint "{path}" holds more than weights, and reading the rest could run code '
            f'({failure_reason(error)}). If you trust its source, save its weights alone: '
            "torch.save(torch.load(SRC, weights_only=False)['model'], DST)") from error


def _read_safetensors(path: Path) -> Any:
    """Read a file of safetensors."""
    try:
        return safetensors_files.load(path)
    except CheckpointError as error:
        raise OfficialWeightsError(str(error)) from error


def _refuse_foreign(path: Path, error: Exception) -> None:
    """Raise an error that says what a file is, if it cannot be a checkpoint at all."""
    foreign = recognise_foreign_file(path)
    if foreign is not None:
        raise OfficialWeightsError(foreign.describe(f'checkpoint "{path}"')) from error


def _as_tensor(path: Path, name: Any, value: Any) -> Tensor:
    """Turn an entry of a state dict into a tensor."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in 'fiub':
        value = torch.from_numpy(np.array(value))  # a copy: arrays of a pickle may be read-only
    if not isinstance(name, str) or not isinstance(value, Tensor):
        raise OfficialWeightsError(f'checkpoint "{path}" holds no weights: its entry {name!r} is a '
                                   f'{type(value).__name__}, not a tensor')
    return value
