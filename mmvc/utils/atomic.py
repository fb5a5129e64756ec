# Copyright (c) The mmvc contributors. All rights reserved.
"""Atomic writing: a file or folder appears under its name only when it is complete, even if the process is killed."""

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

_HOST = re.sub(r'\W', '_', socket.gethostname())
_COUNTER = count()
_DRAFT_LEVELS = 2  # of folders below one with results: those of formats and of videos


@contextmanager
def atomic_path(target: str | Path, sync: bool = False, keep_suffix: bool = False) -> Iterator[Path]:
    """Yield the path of a draft, which replaces the file when the block ends and is removed if the block fails.

    The draft is in the folder of the file. Each draft has a unique name, so several processes and threads may write
    the same file: the last one wins.

    Args:
        target (str | Path): File to write. Its folder is created if missing.
        sync (bool): Whether to wait for the disk, so that even a power cut leaves either the old or the new file. This
            takes longer than encoding a frame. It also removes drafts of this file that killed processes left.
            Defaults to False.
        keep_suffix (bool): Whether the draft has the suffix of the file, for writers that choose the format by the
            suffix. Defaults to False.

    Yields:
        Path: Path of the draft.

    Raises:
        OSError: The file cannot be written (disk full, no permission). The error names it; the old file is unchanged.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if sync:
        _remove_orphaned_drafts(target)
    draft = target.with_name(f'.{target.name}.{_own_tag()}.tmp{target.suffix if keep_suffix else ""}')
    try:
        yield draft
        if sync:
            with open(draft, 'rb+') as file:
                os.fsync(file.fileno())
        os.replace(draft, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(draft)):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error  # the error of a full disk has no file name
    finally:
        draft.unlink(missing_ok=True)
    if sync and os.name == 'posix':
        _sync_folder(target.parent)  # makes the new name durable


def atomic_write(path: str | Path, content: bytes | memoryview, sync: bool = True) -> None:
    """Write a file atomically: a reader never sees a partial file.

    Args:
        path (str | Path): File to write. Its folder is created if missing.
        content (bytes | memoryview): New content.
        sync (bool): Whether to wait for the disk, see :func:`atomic_path`. Set it to False for the many frames of a
            video, since an interrupted run is repeated anyway. Defaults to True.

    Raises:
        OSError: The file cannot be written (disk full, no permission). The old file is unchanged.
    """
    with atomic_path(path, sync) as draft:
        draft.write_bytes(content)


@contextmanager
def atomic_folder(target: str | Path, inner: str | None = None) -> Iterator[Path]:
    """Yield an empty draft folder, which replaces the target when the block ends without an error.

    Drafts of the same target that killed processes left are removed.

    Args:
        target (str | Path): Folder to write.
        inner (str, optional): Path within the draft that becomes ``target``. Defaults to None: the whole draft.

    Yields:
        Path: Path of the draft folder.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_orphaned_drafts(target)
    draft, old = (target.with_name(f'.{target.name}.{_own_tag()}.{state}') for state in ('partial', 'old'))
    draft.mkdir()
    try:
        yield draft
        if target.exists():
            target.rename(old)
        (draft / inner if inner else draft).rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def require_writable(folder: str | Path) -> None:
    """Create a folder and check that it is writable. Call it before computing the results that go there.

    Drafts that killed processes left there are removed, see :func:`remove_orphaned_drafts`.

    Args:
        folder (str | Path): The folder.

    Raises:
        OSError: The folder cannot be created or is not writable.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
    remove_orphaned_drafts(folder)


def remove_drafts(folder: str | Path, pattern: str) -> None:
    """Remove the drafts of files that were never completed.

    Args:
        folder (str | Path): Folder with the drafts.
        pattern (str): Pattern of the file names, such as ``*.pth``.
    """
    for draft in Path(folder).glob(f'.{pattern}.*.tmp'):
        draft.unlink(missing_ok=True)


def remove_orphaned_drafts(folder: str | Path) -> None:
    """Remove the drafts that killed processes of this machine left in a folder, and in folders up to two levels below.

    Args:
        folder (str | Path): The folder; it may be missing.
    """
    draft_name = re.compile(rf'\..+\.{re.escape(_HOST)}-(\d+)-\d+\.(tmp|partial)')
    top = Path(folder)
    for parent, folders, files in os.walk(top):
        for name in [*folders, *files]:
            match = draft_name.match(name)
            if match is not None and not is_running(int(match[1])):
                path = Path(parent, name)
                shutil.rmtree(path, ignore_errors=True) if name in folders else path.unlink(missing_ok=True)
        if len(Path(parent).relative_to(top).parts) == _DRAFT_LEVELS:
            folders.clear()


def _own_tag() -> str:
    return f'{_HOST}-{os.getpid()}-{next(_COUNTER)}'


def _remove_orphaned_drafts(target: Path) -> None:
    """Remove drafts of a target whose process ran on this machine and has ended."""
    draft_name = re.compile(rf'\.{re.escape(target.name)}\.{re.escape(_HOST)}-(\d+)-\d+\.(tmp|partial)')
    with os.scandir(target.parent) as entries:
        drafts = [(entry.path, match) for entry in entries if (match := draft_name.match(entry.name))]
    for path, match in drafts:
        if not is_running(int(match[1])):
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else Path(path).unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Whether a process of this machine has not ended.

    Args:
        process (int): Its id.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # the process belongs to another user
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
