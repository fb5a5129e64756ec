# Copyright (c) The mmvc contributors. All rights reserved.
"""Files and folders that appear under their name only when they are complete, even if the process is killed."""

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


@contextmanager
def atomic_path(target: str | Path, sync: bool = False, keep_suffix: bool = False) -> Iterator[Path]:
    """Yield a draft beside a file; it replaces the file when the block ends, and is removed if the block fails.

    Every draft has a name of its own, so several processes and threads may write the same file: the last one wins.

    Args:
        target (str | Path): The file to write; its folder is made if missing.
        sync (bool): Whether to wait for the disk, so that a power cut leaves the old or the new file, too. Takes
            longer than encoding a frame. Drafts of this file that killed processes left are removed. Defaults to
            False.
        keep_suffix (bool): Whether the draft ends like the file, for writers that choose a format by the ending.
            Defaults to False.

    Yields:
        Path: The draft to write.

    Raises:
        OSError: The file cannot be written (disk full, no permission). It names the file; the old one is untouched.
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
        raise OSError(error.errno, error.strerror, str(target)) from error  # the error of a full disk names no file
    finally:
        draft.unlink(missing_ok=True)
    if sync and os.name == 'posix':
        _sync_folder(target.parent)  # it holds the new name


def atomic_write(path: str | Path, content: bytes | memoryview, sync: bool = True) -> None:
    """Write a file so that a reader never sees half of it.

    Args:
        path (str | Path): File to write; its folder is made if missing.
        content (bytes | memoryview): New content.
        sync (bool): Whether to wait for the disk, see :func:`atomic_path`. Switch it off for the many files of a
            video: a run that was cut short is repeated anyway. Defaults to True.

    Raises:
        OSError: The file cannot be written (disk full, no permission); the old one is untouched.
    """
    with atomic_path(path, sync) as draft:
        draft.write_bytes(content)


@contextmanager
def atomic_folder(target: str | Path, inner: str | None = None) -> Iterator[Path]:
    """Yield an empty folder beside the target; it replaces the target when the block ends without an error.

    Drafts of the same folder that killed processes left are removed.

    Args:
        target (str | Path): The folder.
        inner (str, optional): Path within the yielded folder of what becomes ``target``. Defaults to None: all of it.

    Yields:
        Path: Folder to fill.
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
    """Make a folder and check that files can be written to it, before the work whose results go there.

    Args:
        folder (str | Path): The folder.

    Raises:
        OSError: The folder cannot be made or written to.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


def remove_drafts(folder: str | Path, pattern: str) -> None:
    """Remove the drafts of files that were never completed.

    Args:
        folder (str | Path): Where to look.
        pattern (str): Names of the files, such as ``*.pth``.
    """
    for draft in Path(folder).glob(f'.{pattern}.*.tmp'):
        draft.unlink(missing_ok=True)


def _own_tag() -> str:
    return f'{_HOST}-{os.getpid()}-{next(_COUNTER)}'


def _remove_orphaned_drafts(target: Path) -> None:
    """Remove drafts of a file whose process ran on this machine and is gone."""
    draft_name = re.compile(rf'\.{re.escape(target.name)}\.{re.escape(_HOST)}-(\d+)-\d+\.(tmp|partial)')
    with os.scandir(target.parent) as entries:
        drafts = [(entry.path, match) for entry in entries if (match := draft_name.match(entry.name))]
    for path, match in drafts:
        if not _is_running(int(match[1])):
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else Path(path).unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it belongs to another user
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
