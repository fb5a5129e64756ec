# Copyright (c) The mmvc contributors. All rights reserved.
"""Locks of folders: of two runs that would write to one folder, the second one refuses and names the first."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .atomic import HOST, is_running
from .errors import UsageError
from .typing import PathLike

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

LOCK = '.lock'
#: name of the lock where the file system has none of its own
_OWNED = '.lock-owner'
#: seconds within which an owner that is about to end may do so
PATIENCE = 5.0
_held: set[int] = set()  # descriptors of locked files


@contextmanager
def hold_folder(folder: PathLike, patience: float | None = None) -> Iterator[None]:
    """Lock a folder against other processes while the block runs.

    The lock ends with the process, however that ends. Children of the process do not keep it.

    Args:
        folder (str | Path): The folder. It is created if missing.
        patience (float, optional): Seconds to wait for the owner of the lock, which may be about to end. Defaults to
            None: ``PATIENCE``.

    Raises:
        UsageError: Another process holds the folder. The message names it.
        OSError: The folder cannot be created or written to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    patience = PATIENCE if patience is None else patience
    deadline = time.monotonic() + patience
    while (release := _try_lock(folder)) is None:
        if time.monotonic() > deadline:
            raise UsageError(f'"{folder}" is in use by {_owner_in_words(folder)}: wait until it ends, or choose '
                             'another folder')
        time.sleep(min(0.1, patience))
    try:
        yield
    finally:
        release()


@contextmanager
def hold_folders(folders: Iterable[PathLike | None]) -> Iterator[None]:
    """Lock several folders, see :func:`hold_folder`; a folder that is named twice is locked once, None is skipped.

    Args:
        folders (Iterable[str | Path | None]): The folders.

    Raises:
        UsageError: Another process holds one of them.
        OSError: A folder cannot be created or written to.
    """
    with ExitStack() as stack:
        for folder in sorted({Path(folder).resolve() for folder in folders if folder is not None}):
            stack.enter_context(hold_folder(folder))
        yield


def user_of(folder: PathLike) -> str | None:
    """Return who holds a folder, in words; None if nobody does. The folder need not exist."""
    folder = Path(folder)
    if (folder / _OWNED).exists():
        return None if _is_left_over(folder / _OWNED) else _owner_in_words(folder)
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _owner_in_words(folder)
    except OSError:  # the file system has no locks
        return None
    finally:
        os.close(descriptor)
    return None


class _Release:
    """Gives a lock back: removes its file, and then closes it."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        self._path, self._descriptor, self._process = path, descriptor, os.getpid()

    def __call__(self) -> None:
        if os.getpid() != self._process:
            return  # a child that was forked within the block
        self._path.unlink(missing_ok=True)
        if self._descriptor is not None:
            _held.discard(self._descriptor)
            os.close(self._descriptor)


def _try_lock(folder: Path) -> _Release | None:
    """Lock a folder; None if another process holds it."""
    if fcntl is None:
        return _try_to_own(folder)
    path = folder / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # the file system has no locks
            os.close(descriptor)
            return _try_to_own(folder)
        if _is_same_file(descriptor, path):
            break
        os.close(descriptor)  # its owner has removed the file since it was opened
    os.ftruncate(descriptor, 0)
    os.write(descriptor, _description().encode())
    _held.add(descriptor)
    return _Release(path, descriptor)


def _try_to_own(folder: Path) -> _Release | None:
    """Lock a folder by a file that only one process can create; None if a living process has done so."""
    path = folder / _OWNED
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        if not _is_left_over(path):
            return None
        path.unlink(missing_ok=True)
        return _try_to_own(folder)
    with open(descriptor, 'w', encoding='utf-8') as file:
        file.write(_description())
    return _Release(path)


def _is_left_over(path: Path) -> bool:
    """Whether the owner of a lock ran on this machine and has ended."""
    host, process, start = _read_owner(path)[:3]
    if host != HOST or not process.isdigit():
        return False
    return not is_running(int(process)) or _start_of(int(process)) != start


def _description() -> str:
    """What a lock says of its owner: host, process, start of the process and time, a line each."""
    return '\n'.join((HOST, str(os.getpid()), _start_of(os.getpid()), time.strftime('%Y-%m-%d %H:%M:%S')))


def _start_of(process: int) -> str:
    """When a process started, in ticks of the system: another one of the same id has another start. '' if unknown."""
    try:
        with open(f'/proc/{process}/stat', encoding='utf-8', errors='replace') as file:
            return file.read().rpartition(')')[2].split()[19]
    except (OSError, IndexError):
        return ''


def _read_owner(path: Path) -> list[str]:
    """The description in a lock; empty texts where it is not there."""
    lines: list[str] = []
    with suppress(OSError):
        lines = path.read_bytes().decode('utf-8', 'replace').split('\n')
    return [*lines, *[''] * 4][:4]


def _owner_in_words(folder: Path) -> str:
    path = folder / LOCK
    if (folder / _OWNED).exists():
        path = folder / _OWNED
    host, process, _, since = _read_owner(path)
    if not process.isdigit():
        return 'another process'
    words = f'process {process} on {host} since {since}'
    return words if path.name == LOCK else f'{words} (if it has ended, remove "{path}")'


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _close_in_child() -> None:
    """A child must not keep the lock of a parent that was killed."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_close_in_child)
