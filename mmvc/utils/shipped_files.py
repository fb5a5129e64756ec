# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def find_shipped(path: str) -> Path | None:
    """Find a file or folder that is shipped with the package, such as its configs and tools.

    Args:
        path (str): Path in the source tree, such as ``configs`` or ``tools/test.py``.

    Returns:
        Path | None: Its path in the installed package (``mmvc/.mim``) or in the source tree; None if it is in neither.
    """
    return next((folder / path for folder in (PACKAGE / '.mim', PACKAGE.parent) if (folder / path).exists()), None)
