# Copyright (c) The mmvc contributors. All rights reserved.
"""Finds the JSON of an export that consists of one JSON and images."""

from pathlib import Path

from mmvc.utils.errors import DataError


def find_json(path: Path) -> Path:
    """The JSON of an export.

    Args:
        path (Path): The file; or a folder that has it, in itself or in its folder ``annotations``.

    Raises:
        DataError: The folder has none or several.
    """
    if not path.is_dir():
        return path
    file = only_json_in(path)
    if file is None:
        raise DataError(f'"{path}" has not exactly one JSON file, in itself or in its folder "annotations": give the '
                        'file')
    return file


def only_json_in(folder: Path) -> Path | None:
    """The only JSON of a folder, or of its folder ``annotations``; None if there is none or several."""
    for place in (folder / 'annotations', folder):
        try:
            files = sorted(place.glob('*.json'))
        except OSError:
            continue
        if len(files) == 1:
            return files[0]
    return None
