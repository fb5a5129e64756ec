# Copyright (c) The mmvc contributors. All rights reserved.
"""Atomic writing: a file or folder appears under its name only when it is complete, even if the process is killed."""

import ctypes
import hashlib
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from .errors import UsageError

HOST = socket.gethostname()
_HOST = re.sub(r'\W', '_', HOST)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of renameat2: paths are relative to the current folder; what it is to do
_COUNTER = count()
_LONGEST_STEM = 120  # bytes of a name; 255 are allowed, of which host, process and endings take the rest
_DRAFT_LEVELS = 4  # of folders below one with results: those of a dataset, of a video such as "street/left", of a kind


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
    draft = target.with_name(f'.{_short_name(target)}.{_own_tag()}.tmp{target.suffix if keep_suffix else ""}')
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


@contextmanager
def resumable_path(target: str | Path) -> Iterator[Path]:
    """Yield the path of a draft, which replaces the file when the block ends, and stays if the block fails.

    So a later call can continue the draft. Only one process and thread may write the file at a time.

    Args:
        target (str | Path): File to write. Its folder is created if missing.

    Yields:
        Path: Path of the draft, in the same folder and with the same suffix; it may exist already.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f'.{_short_name(target)}.part{target.suffix}')
    yield draft
    os.replace(draft, target)


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
def atomic_folder(target: str | Path, inner: str | None = None,
                  replaces: Sequence[str] | None = None) -> Iterator[Path]:
    """Yield an empty draft folder, which replaces the target when the block ends without an error.

    On Linux, there is no moment without a complete folder under the name. Elsewhere there is a short one; a folder
    that a process lost in it is put back by the next call. Drafts that killed processes left are removed.

    Args:
        target (str | Path): Folder to write.
        inner (str, optional): Path within the draft that becomes ``target``. Defaults to None: the whole draft.
        replaces (Sequence[str], optional): Suffixes, in lower case, of the files that a folder may hold which is to be
            replaced. Defaults to None: it may hold anything.

    Yields:
        Path: Path of the draft folder.

    Raises:
        UsageError: The target is a file, or holds something that ``replaces`` does not name.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _restore_folders(target.parent)
    _remove_orphaned_drafts(target)
    if replaces is not None:
        _check_replaceable(target, replaces)
    draft = target.with_name(f'.{_short_name(target)}.{_own_tag()}.partial')
    draft.mkdir()
    try:
        yield draft
        _replace_folder(target, draft / inner if inner else draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _replace_folder(target: Path, new: Path) -> None:
    """Put a new folder in the place of the target, if there is one; the old one is removed."""
    if not os.path.lexists(target):
        new.rename(target)
        return
    if _exchange(new, target):
        old = new
    else:
        old = target.with_name(f'.{target.name}.{_own_tag()}.old')
        target.rename(old)
        try:
            new.rename(target)
        except BaseException:
            old.rename(target)
            raise
    _remove(old)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two folders in one step, so that at any time both names are there; False if the system cannot."""
    if not sys.platform.startswith('linux'):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), 'renameat2', None)  # glibc has it since 2.28
    if rename is None:
        return False
    paths = (_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second))
    return rename(*paths, ctypes.c_uint(_RENAME_EXCHANGE)) == 0


def _check_replaceable(target: Path, suffixes: Sequence[str]) -> None:
    if target.exists() and not target.is_dir():
        raise UsageError(f'"{target}" is a file, but a folder is to be written there: choose another output folder')
    if not target.is_dir():
        return
    with os.scandir(target) as entries:
        strange = sorted(entry.name for entry in entries if not entry.name.startswith('.')
                         and (entry.is_dir() or not entry.name.lower().endswith(tuple(suffixes))))
    if strange:
        raise UsageError(f'"{target}" would be replaced, but it holds "{strange[0]}", which is no such output: choose '
                         'another output folder')


def _restore_folders(parent: Path) -> None:
    """Put back the folders whose replacement an ended process of this machine did not complete."""
    name = re.compile(rf'\.(.+)\.{re.escape(_HOST)}-(\d+)-\d+\.old')
    with os.scandir(parent) as entries:
        found = [(entry.path, match) for entry in entries if (match := name.fullmatch(entry.name))]
    for path, match in found:
        if is_running(int(match[2])):
            continue
        if not os.path.lexists(parent / match[1]):
            os.rename(path, parent / match[1])
        else:
            _remove(Path(path))


def _remove(path: Path) -> None:
    """Remove a file, a folder, or a link without what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


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
    """Remove the drafts that killed processes of this machine left in a folder, and up to four levels below.

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


def _short_name(target: Path) -> str:
    """What stands for the name of a file in those of its drafts, which are longer and have the same limit."""
    encoded = os.fsencode(target.name)
    return target.name if len(encoded) <= _LONGEST_STEM else hashlib.sha256(encoded).hexdigest()


def _own_tag() -> str:
    return f'{_HOST}-{os.getpid()}-{next(_COUNTER)}'


def _remove_orphaned_drafts(target: Path) -> None:
    """Remove drafts of a target whose process ran on this machine and has ended."""
    draft_name = re.compile(rf'\.{re.escape(_short_name(target))}\.{re.escape(_HOST)}-(\d+)-\d+\.(tmp|partial)')
    with os.scandir(target.parent) as entries:
        drafts = [(entry.path, match) for entry in entries if (match := draft_name.match(entry.name))]
    for path, match in drafts:
        if not is_running(int(match[1])):
            _remove(Path(path))


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
