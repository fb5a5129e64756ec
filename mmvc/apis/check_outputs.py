# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence
from pathlib import Path

from mmvc.utils.errors import UsageError


def protect_inputs(targets: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Refuse outputs that would overwrite inputs.

    Args:
        targets (Sequence[Path]): Files and folders that will be written.
        inputs (Sequence[Path]): Files that will be read.

    Raises:
        UsageError: A target is an input, or a folder that contains one.
    """
    owners: dict[Path, Path] = {}
    for path in inputs:
        resolved = path.resolve()
        for occupied in (resolved, *resolved.parents):
            owners.setdefault(occupied, path)
    for target in targets:
        owner = owners.get(target.resolve())
        if owner is not None:
            raise UsageError(f'the output "{target}" would overwrite or mix with the input "{owner}": choose another '
                             'folder (--out-dir)')
