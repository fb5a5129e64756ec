# Copyright (c) The mmvc contributors. All rights reserved.
"""Protection of inputs from the outputs of the same run."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import UsageError
from .typing import PathLike


def protect_inputs(outputs: Iterable[PathLike | None],
                   inputs: Iterable[PathLike | None] | Mapping[PathLike, str],
                   option: str = '--out-dir') -> None:
    """Refuse outputs that would overwrite inputs or mix with them.

    Files and folders are compared by their identity on the disk, so symbolic links, hard links and names that differ
    in case are seen. Call it before anything is written.

    Args:
        outputs (Iterable[str | Path | None]): Files and folders that will be written. None is skipped.
        inputs (Iterable[str | Path | None] | Mapping[str | Path, str]): Files and folders that will be read, None is
            skipped; or these and what they are, for the error.
        option (str): Option that sets the outputs, for the error. Defaults to ``'--out-dir'``.

    Raises:
        UsageError: An output is an input, contains one, or is in an input folder.
    """
    own: dict[Any, PathLike] = {}  # what is read, by identity
    around: dict[Any, PathLike] = {}  # the folders that this is in
    for path in inputs:
        if path is not None:
            first, *folders = _with_folders(path)
            own.setdefault(first, path)
            for folder in folders:
                if folder in around:
                    break  # so are the folders above
                around[folder] = path
    for output in outputs:
        if output is None:
            continue
        first, *folders = _with_folders(output)
        touched, words = own.get(first, around.get(first)), ''
        if touched is None:
            touched = next((own[folder] for folder in folders if folder in own), None)
            words = ', since it is inside it'
        if touched is not None:
            if isinstance(inputs, Mapping):
                words = f' ({inputs[touched]}){words}'
            raise UsageError(f'the output "{output}" would overwrite or mix with the input "{touched}"{words}: choose '
                             f'another place ({option})')


def _with_folders(path: PathLike) -> list:
    """Identity of a path and of each folder above it, links resolved."""
    resolved = Path(path).resolve()
    return [_identity(resolved), *_folder_identities(resolved.parent)]


@lru_cache(maxsize=4096)
def _folder_identities(folder: Path) -> tuple:
    return tuple(_identity(path) for path in (folder, *folder.parents))


def _identity(path: Path) -> Any:
    """Device and number of a file; the path itself where nothing is there yet."""
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino
