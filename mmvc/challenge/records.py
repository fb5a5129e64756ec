# Copyright (c) The mmvc contributors. All rights reserved.
"""What is finished, and of what: results that are computed once and found again by what they were made of."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmvc.utils.atomic import atomic_write
from mmvc.utils.typing import PathLike


def fingerprint(settings: Any, files: Iterable[PathLike] = ()) -> str:
    """Digest of settings and of the files that go with them.

    Files count with folder, name, size and time of change: they are not read. So a video of thousands of files is
    looked through in milliseconds, and a file that was written again counts as another one.

    Args:
        settings (Any): Anything that JSON can hold, or that has a text that tells it from others.
        files (Iterable[str | Path]): Files, in an order that does not change.

    Returns:
        str: 64 hexadecimal digits.

    Raises:
        FileNotFoundError: A file is missing.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for path in map(Path, files):
        status = path.stat()
        digest.update(f'\n{path.parent.name}/{path.name} {status.st_size} {status.st_mtime_ns}'.encode())
    return digest.hexdigest()


def write_record(path: PathLike, digest: str, content: Any) -> None:
    """Write the result of finished work, with the :func:`fingerprint` of what it was made of."""
    text = json.dumps(dict(fingerprint=digest, content=content), indent=1, ensure_ascii=False)
    atomic_write(path, text.encode())


def read_record(path: PathLike, digest: str) -> Any | None:
    """Read a result.

    Args:
        path (str | Path): File of :func:`write_record`.
        digest (str): The fingerprint of what the result should be made of.

    Returns:
        Any: The content; None if there is no file, it is damaged, or was made of something else.
    """
    try:
        record = json.loads(Path(path).read_text(encoding='utf-8'))
        return record['content'] if record['fingerprint'] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
