# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path

from mmengine.fileio import register_backend
from mmengine.fileio.backends import LocalBackend

from mmvc.utils.atomic import atomic_write


@register_backend('atomic_local')
class AtomicLocalBackend(LocalBackend):
    """mmengine's local storage with atomic ``put`` and ``put_text``: a killed process leaves no partial file.

    Select it with ``backend_args=dict(backend='atomic_local')``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes with :func:`atomic_write`."""
        atomic_write(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text with :func:`atomic_write`."""
        atomic_write(filepath, obj.encode(encoding))
