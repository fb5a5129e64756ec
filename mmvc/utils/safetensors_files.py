# Copyright (c) The mmvc contributors. All rights reserved.
"""Checkpoints in the format of safetensors: a JSON header and tensors, without executable code."""

import json
import zipfile
from pathlib import Path
from typing import Any

from torch import Tensor

from .atomic import atomic_path
from .errors import CheckpointError
from .foreign_files import recognise_foreign_file

SUFFIX = '.safetensors'


def is_complete(path: str | Path) -> bool:
    """Check whether a file has a header of safetensors and all the bytes that it announces.

    Args:
        path (str | Path): File; may be missing.

    Returns:
        bool: False if the file is missing, truncated or of another format. The format has no checksums.

    Raises:
        CheckpointError: The package safetensors is not installed.
    """
    library = _import_library('read')
    try:
        with library.safe_open(str(path), framework='pt'):
            return True
    except (OSError, library.SafetensorError):
        return False


def to_bytes(weights: dict[str, Tensor], meta: dict[str, Any]) -> bytes:
    """Encode a checkpoint.

    Args:
        weights (dict[str, Tensor]): Contiguous tensors on the CPU.
        meta (dict): Values that JSON can represent, and numpy arrays and numbers.

    Returns:
        bytes: Content of the file, always the same for the same checkpoint. Each value of ``meta`` is encoded as JSON.

    Raises:
        CheckpointError: The package safetensors is not installed.
    """
    content = _import_library('write').torch.save(weights, metadata=_encoded(meta))
    start = 8 + int.from_bytes(content[:8], 'little')
    header = json.loads(content[8:start])
    header['__metadata__'] = dict(sorted(header['__metadata__'].items()))  # the library writes them in any order
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes
    return len(text).to_bytes(8, 'little') + text + content[start:]


def save(path: str | Path, weights: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write a checkpoint atomically, without a copy of it in memory.

    Args:
        path (str | Path): File to write.
        weights (dict[str, Tensor]): Tensors on the CPU.
        meta (dict): As for :func:`to_bytes`.

    Raises:
        CheckpointError: The package safetensors is not installed.
        OSError: The file cannot be written.
    """
    library = _import_library('write')
    with atomic_path(path, sync=True, keep_suffix=True) as draft:
        draft.touch()
        mode = draft.stat().st_mode  # the library would let nobody else read the file
        library.torch.save_file({name: value.contiguous() for name, value in weights.items()}, str(draft),
                                metadata=_encoded(meta))
        draft.chmod(mode)


def names(path: str | Path) -> list[str]:
    """Names of the tensors in a file.

    Args:
        path (str | Path): File.

    Raises:
        CheckpointError: The file is truncated or of another format, or the package safetensors is not installed.
    """
    library = _import_library('read')
    try:
        with library.safe_open(str(path), framework='pt') as file:
            return list(file.keys())
    except (OSError, library.SafetensorError) as error:
        raise _broken(path, error) from error


def load(path: str | Path, device: str = 'cpu') -> dict:
    """Read a checkpoint.

    Args:
        path (str | Path): File.
        device (str): Device of the tensors. Defaults to 'cpu'.

    Returns:
        dict: ``state_dict``, and ``meta`` with the metadata of the header; JSON values are decoded.

    Raises:
        CheckpointError: The file is truncated or of another format, or the package safetensors is not installed.
    """
    library = _import_library('read')
    try:
        with library.safe_open(str(path), framework='pt', device=device) as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}
            meta = dict(file.metadata() or {})
    except (OSError, library.SafetensorError) as error:
        raise _broken(path, error) from error
    for name, text in meta.items():
        try:
            meta[name] = json.loads(text)
        except (ValueError, RecursionError):  # plain text, from another writer
            pass
    return dict(meta=meta, state_dict=weights)


def _encoded(meta: dict[str, Any]) -> dict[str, str]:
    return dict(format='pt', **{name: json.dumps(value, default=lambda array: array.tolist())
                                for name, value in meta.items()})


def _broken(path: str | Path, error: Exception) -> CheckpointError:
    foreign = recognise_foreign_file(path)
    if foreign is not None:
        return CheckpointError(foreign.describe(f'checkpoint "{path}"'))
    if zipfile.is_zipfile(path):  # foreign_files says that it is one of torch
        return CheckpointError(f'checkpoint "{path}" is a file of torch, not of safetensors: call it .pth')
    return CheckpointError(f'checkpoint "{path}" is truncated, corrupt or not of the format safetensors: download, '
                           f'copy or train it again ({error})')


def _import_library(purpose: str) -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise CheckpointError(f'to {purpose} checkpoints in the format of safetensors, install its package: '
                              'pip install safetensors') from error
    return safetensors
