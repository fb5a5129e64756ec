# Copyright (c) The mmvc contributors. All rights reserved.
"""Finding intact checkpoints, and comparing their weights with a model."""

import hashlib
import logging
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import torch.nn as nn
from mmengine.logging import print_log
from torch import Tensor
from torch.distributed.fsdp import FullStateDictConfig, FullyShardedDataParallel, StateDictType

from mmvc.utils import safetensors_files
from mmvc.utils.checkpoint_loading import load_from_local, plain_name
from mmvc.utils.errors import CheckpointError, UsageError
from mmvc.utils.foreign_files import recognise_foreign_file

_PERIODIC_NAME = re.compile(r'(?!best_)[^/\\\0]*_(\d+)\.pth')  # iter_100.pth, epoch_3.pth; best_*: no optimizer state
_INSIDE_EPOCH = re.compile(r'epoch_(\d+)_iter_(\d+)\.pth')  # of a training that was stopped inside an epoch
_OWN_NAME = re.compile(r'((iter|epoch)_\d+|epoch_\d+_iter_\d+|best_[^/\\\0]+)\.pth')

_LATER_PARTS = {'tracker', 'refiner', 'propagation'}  # modules that the first stage lacks
# detectron2's dict of weights, and what the official models call their parts
_OFFICIAL_NAMES = {'model', 'criterion', 'sem_seg_head'}


def is_intact_checkpoint(path: str | Path) -> bool:
    """Check whether a checkpoint file is complete, without unpickling it.

    ``torch.save`` writes a zip archive with a checksum for every tensor: a truncated file has no index, and a file
    with flipped bytes fails a checksum. A ``*.safetensors`` file has no checksums; its size is compared with its
    header.

    Args:
        path (str | Path): Checkpoint file.

    Returns:
        bool: False if the file is missing, truncated, corrupt or not a checkpoint.
    """
    if str(path).endswith(safetensors_files.SUFFIX):
        return safetensors_files.is_complete(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None and any(name.endswith('data.pkl') for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, RuntimeError):
        return False


def require_checkpoint(path: str | Path) -> None:
    """Raise an error unless a file is a checkpoint. Call it before building a model.

    Args:
        path (str | Path): Checkpoint file.

    Raises:
        UsageError: The file is missing, truncated, corrupt or not a checkpoint; the message says what it is instead.
    """
    if not Path(path).is_file():
        raise UsageError(f'checkpoint "{path}" does not exist')
    with open(path, 'rb') as file:
        # torch < 1.6 wrote a bare pickle, which has no checksums
        old_format = file.read(2) == b'\x80\x02' and not str(path).endswith(safetensors_files.SUFFIX)
    if old_format or is_intact_checkpoint(path):
        return
    foreign = recognise_foreign_file(path)
    if foreign is not None:
        raise UsageError(foreign.describe(f'checkpoint "{path}"'))
    raise UsageError(f'checkpoint "{path}" is truncated, corrupt or not a checkpoint: download, copy or train it '
                     'again')


def content_digest(path: str | Path) -> str:
    """Tell the content of a checkpoint from that of others, also in a copy, without reading it.

    Args:
        path (str | Path): Checkpoint file. Of a file of torch the checksums of its tensors count; of another file its
            size and its first megabyte.

    Returns:
        str: Digest.

    Raises:
        OSError: The file cannot be read.
    """
    digest = hashlib.sha256()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if '/data/' in entry.filename]
        tensors = sorted((entry.CRC, entry.file_size) for entry in entries)
        digest.update(repr(tensors).encode())
    else:
        with open(path, 'rb') as file:
            digest.update(file.read(1 << 20) + str(Path(path).stat().st_size).encode())
    return digest.hexdigest()[:16]


def periodic_checkpoints(folder: str | Path) -> list[Path]:
    """List the checkpoints that training wrote (``iter_100.pth``, ``epoch_3.pth``, not ``best_*``), newest first.

    Args:
        folder (str | Path): Work dir; may be missing.

    Returns:
        list[Path]: Files, in descending order of iteration or epoch.
    """
    numbered = [(_progress(path.name), path) for path in Path(folder).glob('*.pth')
                if _PERIODIC_NAME.fullmatch(path.name) and path.is_file()]
    return [path for _, path in sorted(numbered, reverse=True)]


def _progress(name: str) -> tuple[int, int]:
    """What the name of a periodic checkpoint counts: iterations or epochs, and iterations inside an epoch."""
    if inside := _INSIDE_EPOCH.fullmatch(name):
        return int(inside[1]), int(inside[2])
    match = _PERIODIC_NAME.fullmatch(name)
    return int(match[1]) if match else -1, 0


def is_inside_epoch(path: str | Path) -> bool:
    """Whether a checkpoint was saved before the end of an epoch, as its name tells.

    Args:
        path (str | Path): Checkpoint file.
    """
    return _INSIDE_EPOCH.fullmatch(Path(path).name) is not None


def is_training_checkpoint(name: str) -> bool:
    """Whether a training gives such a name to its checkpoints: ``iter_100.pth``, ``best_vss_mIoU_iter_100.pth``.

    Args:
        name (str): Name of a file, without folder.
    """
    return _OWN_NAME.fullmatch(name) is not None


def why_not_resumable(path: str | Path) -> str | None:
    """Explain why a training cannot resume from a checkpoint. Tensors are not loaded.

    Args:
        path (str | Path): Checkpoint file.

    Returns:
        str | None: The reason, or None if the checkpoint can be resumed.
    """
    if not is_intact_checkpoint(path):
        foreign = recognise_foreign_file(path)
        return 'is truncated or corrupt' if foreign is None else f'is {foreign.kind}, not a checkpoint'
    try:
        content = load_from_local(path, map_location='cpu', mmap=True)
    except CheckpointError as error:
        return f'cannot be read ({error})'
    missing = [key for key in ('meta', 'state_dict', 'message_hub') if not isinstance(content, dict)
               or not isinstance(content.get(key), dict)]
    if missing:
        return f'was not written by a training of mmengine (it has no {", ".join(missing)})'
    counts = {key: content['meta'].get(key, default) for key, default in (('iter', None), ('epoch', 0))}
    wrong = [f'meta.{key}: {count}' for key, count in counts.items() if type(count) is not int or count < 0]
    return f'does not say which iteration it was saved at ({wrong[0]})' if wrong else None


def require_resumable(path: str | Path) -> None:
    """Raise an error unless a training can resume from a checkpoint.

    Args:
        path (str | Path): Checkpoint file.

    Raises:
        UsageError: The file is missing, or as :func:`why_not_resumable` says.
    """
    if not Path(path).is_file():
        raise UsageError(f'checkpoint "{path}" to resume from does not exist')
    problem = why_not_resumable(path)
    if problem is not None:
        raise UsageError(f'a training cannot resume from "{path}": it {problem}. To start from its weights, leave out '
                         'resume and keep load_from')


def last_good_checkpoint(work_dir: str | Path) -> str | None:
    """Find the newest checkpoint that can be resumed. Broken or foreign ones are skipped with a warning.

    Args:
        work_dir (str | Path): Work dir of a training. If it has no checkpoint, the folder that its file
            ``last_checkpoint`` names is searched (a checkpoint hook with its own ``out_dir`` writes there).

    Returns:
        str | None: Path of the checkpoint, or None if none can be resumed.
    """
    for path in periodic_checkpoints(work_dir) or _checkpoints_elsewhere(Path(work_dir)):
        problem = why_not_resumable(path)
        if problem is None:
            return str(path)
        print_log(f'Checkpoint "{path}" {problem}: ignored, the one before it is used instead', logger='current',
                  level=logging.WARNING)
    return None


def _checkpoints_elsewhere(work_dir: Path) -> list[Path]:
    """Checkpoints in the folder that ``last_checkpoint`` of a work dir names, newest first."""
    pointer = work_dir / 'last_checkpoint'
    if not pointer.is_file():
        return []
    target = Path(pointer.read_bytes().decode('utf-8', 'replace').strip())
    is_own = target.is_absolute() or target.parent.name == work_dir.resolve().name  # not any of the current folder
    if not (is_own and _PERIODIC_NAME.fullmatch(target.name) and os.path.isfile(target)):
        print_log(f'"{pointer}" names no checkpoint of this training ("{str(target)[:200]}"): ignored',
                  logger='current', level=logging.WARNING)
        return []
    return periodic_checkpoints(target.parent)


def weight_mismatches(model: nn.Module, state_dict: dict[str, Tensor], allow_missing: bool = False) -> list[str]:
    """List why the weights of a checkpoint do not fit a model.

    Args:
        model (nn.Module): Model without a wrapper, or sharded by FSDP (then all ranks must call this function).
        state_dict (dict[str, Tensor]): Weights of the checkpoint; prefixes of wrappers are ignored, see
            :func:`plain_name`.
        allow_missing (bool): Whether the model may have weights that the checkpoint lacks, as in a stage that adds a
            module. Defaults to False.

    Returns:
        list[str]: One line per mismatch; empty if all weights fit.
    """
    expected, given, fitting = _compare(model, state_dict)
    modules = dict(model.named_modules())
    lines = [
        f'{name}: {_shape(given[name])} in the checkpoint, {tuple(expected[name].shape)} in the model'
        f'{_remedy(modules, name, given[name])}' for name in expected if name in given and name not in fitting
    ]
    if not allow_missing:
        optional = _optional_weights(model)
        lines += [f'{name}: not in the checkpoint' for name in expected if name not in given and name not in optional]
    lines += [f'{name}: not in the model' for name in given if name not in expected]
    return lines


def mismatch_hint(lines: list[str]) -> str | None:
    """Explain why weights do not fit a model, if the names tell: another stage, or a checkpoint to be converted.

    Args:
        lines (list[str]): Result of :func:`weight_mismatches`.

    Returns:
        str | None: Reason and remedy. None if the names do not tell.
    """
    absent = {line.split('.')[0] for line in lines if line.endswith(': not in the checkpoint')}
    surplus = {line.removesuffix(': not in the model').split('.')[0] for line in lines
               if line.endswith(': not in the model')}
    if surplus & _OFFICIAL_NAMES:
        return ('it is a checkpoint of other code: convert it with tools/model_converters/dvispp_to_mmvc.py, see '
                'docs/en/official_weights.md')
    reshaped = any(': shape ' in line for line in lines)
    if absent and absent <= _LATER_PARTS and not surplus and not reshaped:
        stage = 'online' if absent == {'refiner'} else 'segmenter'
        return (f'it comes from an earlier stage, without {" and ".join(sorted(absent))}: use that stage '
                f'of the config (--stage {stage})')
    if surplus and surplus <= _LATER_PARTS and not absent and not reshaped:
        stage = 'offline' if 'refiner' in surplus else 'online'
        return (f'it comes from a later stage, with {" and ".join(sorted(surplus))}: use that stage of '
                f'the config (--stage {stage})')
    return None


def _shape(value: Any) -> str:
    return f'shape {tuple(value.shape)}' if hasattr(value, 'shape') else f'a {type(value).__name__}'


def _remedy(modules: dict[str, nn.Module], name: str, value: Any) -> str:
    """What the module with a weight suggests for another shape; nothing if it has no method ``explain_shape``."""
    path, _, leaf = name.rpartition('.')
    explain = getattr(modules.get(path), 'explain_shape', None)
    remedy = explain(leaf, value.shape) if explain is not None and hasattr(value, 'shape') else None
    return f' ({remedy})' if remedy else ''


def fitting_weights(model: nn.Module, state_dict: dict[str, Tensor]) -> set[str]:
    """Names of the weights of a model that a checkpoint has in the same shape; arguments as above."""
    return _compare(model, state_dict)[2]


def _compare(model: nn.Module, state_dict: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor], set[str]]:
    """Weights of a model and of a checkpoint by plain name, and the names of those with the same shape in both."""
    expected = _whole_state_dict(model)
    given = {plain_name(name): tensor for name, tensor in state_dict.items()}
    fitting = {name for name, tensor in expected.items() if getattr(given.get(name), 'shape', None) == tensor.shape}
    return expected, given, fitting


def frozen_weights(model: nn.Module) -> list[str]:
    """Names of the weights in the parts of a model that its training leaves as they are (``frozen_parts``)."""
    parts, optional = getattr(model, 'frozen_parts', ()), _optional_weights(model)
    names = [f'{part}.{name}' for part in parts if (module := getattr(model, part, None)) is not None
             for name in module.state_dict()]
    return [name for name in names if name not in optional]


def _optional_weights(model: nn.Module) -> set[str]:
    """Names of the weights that a checkpoint need not have."""
    return {
        f'{prefix}.{name}'.replace('_fsdp_wrapped_module.', '')
        for prefix, module in model.named_modules() if getattr(module, 'state_is_optional', False)
        for name in module.state_dict()
    }


def _whole_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Return all weights by name; those of a sharded model are gathered on every rank."""
    if not isinstance(model, FullyShardedDataParallel):
        return model.state_dict()
    with FullyShardedDataParallel.state_dict_type(model, StateDictType.FULL_STATE_DICT, FullStateDictConfig()):
        return model.state_dict()
