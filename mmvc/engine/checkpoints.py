# Copyright (c) The mmvc contributors. All rights reserved.
"""Which checkpoint of a folder can be trusted, and whether its weights fit a model."""

import logging
import re
import zipfile
from pathlib import Path
from typing import Dict, List, Optional, Union

import torch.nn as nn
from mmengine.logging import print_log
from torch import Tensor

from .errors import UsageError

_PERIODIC_NAME = re.compile(r'^(?!best_).*_(\d+)\.pth$')  # iter_100.pth, epoch_3.pth; best_* hold no optimizer state


def is_intact_checkpoint(path: Union[str, Path]) -> bool:
    """Whether a checkpoint file is complete, without unpickling anything.

    ``torch.save`` writes a zip archive with a checksum for every tensor: a truncated file has no index, a file with
    flipped bytes fails its checksum.

    Args:
        path (str | Path): Checkpoint file.

    Returns:
        bool: False if the file is missing, truncated, corrupt or not written by ``torch.save``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None and any(name.endswith('data.pkl') for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError):
        return False


def require_checkpoint(path: Union[str, Path]) -> None:
    """Refuse a file that cannot be a checkpoint, before a model is built for it.

    Args:
        path (str | Path): Checkpoint file.

    Raises:
        UsageError: If it is missing, truncated, corrupt or something else.
    """
    if not Path(path).is_file():
        raise UsageError(f'checkpoint "{path}" does not exist')
    with open(path, 'rb') as file:
        old_format = file.read(2) == b'\x80\x02'  # torch < 1.6: a bare pickle, which has no checksums
    if not old_format and not is_intact_checkpoint(path):
        raise UsageError(f'checkpoint "{path}" is truncated, corrupt or no checkpoint: copy or train it again')


def periodic_checkpoints(folder: Union[str, Path]) -> List[Path]:
    """Checkpoints written during training (``iter_100.pth``, ``epoch_3.pth``, not ``best_*``), newest first.

    Args:
        folder (str | Path): Work dir; it need not exist.

    Returns:
        list[Path]: Files, by falling iteration or epoch.
    """
    numbered = [(int(match[1]), path) for path in Path(folder).glob('*.pth')
                if (match := _PERIODIC_NAME.match(path.name)) and path.is_file()]
    return [path for _, path in sorted(numbered, reverse=True)]


def last_good_checkpoint(work_dir: Union[str, Path]) -> Optional[str]:
    """Newest checkpoint to resume from; a broken one is named in a warning and passed over.

    Args:
        work_dir (str | Path): Work dir of a training. If it holds no checkpoint, the file that its ``last_checkpoint``
            names is tried (a checkpoint hook with its own ``out_dir`` writes elsewhere).

    Returns:
        str | None: Path of the checkpoint, or None if there is no intact one.
    """
    candidates = periodic_checkpoints(work_dir)
    pointer = Path(work_dir) / 'last_checkpoint'
    if not candidates and pointer.is_file():
        candidates = periodic_checkpoints(Path(pointer.read_text().strip()).parent)
    for path in candidates:
        if is_intact_checkpoint(path):
            return str(path)
        print_log(f'Checkpoint "{path}" is truncated or corrupt: ignored, the one before it is used instead',
                  logger='current', level=logging.WARNING)
    return None


def weight_mismatches(model: nn.Module, state_dict: Dict[str, Tensor], allow_missing: bool = False) -> List[str]:
    """List why the weights of a checkpoint do not fit a model.

    Args:
        model (nn.Module): Model, not wrapped.
        state_dict (dict[str, Tensor]): Weights of the checkpoint; a leading ``module.`` is ignored.
        allow_missing (bool): Whether the model may have parts that the checkpoint lacks (a stage that adds a module to
            the one before). Defaults to False.

    Returns:
        list[str]: One line per mismatch; empty if the weights fit.
    """
    expected = model.state_dict()
    given = {re.sub(r'^module\.', '', name): tensor for name, tensor in state_dict.items()}
    lines = [f'{name}: shape {tuple(given[name].shape)} in the checkpoint, {tuple(expected[name].shape)} in the model'
             for name in expected if name in given and given[name].shape != expected[name].shape]
    if not allow_missing:
        optional = {
            f'{prefix}.{name}'
            for prefix, module in model.named_modules() if getattr(module, 'state_is_optional', False)
            for name in module.state_dict()
        }
        lines += [f'{name}: not in the checkpoint' for name in expected if name not in given and name not in optional]
    lines += [f'{name}: not in the model' for name in given if name not in expected]
    return lines
