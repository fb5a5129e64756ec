# Copyright (c) The mmvc contributors. All rights reserved.
"""Getting weights: download into a cache, check, conversion."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log

from mmvc.utils.checksums import fits_checksum
from mmvc.utils.downloads import download, find_download, shown
from mmvc.utils.errors import CheckpointError
from mmvc.utils.folder_lock import user_of

from .addresses import HubFile, parse_hub_address
from .catalogue import PublishedWeights
from .conversion import convert, converted_file, converted_folder, hold, needs_conversion
from .hub import content_is_intact, fetch_hub_file, is_offline
from .shipped import require_shipped_weights

_UNKNOWN_LICENCE = 'see its page'


@dataclass(frozen=True)
class _Source:
    """A file to get, and what is known of it."""

    address: str
    name: str
    label: str
    licence: str = _UNKNOWN_LICENCE
    checksum: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def hub_file(self) -> HubFile | None:
        """The file on the hub, if it is there."""
        return parse_hub_address(self.address)

    @property
    def shown(self) -> str:
        """The address for messages, without keys."""
        return self.address if self.hub_file is not None else shown(self.address)


def fetch(weights: PublishedWeights) -> Path:
    """Get published weights, ready to be loaded: from the repository, or downloaded and converted once.

    Args:
        weights (PublishedWeights): Entry of the catalogue.

    Returns:
        Path: Checkpoint in the repository or in the cache.

    Raises:
        UsageError: They cannot be had or converted. The message says why, and what to do.
        OSError: The disk is full, or the cache cannot be written.
    """
    if weights.is_shipped:
        path = require_shipped_weights(weights)
        print_log(f'weights "{weights.name}": "{path}", licence {weights.licence}', 'current')
        return path
    source = _Source(weights.address, weights.name, f'weights "{weights.name}"', weights.licence, weights.checksum,
                     weights.options)
    if weights.layout == 'official':
        path = _converted(source)
    else:
        path = _downloaded(source)
        _require_intact(path, source)
    print_log(f'weights "{weights.name}": from {weights.address}, licence {weights.licence}; cached as "{path}"',
              'current')
    return path


def fetch_address(address: str) -> Path:
    """Get a checkpoint by its address, ready to be loaded. A model of another project is converted once.

    Args:
        address (str): Address of a file on the hub, or of another file by https.

    Returns:
        Path: Checkpoint in the cache.

    Raises:
        UsageError: As for :func:`fetch`.
        OSError: As for :func:`fetch`.
    """
    name = re.sub(r'[^\w.-]', '_', Path(address.partition('?')[0]).stem, flags=re.ASCII)[:60].lstrip('.')
    source = _Source(address, name or 'checkpoint', 'checkpoint')
    path = _downloaded(source)
    if needs_conversion(path):
        path = _converted(source)
    print_log(f'checkpoint from {source.shown}, licence: {source.licence}; cached as "{path}"', 'current')
    return path


def _converted(source: _Source) -> Path:
    """The converted form of a file."""
    identity = source.address
    if source.hub_file is not None and not source.hub_file.is_pinned:  # the file of a branch may change
        identity = f'{source.address} {_commit_of(_downloaded(source), source.hub_file)}'
    folder = converted_folder(source.name, identity, source.options)
    found = converted_file(folder)
    if found is not None:
        return found
    other = user_of(folder)
    if other is not None:
        print_log(f'waiting for {other}, which gets {source.shown} as well', 'current')
    with hold(folder):
        found = converted_file(folder)  # by the process that held the folder before
        if found is not None:
            return found
        path = _downloaded(source, is_held=True)
        _require_intact(path, source)
        return convert(path, folder, source.shown, source.licence, source.options)


def _downloaded(source: _Source, is_held: bool = False) -> Path:
    """The file as it was published.

    Args:
        source (_Source): The file.
        is_held (bool): Whether no other process gets it now, so that a later call may continue a download.
    """
    if source.hub_file is not None:
        return fetch_hub_file(source.hub_file, source.label)
    folder = Path(torch.hub.get_dir(), 'checkpoints')  # where mmengine's loaders put files of the same address
    if is_offline() and find_download(source.address, folder, default=None) is None:
        raise CheckpointError(f'{source.label}: {source.shown} is not in the cache "{folder}", and HF_HUB_OFFLINE '
                              'forbids a download. Unset it, or give the path of the file')
    try:
        return Path(download(source.address, folder, resume=is_held, checksum=source.checksum))
    except CheckpointError as error:
        raise CheckpointError(f'{source.label}: {error}') from error


def _require_intact(path: Path, source: _Source) -> None:
    """Raise an error if a file is not the one that was published."""
    fits = source.checksum is None or fits_checksum(path, source.checksum)
    if not fits or not content_is_intact(path):
        expected = source.checksum or 'its checksum'
        raise CheckpointError(f'{source.label}: the file from {source.shown} is not the one that was published '
                              f'({expected} does not fit): it was damaged in the cache, or replaced there. Delete '
                              f'"{os.path.realpath(path)}" and try again; if that does not help, download it from '
                              'elsewhere and give its path')


def _commit_of(path: Path, file: HubFile) -> str:
    """The commit that a file of the cache belongs to, from its path ``snapshots/COMMIT/FILE``."""
    parts = path.parts[:-len(Path(file.file).parts)]
    return parts[-1] if parts else ''
