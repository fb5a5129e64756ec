# Copyright (c) The mmvc contributors. All rights reserved.
"""Outputs that are complete or absent, and never where an input is."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, Optional, Sequence, TextIO

from mmvc.engine import UsageError


def protect_inputs(targets: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Refuse to write over what is read.

    Args:
        targets (Sequence[Path]): Files and folders that will be written.
        inputs (Sequence[Path]): Files that are read.

    Raises:
        UsageError: A target is an input, or a folder around it.
    """
    owners: Dict[Path, Path] = {}
    for path in inputs:
        resolved = path.resolve()
        for occupied in (resolved, *resolved.parents):
            owners.setdefault(occupied, path)
    for target in targets:
        owner = owners.get(target.resolve())
        if owner is not None:
            raise UsageError(f'the output "{target}" would overwrite or mix with the input "{owner}": choose another '
                             'folder (--out-dir)')


@contextmanager
def staged_folder(target: Path, inner: Optional[str] = None) -> Iterator[Path]:
    """Fill a folder that appears under its name, in place of an older one, only when it is complete.

    Args:
        target (Path): The folder.
        inner (str, optional): Folder within the one that is yielded that becomes ``target``. Defaults to None: itself.

    Yields:
        Path: Empty folder to write to.
    """
    staging = target.with_name(f'.{target.name}.partial')
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        old = target.with_name(f'.{target.name}.old')
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        (staging / inner if inner else staging).rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def staged_file(target: Path) -> Iterator[TextIO]:
    """Write a text file that appears under its name only when it is complete.

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
