# Copyright (c) The mmvc contributors. All rights reserved.
"""Which frames of the ground truth have a prediction, and which predictions have no ground truth."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mmvc.formats.vspw import MASK_SUFFIX, frame_of
from mmvc.utils.errors import named
from mmvc.utils.files import files_in, shared_ending


def compare_files(folder: Path,
                  frames: Mapping[str, Sequence[str]]) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """Compare a folder of predictions, ``<video>/<frame>.png``, with the frames of the ground truth.

    Args:
        folder (Path): The folder.
        frames (Mapping[str, Sequence[str]]): Names of the frames, without suffix, by video.

    Returns:
        tuple: Files by frame and video; and what has a file but is not in the ground truth: ``<video>`` or
        ``<video>/<frame>``, sorted.

    Raises:
        FileNotFoundError: There is no such folder.
        DataError: Two files are predictions for one frame.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'prediction folder "{folder}" does not exist: expected <video>/<frame>.png in it')
    with os.scandir(folder) as entries:
        unused = sorted(entry.name for entry in entries
                        if entry.is_dir() and entry.name not in frames and not entry.name.startswith('.'))
    there = {}
    for video, names in frames.items():
        there[video] = files_in(folder / video, ('.png', ))
        unused += [f'{video}/{name}' for name in sorted(there[video].keys() - set(names))]
    return there, unused


def find_ending(folder: Path, masks: Mapping[str, Sequence[str]]) -> str:
    """Find the ending of mask files that is not part of the names of the frames, by which predictions are named.

    Args:
        folder (Path): Folder of the predictions, ``<video>/<frame>.png``.
        masks (Mapping[str, Sequence[str]]): Mask files by video.

    Returns:
        str: The longest ending that all masks share, such as ``_labelIds.png``, if only without it a prediction has
        the name of a mask; otherwise ``.png``.
    """
    endings = dict.fromkeys((MASK_SUFFIX, shared_ending([path for paths in masks.values() for path in paths])))
    found = (ending for ending in endings for video, paths in masks.items()
             if files_in(folder / video, ('.png', )).keys() & {frame_of(path, ending) for path in paths})
    return next(found, MASK_SUFFIX)


def find_missing(frames: Mapping[str, Sequence[str]], there: Mapping[str, Collection[str]], allow_missing: bool,
                 expected: str) -> list[str]:
    """List the frames without a prediction, ``<video>/<frame>``.

    Args:
        frames (Mapping[str, Sequence[str]]): Names of the frames by video.
        there (Mapping[str, Collection[str]]): Those that are predicted.
        allow_missing (bool): Whether this is accepted.
        expected (str): Files of a predicted frame, for the error.

    Raises:
        FileNotFoundError: A frame is missing, and ``allow_missing`` is not set.
    """
    missing = [f'{video}/{name}' for video, names in frames.items() for name in names if name not in there[video]]
    if missing and not allow_missing:
        whole = [video for video, names in frames.items() if names and not set(there[video]).intersection(names)]
        videos = f' ({len(whole)} whole videos: {named(whole)})' if whole else ''
        raise FileNotFoundError(f'{len(missing)} frames of the ground truth have no prediction: {named(missing)}'
                                f'{videos}. Expected {expected}. Predict them, or count them as empty with '
                                '--allow-missing (allow_missing=True)')
    return missing


def note_of_labels(counts: Mapping[str, tuple[int, int]]) -> list[str]:
    """Say how many frames of ground truth with sparse labels are labelled.

    Args:
        counts (Mapping[str, tuple[int, int]]): Number of labelled frames and of all frames, by video.

    Returns:
        list[str]: A remark for the report; none if all frames are labelled.
    """
    labelled, frames = (sum(numbers) for numbers in zip(*counts.values()))
    return [f'sparse labels: {labelled} of {frames} frames ({labelled / frames:.1%}) are labelled and scored'
            ] if labelled < frames else []


def leave_out(frames: Sequence[str], what: str, allow_missing: bool) -> list[str]:
    """Say which frames of the videos have no ground truth, and so are not scored.

    Args:
        frames (Sequence[str]): The frames, ``<video>/<frame>``.
        what (str): What they have, for the error.
        allow_missing (bool): Whether this is accepted.

    Returns:
        list[str]: A remark for the report; none if there is no such frame.

    Raises:
        FileNotFoundError: There are such frames and that is not accepted.
    """
    if frames and not allow_missing:
        raise FileNotFoundError(f'{len(frames)} frames have {what} and no ground truth: {named(frames)}. Download the '
                                'masks again; if only some frames are labelled, say so with --sparse-labels '
                                '(sparse_labels=True); or leave these frames out with --allow-missing '
                                '(allow_missing=True)')
    return [f'WARNING: {len(frames)} frames have no ground truth, not scored: {named(frames)}'] if frames else []
