# Copyright (c) The mmvc contributors. All rights reserved.
"""Finds out the format of annotations."""

from pathlib import Path

from mmvc.utils.errors import UsageError

from .registry import READERS, Reader

_ARCHIVES = ('.zip', '.tar', '.gz', '.tgz', '.7z', '.rar')
_START, _END = 1 << 20, 1 << 16  # bytes that are read of a file


def find_reader(path: Path, name: str | None = None) -> type[Reader]:
    """Find the reader of a file or folder.

    Args:
        path (Path): File or folder of the annotations.
        name (str, optional): Name of the format. Defaults to None: the one that the file looks like.

    Returns:
        type[Reader]: The class of the reader.

    Raises:
        UsageError: The path does not exist or is an archive, there is no such format, or not exactly one fits.
    """
    if not path.exists():
        raise UsageError(f'"{path}" does not exist: give the file or folder that the annotation tool exported')
    if path.is_file() and path.name.lower().endswith(_ARCHIVES):
        raise UsageError(f'"{path}" is an archive: unpack it, and give the folder')
    if name is not None:
        if name not in READERS:
            raise UsageError(f'there is no format "{name}": choose one of {", ".join(READERS)}')
        return READERS[name]
    found = [key for key, reader in READERS.items() if reader.matches(path)]
    if len(found) == 1:
        return READERS[found[0]]
    problem = f'may be {" or ".join(found)}' if found else 'is in no format that can be recognised'
    raise UsageError(f'"{path}" {problem}: name its format (--format {"|".join(found or READERS)})')


def contains(path: Path, *words: str) -> bool:
    """Whether a file has some words near its start or end. Only a part of a large file is read.

    Args:
        path (Path): The file.
        *words (str): The words, such as ``'"annotations"'``.

    Returns:
        bool: Whether it has all of them; False if it cannot be read.
    """
    try:
        with open(path, 'rb') as file:
            content = file.read(_START)
            size = file.seek(0, 2)
            if size > _START:
                file.seek(max(_START, size - _END))
                content += file.read()
    except OSError:
        return False
    return all(word.encode() in content for word in words)
