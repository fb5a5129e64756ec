# Copyright (c) The mmvc contributors. All rights reserved.
"""Listing the files and folders of video datasets."""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from .errors import DataError, UsageError
from .natural_order import natural_key

#: Endings of image files, in lower case.
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
#: endings of the frames of a downloaded dataset
FRAME_SUFFIXES = ('.jpg', '.jpeg', '.png')
#: endings of predicted masks
PREDICTION_SUFFIXES = ('.png', )


def files_in(folder: str | Path, endings: Sequence[str]) -> dict[str, Path]:
    """List the files of a folder that have one of some endings. Hidden files are skipped.

    This is the one rule for the names of frames, masks and predictions: capital and small letters of an ending are the
    same, and the rest of the file's name is the name of the frame.

    Args:
        folder (str | Path): The folder; if it is missing, the result is empty.
        endings (Sequence[str]): The endings, such as ``.jpg`` or ``_labelIds.png``. The first that fits is taken off.

    Returns:
        dict[str, Path]: File by the name of its frame, in natural order.

    Raises:
        DataError: Two files have the same name of a frame.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return {}
    endings = [ending.lower() for ending in endings]
    found: dict[str, str] = {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith('.'))
    for name in names:
        lower = name.lower()
        ending = next((ending for ending in endings if lower.endswith(ending)), None)
        if ending is None:
            continue
        frame = name[:len(name) - len(ending)]
        if frame in found:
            raise DataError(f'"{folder}" has two files for the frame "{frame}": {found[frame]} and {name}. Remove one '
                            'of them')
        found[frame] = name
    return {frame: folder / found[frame] for frame in sorted(found, key=natural_key)}


def files_of(folder: str | Path, endings: Sequence[str], names: Collection[str]) -> dict[str, Path]:
    """List the files of frames whose names are known, see :func:`files_in`.

    Args:
        folder (str | Path): The folder; if it is missing, the result is empty.
        endings (Sequence[str]): The endings. If no file has one of the names then, the ending that all these files
            share is taken off, such as ``_leftImg8bit.jpg``.
        names (Collection[str]): Names of the frames.

    Returns:
        dict[str, Path]: File by the name of its frame, in natural order; frames of other names, too.

    Raises:
        DataError: Two files have the same name of a frame.
    """
    files = files_in(folder, endings)
    if files and files.keys().isdisjoint(names):
        shared = files_in(folder, (shared_ending(list(files.values())), ))
        files = files if shared.keys().isdisjoint(names) else shared
    return files


def shared_ending(paths: Sequence[str | Path]) -> str:
    """The longest ending of all names of files that begins with a dot, a hyphen or an underscore.

    Args:
        paths (Sequence[str | Path]): The files, at least one.

    Example:
        >>> shared_ending(['left/0_labelIds.png', 'left/1_labelIds.png'])
        '_labelIds.png'
    """
    backwards = os.path.commonprefix([os.path.basename(path)[::-1] for path in paths])
    separator = re.search('[-._]', backwards[::-1])
    return backwards[::-1][separator.start():] if separator else ''


def other_images(folder: str | Path, taken: Collection[str]) -> list[str]:
    """List the images of a folder that are not among some files. Hidden files are skipped.

    Args:
        folder (str | Path): The folder; if it is missing, the result is empty.
        taken (Collection[str]): Names of the files to leave out.

    Returns:
        list[str]: Paths, in natural order.
    """
    if not os.path.isdir(folder):
        return []
    names = (name for name in os.listdir(folder) if name not in taken and not name.startswith('.'))
    return [f'{folder}/{name}' for name in sorted(names, key=natural_key) if name.lower().endswith(IMAGE_SUFFIXES)]


def missing_files(paths: Iterable[str | Path]) -> list[str]:
    """List those of some files that do not exist. Each folder is read only once; addresses with ``://`` are skipped.

    Args:
        paths (Iterable[str | Path]): The files.
    """
    there: dict[str, set[str]] = {}
    missing = []
    for path in map(str, paths):
        if '://' in path:
            continue
        folder, name = os.path.split(path)
        if folder not in there:
            there[folder] = set(os.listdir(folder or '.')) if os.path.isdir(folder or '.') else set()
        if name not in there[folder]:
            missing.append(path)
    return missing


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

    Byte order marks, which some editors write, are skipped, too.

    Raises:
        FileNotFoundError: The file is missing.
        DataError: The file is not UTF-8 text.
    """
    try:
        text = Path(path).read_bytes().decode('utf-8')
    except UnicodeDecodeError as error:
        raise DataError(f'"{path}" is not text in UTF-8 ({error}): write one name per line') from error
    lines = (line.replace('\ufeff', '').strip() for line in re.split(r'\r\n|\r|\n', text))
    return [line for line in lines if line]
