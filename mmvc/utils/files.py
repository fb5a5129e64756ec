# Copyright (c) The mmvc contributors. All rights reserved.
"""Listing the files and folders of video datasets."""

import os
from collections.abc import Sequence
from pathlib import Path

from .errors import DataError, UsageError

#: Endings of image files, in lower case.
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
#: endings of the frames of a downloaded dataset
FRAME_SUFFIXES = ('.jpg', '.jpeg', '.png')
#: endings of predicted masks
PREDICTION_SUFFIXES = ('.png', )


def files_in(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """List the files of a folder, sorted, by name without suffix. Hidden files are skipped.

    Args:
        folder (Path): The folder; if it is missing, the result is empty.
        suffixes (Sequence[str]): Suffixes to include, in lower case.
    """
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith('.'))
    return {os.path.splitext(name)[0]: folder / name for name in names
            if os.path.splitext(name)[1].lower() in suffixes}


def videos_in(folder: Path) -> list[str]:
    """List the names of the subfolders of ``folder``, sorted. Hidden folders are skipped.

    Raises:
        FileNotFoundError: The folder is missing or has no subfolders.
    """
    videos = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith('.')) \
        if folder.is_dir() else []
    if not videos:
        raise FileNotFoundError(f'"{folder}" has no folders of videos: give the root of the downloaded dataset')
    return videos


def require_placeholder(folders: str) -> None:
    """Raise an error unless a folder template contains ``{video}``.

    Raises:
        UsageError: The template has no ``{video}``.
    """
    if '{video}' not in folders:
        raise UsageError(f'"{folders}" must contain {{video}}, which stands for the name of a video')


def read_names(path: str | Path) -> list[str]:
    """Read names from a text file with one name per line; empty lines are skipped.

    Raises:
        FileNotFoundError: The file is missing.
        DataError: The file is not UTF-8 text.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').split('\n')  # splitlines() also splits at odd characters
    except UnicodeDecodeError as error:
        raise DataError(f'"{path}" is not text in UTF-8 ({error}): write one name per line') from error
    return [line.strip() for line in lines if line.strip()]
