# Copyright (c) The mmvc contributors. All rights reserved.
"""Listing folders of videos, and writing files and folders that are complete or absent."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, TextIO, Union

from .errors import DataError, UsageError


def files_in(folder: Path, suffixes: Sequence[str]) -> Dict[str, Path]:
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


def videos_in(folder: Path) -> List[str]:
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


def read_names(path: Union[str, Path]) -> List[str]:
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


def write_whole(path: Union[str, Path], content: bytes) -> None:
    """Write a file that appears under its name when it is complete, even if the process is killed meanwhile.

    Unlike :func:`mmvc.engine.atomic_write` it does not wait for the disk, which takes longer than converting a frame:
    after a power cut, look whether all is there. Several processes may write the same file.

    Args:
        path (str | Path): The file; its folder is made if missing.
        content (bytes): What to write.

    Raises:
        OSError: The file cannot be written (disk full, no permission); the old one is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    except OSError as error:  # of a full disk it does not say which file
        draft.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def staged_file(target: Path) -> Iterator[TextIO]:
    """Write a text file piece by piece; it appears under its name only when it is complete.

    Args:
        target (Path): The file.

    Yields:
        TextIO: File to write to.
    """
    staging = target.with_name(f'.{target.name}.partial')
    try:
        with open(staging, 'w', encoding='utf-8') as file:
            yield file
        os.replace(staging, target)
    finally:
        staging.unlink(missing_ok=True)


@contextmanager
def staged_folder(target: Path, inner: Optional[str] = None) -> Iterator[Path]:
    """Fill a folder that appears under its name, in place of an older one, only when it is complete.

    Args:
        target (Path): The folder.
        inner (str, optional): Folder within the one that is yielded that becomes ``target``. Defaults to None: itself.

    Yields:
        Path: Empty folder to write to, beside the target, so that moving is renaming, and with the process in its
        name, so that two runs do not mix.
    """
    staging, old = (target.with_name(f'.{target.name}-{os.getpid()}.{state}') for state in ('partial', 'old'))
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        if target.exists():
            target.rename(old)
        (staging / inner if inner else staging).rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
