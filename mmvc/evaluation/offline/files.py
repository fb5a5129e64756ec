# Copyright (c) The mmvc contributors. All rights reserved.
"""What is there and what is not: prediction folders and JSON files."""

import json
import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple

from mmvc.datasets.converters.jobs import files_in

EXAMPLES = 5


def named(items: Sequence[str]) -> str:
    """The first of many names, and how many there are."""
    more = f' and {len(items) - EXAMPLES} more' if len(items) > EXAMPLES else ''
    return ', '.join(items[:EXAMPLES]) + more


def load_json(path: Path, kind: type, keys: Sequence[str], content: str) -> Any:
    """Load a JSON file.

    Args:
        path (Path): The file.
        kind (type): ``dict`` or ``list``.
        keys (Sequence[str]): Keys that the dict, or each dict in the list, must have.
        content (str): What should be in the file, for the error.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not JSON, or not of this kind.
    """
    if not path.is_file():
        raise FileNotFoundError(f'"{path}" does not exist: expected {content}')
    try:
        data = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f'"{path}" is not valid JSON ({error}): write it again') from error
    if not isinstance(data, kind):
        raise ValueError(f'"{path}" is a JSON {type(data).__name__}: expected {content}')
    for entry in data if kind is list else [data]:
        missing = [key for key in keys if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise ValueError(f'"{path}" lacks {", ".join(missing)}: expected {content}')
    return data


def compare_files(folder: Path, frames: Mapping[str, Sequence[str]]) -> Tuple[Dict[str, Set[str]], List[str]]:
    """Compare a folder of predictions, ``<video>/<frame>.png``, with the frames of the ground truth.

    Args:
        folder (Path): The folder.
        frames (Mapping[str, Sequence[str]]): Names of the frames, without suffix, by video.

    Returns:
        tuple: Frames that have a file, by video; and what has a file but is not in the ground truth: ``<video>`` or
        ``<video>/<frame>``, sorted.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'prediction folder "{folder}" does not exist: expected <video>/<frame>.png in it')
    with os.scandir(folder) as entries:
        unused = sorted(entry.name for entry in entries
                        if entry.is_dir() and entry.name not in frames and not entry.name.startswith('.'))
    there = {}
    for video, names in frames.items():
        there[video] = set(files_in(folder / video, ('.png', )))
        unused += [f'{video}/{name}' for name in sorted(there[video] - set(names))]
    return there, unused


def find_missing(frames: Mapping[str, Sequence[str]], there: Mapping[str, Set[str]], allow_missing: bool,
                 expected: str) -> List[str]:
    """List what is not predicted, ``<video>/<frame>``.

    Args:
        frames (Mapping[str, Sequence[str]]): Names of the frames by video.
        there (Mapping[str, set[str]]): Those that are predicted.
        allow_missing (bool): Whether this is accepted.
        expected (str): What a predicted frame consists of, for the error.

    Raises:
        FileNotFoundError: Something is missing and that is not accepted.
    """
    missing = [f'{video}/{name}' for video, names in frames.items() for name in names if name not in there[video]]
    if missing and not allow_missing:
        whole = [video for video, names in frames.items() if names and not there[video].intersection(names)]
        videos = f' ({len(whole)} whole videos: {named(whole)})' if whole else ''
        raise FileNotFoundError(f'{len(missing)} frames of the ground truth have no prediction: {named(missing)}'
                                f'{videos}. Expected {expected}. Predict them, or count them as empty with '
                                '--allow-missing (allow_missing=True)')
    return missing
