# Copyright (c) The mmvc contributors. All rights reserved.
"""Converted weights, which are kept: each file is converted once, also by several processes."""

import hashlib
import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmvc.utils import safetensors_files
from mmvc.utils.checksums import file_digest
from mmvc.utils.errors import UsageError
from mmvc.utils.folder_lock import hold_folder
from mmvc.version import __version__

HOME_VARIABLE = 'MMVC_HOME'
_LAYOUT = 1  # of the converted files; to be raised when the names of the models change
_PATIENCE = 3600.  # seconds to wait for another process, which downloads or converts the same file


def cache_folder() -> Path:
    """Folder of converted weights: ``MMVC_HOME``, or else ``mmvc`` in ``HF_HOME`` (``~/.cache/huggingface``)."""
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home).expanduser()
    from huggingface_hub import constants
    return Path(constants.HF_HOME, 'mmvc')


def converted_folder(name: str, identity: str, options: dict[str, Any]) -> Path:
    """Folder of the converted form of a file.

    Args:
        name (str): Name of the weights.
        identity (str): What the file is: an address that cannot change, or an address and a commit.
        options (dict): Arguments of the conversion.
    """
    key = json.dumps([_LAYOUT, identity, options], sort_keys=True)
    return cache_folder() / 'converted' / f'{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}'


def converted_file(folder: Path) -> Path | None:
    """The complete converted file in such a folder, or None."""
    path = folder / f'model{safetensors_files.SUFFIX}'
    return path if path.is_file() else None


def hold(folder: Path) -> AbstractContextManager[None]:
    """Lock a folder of :func:`converted_folder` against other processes; waits for them."""
    return hold_folder(folder, _PATIENCE)


def convert(source: Path, folder: Path, address: str, licence: str, options: dict[str, Any]) -> Path:
    """Convert a file of another project. The caller holds the folder.

    Args:
        source (Path): The file.
        folder (Path): Where the result goes, see :func:`converted_folder`.
        address (str): Where the file comes from.
        licence (str): Its licence, in words.
        options (dict): Arguments of :func:`mmvc.models.official_weights.convert_official_weights`.

    Returns:
        Path: The converted file, with the origin in its metadata.

    Raises:
        UsageError: The file cannot be converted.
    """
    from mmvc.models.official_weights import convert_official_weights, load_official_checkpoint  # with all models
    print_log(f'converting {address} (once)', 'current')
    try:
        weights = convert_official_weights(load_official_checkpoint(source), **options)
    except UsageError as error:
        raise UsageError(f'{address} cannot be converted: {error}') from error
    path = folder / f'model{safetensors_files.SUFFIX}'
    safetensors_files.save(path, weights.state_dict, dict(
        converted_from=weights.kind, source=address, source_sha256=file_digest(source), licence=licence,
        mmvc_version=__version__))
    return path


def needs_conversion(path: Path) -> bool:
    """Whether a file holds a model under the names of another project.

    Args:
        path (Path): File of torch, safetensors or detectron2 (``.pkl``).
    """
    from mmvc.models.official_weights import has_official_names, weight_names
    return path.suffix == '.pkl' or has_official_names(weight_names(path))
