# Copyright (c) The mmvc contributors. All rights reserved.
"""Cached results, keyed by a fingerprint of their inputs."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmvc.utils.atomic import atomic_write
from mmvc.utils.typing import PathLike


def fingerprint(settings: Any, files: Iterable[PathLike] = ()) -> str:
    """Compute a digest of settings and files. It changes when one of them changes.

    The files are not read. Only folder, name, size and modification time count. So a video of thousands of files takes
    milliseconds, and a file that was written again counts as a new one.

    Args:
        settings (Any): Anything that JSON can hold. Other objects count with ``str(object)``.
        files (Iterable[str | Path]): Files, always in the same order.

    Returns:
        str: 64 hexadecimal digits.

    Raises:
        FileNotFoundError: A file is missing.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for path in map(Path, files):
        status = path.stat()
        line = f'\n{path.parent.name}/{path.name} {status.st_size} {status.st_mtime_ns}'
        digest.update(line.encode('utf-8', 'backslashreplace'))
    return digest.hexdigest()


def write_record(path: PathLike, digest: str, content: Any) -> None:
    """Write a result together with the :func:`fingerprint` of its inputs.

    Args:
        path (str | Path): File to write.
        digest (str): The fingerprint.
        content (Any): The result, as JSON can hold it.
    """
    text = json.dumps(dict(fingerprint=digest, content=content), indent=1, ensure_ascii=False)
    atomic_write(path, text.encode('utf-8', 'backslashreplace'))  # names of files may be no UTF-8


def read_record(path: PathLike, digest: str) -> Any | None:
    """Read a result, if it was computed from the same inputs.

    Args:
        path (str | Path): File of :func:`write_record`.
        digest (str): The fingerprint of the present inputs.

    Returns:
        Any | None: The result. None if there is no file, if it is damaged, or if it has another fingerprint.
    """
    try:
        record = json.loads(Path(path).read_text(encoding='utf-8'))
        return record['content'] if record['fingerprint'] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
