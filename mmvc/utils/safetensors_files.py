# Copyright (c) The mmvc contributors. All rights reserved.
"""Checkpoints in the format of safetensors: tensors and a header of JSON, nothing that could be run."""

import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor

from .errors import CheckpointError

SUFFIX = '.safetensors'
_MAX_HEADER = 100_000_000  # bytes, as in the library


def is_complete(path: str | Path) -> bool:
    """Whether a file has the header of safetensors and all the bytes that it announces.

    Args:
        path (str | Path): File; it need not exist.

    Returns:
        bool: False if it is missing, truncated or something else. The format has no checksums.
    """
    try:
        size = os.path.getsize(path)
        with open(path, 'rb') as file:
            length = int.from_bytes(file.read(8), 'little')
            if not 2 <= length <= min(_MAX_HEADER, size - 8):
                return False
            header = json.loads(file.read(length))
        ends = [entry['data_offsets'][1] for name, entry in header.items() if name != '__metadata__']
        return 8 + length + max(ends, default=0) == size
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return False


def to_bytes(weights: dict[str, Tensor], meta: dict[str, Any]) -> bytes:
    """Content of a file.

    Args:
        weights (dict[str, Tensor]): Contiguous tensors, on the CPU.
        meta (dict): Anything that JSON can hold, numpy arrays and numbers as well.

    Returns:
        bytes: The content; every value of ``meta`` is written as JSON.

    Raises:
        CheckpointError: If the package safetensors is not installed.
    """
    save = _library('write').save
    return save(weights, metadata=dict(
        format='pt', **{name: json.dumps(value, default=lambda array: array.tolist()) for name, value in
                        meta.items()}))


def load(path: str | Path, device: str = 'cpu') -> dict:
    """Read a file as a checkpoint.

    Args:
        path (str | Path): File.
        device (str): Where to put the tensors. Defaults to 'cpu'.

    Returns:
        dict: ``state_dict`` and ``meta`` (what the header holds; JSON is decoded).

    Raises:
        CheckpointError: If the file is truncated or something else, or the package safetensors is not installed.
    """
    if not is_complete(path):
        raise CheckpointError(f'checkpoint "{path}" is truncated, corrupt or not of the format safetensors')
    _library('read')
    from safetensors import SafetensorError, safe_open
    try:
        with safe_open(str(path), framework='pt', device=device) as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}
            meta = dict(file.metadata() or {})
    except SafetensorError as error:
        raise CheckpointError(f'checkpoint "{path}" cannot be read: {error}') from error
    for name, text in meta.items():
        try:
            meta[name] = json.loads(text)
        except ValueError:  # plain text, of another writer
            pass
    return dict(meta=meta, state_dict=weights)


def _library(purpose: str) -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise CheckpointError(f'to {purpose} checkpoints of the format safetensors, install its package: '
                              'pip install safetensors') from error
    return safetensors.torch
