# Copyright (c) The mmvc contributors. All rights reserved.
"""Listing folders of videos."""

import os
from collections.abc import Sequence
from pathlib import Path

from .errors import DataError, UsageError

#: Endings of image files, in lower case.
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
#: endings of the frames of a downloaded dataset
FRAME_SUFFIXES = ('.jpg', '.jpeg', '.png')


def files_in(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Visible files of a folder by name without suffix, sorted; none if there is no such folder.

    Args:
        folder (Path): The folder.
        suffixes (Sequence[str]): Wanted endings, in lower case.
    """
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith('.'))
    return {os.path.splitext(name)[0]: folder / name for name in names
            if os.path.splitext(name)[1].lower() in suffixes}


def videos_in(folder: Path) -> list[str]:
    """Names of the visible folders in ``folder``, sorted.

    Raises:
        FileNotFoundError: There is no such folder, or nothing in it.
    """
    videos = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith('.')) \
        if folder.is_dir() else []
    if not videos:
        raise FileNotFoundError(f'"{folder}" has no folders of videos: is this the root of the downloaded dataset?')
    return videos


def require_placeholder(folders: str) -> None:
    """Raise an error unless the folder of a video can be told from a template.

    Raises:
        UsageError: There is no ``{video}`` in it.
    """
    if '{video}' not in folders:
        raise UsageError(f'"{folders}" must have {{video}} in the place of the name of a video')


def read_names(path: str | Path) -> list[str]:
    """Names in a text file, one per line; empty lines are passed over.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is not text.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f'"{path}" is not text in UTF-8 ({error}): write one name per line') from error
    return [line.strip() for line in lines if line.strip()]
