# Copyright (c) The mmvc contributors. All rights reserved.
"""From what a user calls a checkpoint to a file: a path, a name of published weights, or an address."""

import os
from pathlib import Path

from mmvc.utils.choices import SHARED_WEIGHTS
from mmvc.utils.errors import UsageError

from .addresses import HUB_SCHEME, is_address
from .catalogue import close_names, find_weights
from .fetching import fetch, fetch_address

LIST_COMMAND = 'mmvc models'


def resolve_checkpoint(name: str | os.PathLike, option: str = '--weights ') -> str:
    """Find a checkpoint.

    Args:
        name (str | PathLike): Path of a file, or of a folder of ``save_pretrained()``; name of published weights, such
            as ``dvispp_vitl_vspw_offline``;
            ``hf://user/repository/file``, with or without ``@revision``; or an address by https.
        option (str): How the user gives the name, for messages. Defaults to ``'--weights '``.

    Returns:
        str: Path of a file. Addresses of other schemes, such as ``s3://``, stay as they are.

    Raises:
        UsageError: There is no such file or name (close matches are named), or the download fails.
        OSError: The disk is full, or the cache cannot be written.
    """
    text = str(name)
    path = _local_file(text)
    if path is not None:
        return path
    if is_address(text):
        if text.startswith(('https://', 'http://', HUB_SCHEME)):
            return str(fetch_address(text))
        return text
    weights = find_weights(text)
    if weights is not None:
        return str(fetch(weights))
    if os.path.isdir(os.path.expanduser(text)):
        raise UsageError(f'"{text}" is a folder without {SHARED_WEIGHTS}: give the checkpoint file in it')
    raise UsageError(f'checkpoint "{text}" does not exist: give a file, an address, or a name that "{LIST_COMMAND}" '
                     f'lists{published_hint(text, option)}')


def _local_file(name: str) -> str | None:
    """A file, or the one in a folder of ``save_pretrained()``; None if it is neither."""
    path = os.path.expanduser(name)
    return next((file for file in (path, os.path.join(path, SHARED_WEIGHTS)) if os.path.isfile(file)), None)


def is_remote(name: str | os.PathLike) -> bool:
    """Whether a checkpoint is given by an address or the name of published weights, and not by a path.

    Args:
        name (str | PathLike): As for :func:`resolve_checkpoint`.
    """
    text = str(name)
    return _local_file(text) is None and (is_address(text) or find_weights(text) is not None)


def published_hint(name: str, option: str = '--weights ') -> str:
    """What a checkpoint that does not exist may have meant: published weights of its name, or of a similar one.

    Args:
        name (str): Path or name.
        option (str): As for :func:`resolve_checkpoint`.

    Returns:
        str: A sentence with a full stop and a space before it; empty if nothing is similar.
    """
    stem = Path(name).stem.replace('-', '_')
    weights = find_weights(stem)
    if weights is not None:
        action = 'takes them from the repository' if weights.is_shipped else 'downloads them'
        return f'. There are published weights of this name: {option}{stem} {action}'
    close = close_names(stem)
    return f'. Did you mean {" or ".join(close)}?' if close else ''
