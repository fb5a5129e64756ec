# Copyright (c) The mmvc contributors. All rights reserved.
"""Which frames of the ground truth have a prediction, and which predictions have no ground truth."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmvc.utils.errors import named
from mmvc.utils.files import files_in


def compare_files(folder: Path, frames: Mapping[str, Sequence[str]]) -> tuple[dict[str, set[str]], list[str]]:
    """Compare a folder of predictions, ``<video>/<frame>.png``, with the frames of the ground truth.

    Args:
        folder (Path): The folder.
        frames (Mapping[str, Sequence[str]]): Names of the frames, without suffix, by video.

    Returns:
        tuple: Frames that have a file, by video; and videos and frames that have files but are not in the ground
        truth: ``<video>`` or ``<video>/<frame>``, sorted.

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


def find_missing(frames: Mapping[str, Sequence[str]], there: Mapping[str, set[str]], allow_missing: bool,
                 expected: str) -> list[str]:
    """List the frames without a prediction, ``<video>/<frame>``.

    Args:
        frames (Mapping[str, Sequence[str]]): Names of the frames by video.
        there (Mapping[str, set[str]]): Names of the frames that have a prediction, by video.
        allow_missing (bool): Whether frames may be missing.
        expected (str): Files of a frame's prediction, for the error.

    Raises:
        FileNotFoundError: A frame is missing, and ``allow_missing`` is not set.
    """
    missing = [f'{video}/{name}' for video, names in frames.items() for name in names if name not in there[video]]
    if missing and not allow_missing:
        whole = [video for video, names in frames.items() if names and not there[video].intersection(names)]
        videos = f' ({len(whole)} whole videos: {named(whole)})' if whole else ''
        raise FileNotFoundError(f'{len(missing)} frames of the ground truth have no prediction: {named(missing)}'
                                f'{videos}. Expected {expected}. Predict them, or count them as empty with '
                                '--allow-missing (allow_missing=True)')
    return missing
