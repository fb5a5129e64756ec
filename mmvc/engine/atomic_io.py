# Copyright (c) The mmvc contributors. All rights reserved.
"""Files that are either the old ones or the new ones, whenever the process dies."""

import os
import tempfile
from pathlib import Path
from typing import Union

from mmengine.fileio import register_backend
from mmengine.fileio.backends import LocalBackend


def atomic_write(path: Union[str, Path], content: Union[bytes, memoryview]) -> None:
    """Write a file so that a reader never sees half of it, even after a SIGKILL or a power cut.

    The content goes to ``<path>.tmp``, is synced to disk and renamed. The temporary name is always the same: what a
    killed process left behind is overwritten by the next one.

    Args:
        path (str | Path): File to write; its folder is made if missing.
        content (bytes | memoryview): New content.

    Raises:
        OSError: If the file cannot be written (disk full, no permission); the old file is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'{path.name}.tmp')
    try:
        with open(temporary, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:  # of a full disk it does not say which file
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    if os.name == 'posix':  # the rename itself lives in the folder, which has to be synced as well
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def require_writable(folder: Union[str, Path]) -> None:
    """Make a folder, and raise an error if no file can be written to it: before the work that is to be kept there.

    Args:
        folder (str | Path): The folder.

    Raises:
        OSError: It cannot be made, or written to.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


@register_backend('atomic_local')
class AtomicLocalBackend(LocalBackend):
    """Local disk whose ``put`` and ``put_text`` replace a file as a whole.

    Chosen by ``backend_args=dict(backend='atomic_local')``.
    """

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write bytes with :func:`atomic_write`."""
        atomic_write(filepath, obj)

    def put_text(self, obj: str, filepath: Union[str, Path], encoding: str = 'utf-8') -> None:
        """Write text with :func:`atomic_write`."""
        atomic_write(filepath, obj.encode(encoding))
