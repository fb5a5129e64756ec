# Copyright (c) The mmvc contributors. All rights reserved.
"""Loading checkpoints without running code in them; mmengine uses these functions too.

If ``torch.load(weights_only=True)`` fails, mmengine loads the file as a trusted one, which runs code in it. With torch
< 2.6 it always does so. The functions here raise an error instead, which says how to load the file nevertheless.
"""

import contextlib
import logging
import os
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

import mmengine.runner.checkpoint
import torch
from mmengine.dist import barrier, get_local_rank
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from mmengine.utils import digit_version

from . import restricted_pickle, safetensors_files
from .errors import CheckpointError
from .foreign_files import recognise_foreign_file

TRUST_VARIABLE = 'MMVC_TRUST_CHECKPOINTS'
_SCHEMES = ('http://', 'https://')
MapLocation = str | torch.device | Callable | dict | None

# earlier versions could run code in spite of weights_only=True (CVE-2025-32434)
_TORCH_IS_SAFE = digit_version(torch.__version__) >= digit_version('2.6.0')
# the text before the reason in torch's message; it includes the advice to set weights_only=False
_ADVICE = re.compile(r'Weights only load failed\.|In PyTorch 2\.\d+, we changed.*?from a trusted source\.', re.DOTALL)


def trust_checkpoints() -> None:
    """Allow this process and its children to load checkpoints that run code, as ``--trust-checkpoint`` does.

    Setting the environment variable ``MMVC_TRUST_CHECKPOINTS=1`` has the same effect.
    """
    os.environ[TRUST_VARIABLE] = '1'


def checkpoints_are_trusted() -> bool:
    """Whether the user allows checkpoints to run code, see :func:`trust_checkpoints`."""
    return os.environ.get(TRUST_VARIABLE, '0').lower() in ('1', 'true', 'yes', 'on')


def load_from_local(filename: str | os.PathLike, map_location: MapLocation = None, mmap: bool = False) -> Any:
    """Load a checkpoint file of torch or safetensors: weights, with or without training state.

    Args:
        filename (str | PathLike): Path of the file.
        map_location (str, optional): As for :func:`torch.load`.
        mmap (bool): Whether to read tensors from disk only when they are used. Defaults to False.

    Returns:
        dict: The checkpoint.

    Raises:
        FileNotFoundError: The file is missing.
        CheckpointError: The file is truncated or not a checkpoint, or loading it could run code and the user has not
            declared it trusted.
    """
    filename = os.path.expanduser(filename)
    if not os.path.isfile(filename):
        raise FileNotFoundError(f'checkpoint "{filename}" does not exist')
    if filename.endswith(safetensors_files.SUFFIX):
        device = str(map_location) if isinstance(map_location, (str, torch.device)) else 'cpu'
        return _with_plain_names(_with_inert_config(safetensors_files.load(filename, device), filename))
    content = _load(filename, map_location, filename, mmap=mmap and zipfile.is_zipfile(filename))
    if not isinstance(content, dict) and not checkpoints_are_trusted():
        raise CheckpointError(f'checkpoint "{filename}" was not written by a training: it holds no weights by name, '
                              f'but a {type(content).__name__}. Save the state_dict of a model')
    weights = content.get('state_dict', {}) if isinstance(content, dict) else {}
    by_name = isinstance(weights, dict) and all(isinstance(name, str) for name in weights)
    if not by_name and not checkpoints_are_trusted():
        raise CheckpointError(f'checkpoint "{filename}" was not written by a training: its state_dict holds no '
                              'weights by name. Save the state_dict of a model')
    return _with_plain_names(content)


def plain_name(name: str) -> str:
    """Name of a weight without what wrappers add: ``module.`` in front, ``_orig_mod.`` of :func:`torch.compile`."""
    return re.sub(r'^(module\.)+', '', _without_compile(name))


def _with_plain_names(checkpoint: Any) -> Any:
    """Rename the weights of wrapped models in a checkpoint, so that each is found under its own name."""
    if not isinstance(checkpoint, dict):
        return checkpoint
    renamings = dict(state_dict=plain_name, model=plain_name, ema_state_dict=_without_compile)
    nested = [key for key in renamings if isinstance(checkpoint.get(key), dict)]
    for key in nested:
        checkpoint[key] = _renamed(checkpoint[key], renamings[key])
    return checkpoint if nested else _renamed(checkpoint, plain_name)


def _renamed(weights: dict, rename: Callable[[str], str]) -> dict:
    if not any('_orig_mod.' in str(name) or str(name).startswith('module.') for name in weights):
        return weights
    renamed: Any = OrderedDict((rename(name) if isinstance(name, str) else name, value)
                               for name, value in weights.items())
    versions = getattr(weights, '_metadata', {})  # of the modules, which torch looks at when it loads
    renamed._metadata = OrderedDict((rename(f'{name}.').rstrip('.'), value) for name, value in versions.items())
    return renamed


def _without_compile(name: str) -> str:
    return re.sub(r'(^|\.)(_orig_mod\.)+', r'\1', name)


def load_from_http(filename: str, map_location: MapLocation = None, model_dir: str | None = None,
                   progress: bool = True) -> Any:
    """Download a checkpoint, once per machine, and load it with :func:`load_from_local`.

    Args:
        filename (str): URL.
        map_location (str, optional): As for :func:`torch.load`.
        model_dir (str, optional): Folder for the download. Defaults to None: that of ``torch.hub``.
        progress (bool): Whether to show a progress bar. Defaults to True.

    Returns:
        dict: The checkpoint.

    Raises:
        CheckpointError: The address gives no checkpoint, or as for :func:`load_from_local`.
    """
    return load_from_local(local_copy(filename, model_dir, progress), map_location)


def local_copy(name: str, folder: str | None = None, progress: bool = True) -> str:
    """Get the path of a checkpoint on this machine. One with an address is downloaded, once per machine.

    Args:
        name (str): Path, which is returned as it is, or URL.
        folder (str, optional): Folder for the download. Defaults to None: that of ``torch.hub``.
        progress (bool): Whether to show a progress bar. Defaults to True.

    Returns:
        str: Path.

    Raises:
        CheckpointError: The address gives no checkpoint.
    """
    if not name.startswith(_SCHEMES):
        return name
    from .downloads import download, find_download  # most checkpoints are files
    folder = folder or os.path.join(torch.hub.get_dir(), 'checkpoints')
    try:
        if get_local_rank() == 0:
            download(name, folder, progress)
    finally:
        barrier()  # also after an error: the other processes wait here
    return find_download(name, folder)


def _load(file: str | BinaryIO, map_location: MapLocation = None, name: Any = None, **kwargs: Any) -> Any:
    """Load a file of ``torch.save``; error messages call it ``name``."""
    name = name or getattr(file, 'name', 'the checkpoint')
    try:
        return _with_inert_config(load_weights_only(file, map_location, **kwargs), name)
    except pickle.UnpicklingError as error:
        reason = refusal_reason(error)
        if not is_pickled(file) or recognise_foreign_file(file) is not None:
            raise _broken(file, name, error) from error
        if not checkpoints_are_trusted():
            raise CheckpointError(
                f'checkpoint "{name}" is refused: it contains objects other than weights and training state, and '
                f'loading them could run code of its author ({reason}). If you trust its source, use '
                f'--trust-checkpoint or set the environment variable {TRUST_VARIABLE}=1') from error
        print_log(f'{name} is loaded as a trusted file, which runs code in it ({reason})', 'current')
    except (RuntimeError, EOFError, zipfile.BadZipFile, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _broken(file, name, error) from error
    if hasattr(file, 'seek'):
        file.seek(0)
    return torch.load(file, map_location=map_location, weights_only=False)


def _with_inert_config(checkpoint: Any, name: Any) -> Any:
    """Reduce the text ``meta.config`` of old checkpoints to ``gpu_ids``, which is all that mmengine reads of it.

    When a training resumes, mmengine runs this text.
    """
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    if not isinstance(meta, dict) or 'config' not in meta or checkpoints_are_trusted():
        return checkpoint
    config = meta.pop('config')
    try:
        if isinstance(config, str):
            from .literal_config import parse_config_text  # only old checkpoints hold text
            config = parse_config_text(config, f'meta.config of checkpoint "{name}"')
    except CheckpointError as error:
        print_log(f'{error}. The rest of the checkpoint is used without it', 'current', level=logging.WARNING)
    if isinstance(config, dict) and isinstance(config.get('gpu_ids'), (list, tuple)):
        meta['config'] = f'gpu_ids = {list(range(len(config["gpu_ids"])))}'
    return checkpoint


def is_pickled(file: str | BinaryIO) -> bool:
    """Check whether a file is a zip archive, as torch writes it, or starts like a pickle, as its older files do.

    Args:
        file (str | BinaryIO): File.
    """
    if zipfile.is_zipfile(file):
        return True
    with open(file, 'rb') if isinstance(file, str) else contextlib.nullcontext(file) as opened:
        opened.seek(0)
        return opened.read(1) == pickle.PROTO


def _broken(file: str | BinaryIO, name: Any, error: Exception) -> CheckpointError:
    foreign = recognise_foreign_file(file)
    if foreign is not None:
        return CheckpointError(foreign.describe(f'checkpoint "{name}"'))
    return CheckpointError(f'checkpoint "{name}" is truncated, corrupt or not a checkpoint: download, copy or train '
                           f'it again ({failure_reason(error)})')


def load_weights_only(file: str | BinaryIO, map_location: MapLocation = None, **kwargs: Any) -> Any:
    """Load with ``torch.load(weights_only=True)``, safely with any torch, and allow the classes mmengine saves.

    Args:
        file (str | BinaryIO): File of ``torch.save``.
        map_location (str, optional): As for :func:`torch.load`.
        **kwargs: As for :func:`torch.load`.

    Returns:
        Any: Content of the file.

    Raises:
        UnpicklingError: The file needs other objects than those in :mod:`mmvc.utils.restricted_pickle`.
        RuntimeError: The file is truncated or corrupt.
    """
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if any(entry.endswith('/constants.pkl') for entry in archive.namelist()):
                raise pickle.UnpicklingError('it is a TorchScript program')
    if hasattr(file, 'seek'):
        file.seek(0)
    if not _TORCH_IS_SAFE:
        return torch.load(file, map_location=map_location, pickle_module=restricted_pickle.CHECKPOINT_PICKLE,
                          weights_only=False, **kwargs)
    allowed: list[Any] = [(value, name) for name, value in restricted_pickle.TRAINING_GLOBALS.items()]
    with torch.serialization.safe_globals(allowed):
        return torch.load(file, map_location=map_location, weights_only=True, **kwargs)


def failure_reason(error: Exception) -> str:
    """Return in one line why a file cannot be read, without torch's advice to load it with its code.

    Args:
        error (Exception): What torch raised.
    """
    if isinstance(error, pickle.UnpicklingError):
        return refusal_reason(error)
    return (str(error) or type(error).__name__).splitlines()[0]


def refusal_reason(error: pickle.UnpicklingError) -> str:
    """Return which object the pickle needs, from torch's message, without the advice to load it nevertheless."""
    text = _ADVICE.sub(' ', str(error).split('WeightsUnpickler error: ')[-1])
    for rest in (' Please use', ' was not an allowed global', 'Check the documentation'):
        text = text.split(rest)[0]
    return ' '.join(text.split()).rstrip('.')


def register_checkpoint_loader() -> None:
    """Make mmengine load local files and URLs with the functions of this module."""
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    CheckpointLoader.register_scheme(prefixes=_SCHEMES, loader=load_from_http, force=True)
    module = mmengine.runner.checkpoint  # its loaders of other schemes (torchvision://, s3://, ...) use these two
    module.load_from_http = load_from_http
    if hasattr(module, '_safe_torch_load'):  # not in 0.10.7
        module._safe_torch_load = _load


register_checkpoint_loader()
