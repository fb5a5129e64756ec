# Copyright (c) The mmvc contributors. All rights reserved.
"""Looks for words in large files without reading them into memory."""

import mmap
from collections.abc import Collection
from pathlib import Path


def has_words(path: Path, words: Collection[bytes], without: Collection[bytes] = ()) -> bool:
    """Whether a file has all of some words and none of others; False if it cannot be read.

    Args:
        path (Path): The file.
        words (Collection[bytes]): The words that it must have.
        without (Collection[bytes]): The words that it must not have. Defaults to ().
    """
    try:
        with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(content.find(word) >= 0 for word in words) and all(content.find(word) < 0 for word in without)
    except (OSError, ValueError):  # a missing or an empty file
        return False
