# Copyright (c) The mmvc contributors. All rights reserved.
"""What a name that was read from a file may be, before it becomes a path."""

import os
import re
import unicodedata
from pathlib import Path

from .errors import DataError
from .typing import PathLike

_CONTROL_CATEGORIES = ('Cc', 'Zl', 'Zp')  # control characters, separators of lines and of paragraphs
_LONGEST_PART = 255  # bytes, in all common file systems
_SEPARATOR_OR_DRIVE = re.compile(r'\\|^[A-Za-z]:(/|$)')


def check_name(name: str, where: str) -> str:
    """Refuse the name of a video, frame or file that does not stay in its folder, or that no file can have.

    A name may have several parts, such as ``street/left``. It must be relative, without ``..``, without backslashes
    and without control characters.

    Args:
        name (str): The name.
        where (str): The file that it was read from, and the key, for the error.

    Returns:
        str: The name.

    Raises:
        DataError: The name is refused.
    """
    message = find_name_fault(name, where)
    if message is not None:
        raise DataError(message)
    return name


def find_name_fault(name: str, where: str) -> str | None:
    """Message of the error of :func:`check_name`; None if the name is accepted."""
    fault = _fault(name)
    if fault is None:
        return None
    shown = name if len(name) <= 100 else f'{name[:97]}...'
    return f'{where}: the name {shown!r} {fault}. Use a name relative to its folder, such as "left" or "street/left"'


def _fault(name: str) -> str | None:
    parts = name.split('/')
    if not name.isprintable() and any(unicodedata.category(letter) in _CONTROL_CATEGORIES for letter in name):
        return 'has control characters or line breaks'
    if name.startswith('/'):
        return 'is an absolute path'
    if '..' in parts:
        return 'leads out of its folder'
    if _SEPARATOR_OR_DRIVE.search(name):
        return 'has a backslash or a drive'
    if all(part.strip() in ('', '.') for part in parts):
        return 'names no file'
    try:
        longest = max(len(os.fsencode(part)) for part in parts)
    except UnicodeEncodeError:
        return 'has characters that the file system cannot store'
    return f'is longer than {_LONGEST_PART} bytes' if longest > _LONGEST_PART else None


def output_path(root: PathLike, *names: str, suffix: str = '') -> Path:
    """Path of an output whose names are from data.

    Args:
        root (str | Path): Folder of the outputs.
        *names (str): Names below it, such as those of a video and a frame; each is checked by :func:`check_name`.
        suffix (str): Put behind the last name. Defaults to ''.

    Returns:
        Path: The path, below ``root``.

    Raises:
        DataError: A name is refused.
    """
    path = Path(root, *(check_name(name, f'output in "{root}"') for name in names))
    return path.with_name(path.name + suffix)
