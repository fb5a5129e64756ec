# Copyright (c) The mmvc contributors. All rights reserved.
"""What readers look for to recognise a file."""

from pathlib import Path

_START, _END = 1 << 20, 1 << 16  # bytes that are read of a file


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
