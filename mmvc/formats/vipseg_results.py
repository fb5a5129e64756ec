# Copyright (c) The mmvc contributors. All rights reserved.
"""Predictions for VIPSeg, as its script takes them: ``pan_pred/<video>/*.png`` and ``pred.json``."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmvc.utils.atomic import atomic_write
from mmvc.utils.names import output_path
from mmvc.utils.typing import PathLike

from .json_files import find_repeats, raise_first, read_json
from .label_maps import encode_panoptic_map
from .vipseg import ANNOTATIONS, Segments, find_bad_file_names, find_segment_faults, mask_file, segments_by_frame

MASKS, SEGMENTS = 'pan_pred', 'pred.json'


@dataclass(frozen=True)
class Predictions:
    """A folder of predictions.

    Attributes:
        folder (Path): The folder.
        segments (dict[str, dict[str, list[dict]]]): ``segments_info`` by video and name of the frame, without suffix.
    """
    folder: Path
    segments: Segments

    @property
    def path(self) -> Path:
        """The JSON with the segments."""
        return self.folder / SEGMENTS

    @property
    def masks(self) -> Path:
        """Folder of the videos' folders of masks."""
        return self.folder / MASKS

    def mask_file(self, video: str, name: str) -> Path:
        """File of a frame's mask, by the names of video and frame."""
        return mask_file(self.folder, video, name, MASKS)


def read_predictions(folder: PathLike, num_classes: int) -> Predictions:
    """Read and check the JSON of a folder of predictions.

    Args:
        folder (str | Path): The folder.
        num_classes (int): Number of classes.

    Returns:
        Predictions: The segments; the masks are not opened.

    Raises:
        FileNotFoundError: There is no JSON.
        DataError: It does not fit the schema; it lists a video, a frame or a segment twice; or a category does not
            exist.
    """
    path = Path(folder, SEGMENTS)
    content = read_json(path, {'annotations': ANNOTATIONS}, f'the segments of the PNGs in "{MASKS}", '
                        'beside it')
    raise_first(find_bad_file_names(content, path))
    videos = (str(video['video_id']) for video in content['annotations'])
    raise_first(find_repeats(videos, 'video', 'video_id in annotations', path))
    raise_first(find_segment_faults(content['annotations'], num_classes, path))
    return Predictions(Path(folder), segments_by_frame(content['annotations']))


class PredictionWriter:
    """Writes the predictions for one video, frame by frame, as VIPSeg's script takes them.

    Args:
        folder (str | Path): Folder of the video's masks.
        video (str): Name of the video.
        write (Callable): How to write a file: called with its path and content. Defaults to :meth:`Path.write_bytes`.

    Attributes:
        entry (dict): Entry of the video for :func:`write_predicted_segments`.
    """

    def __init__(self, folder: PathLike, video: str, write: Callable[[Path, bytes], Any] = Path.write_bytes) -> None:
        self._folder, self._write = Path(folder), write
        self._frames: list[dict] = []
        self.entry: dict[str, Any] = dict(video_id=video, annotations=self._frames)

    def add(self, name: str, ids: np.ndarray, segments: Sequence[Mapping[str, Any]]) -> None:
        """Write a frame.

        Args:
            name (str): Name of the frame, without suffix.
            ids (np.ndarray): Segment ids in [0, 2^24), 0 = void, integer, shape (H, W).
            segments (Sequence[Mapping]): ``id`` and ``category_id`` of the segments. Those without a pixel in the
                frame are left out, as the script refuses them.
        """
        areas = dict(zip(*(values.tolist() for values in np.unique(ids, return_counts=True))))
        self._write(output_path(self._folder, name, suffix='.png'), encode_panoptic_map(ids))
        self._frames.append(dict(file_name=f'{name}.png', segments_info=[
            dict(id=int(segment['id']), category_id=int(segment['category_id']), iscrowd=0, area=areas[segment['id']])
            for segment in segments if segment['id'] in areas]))


def predicted_masks(folder: PathLike, video: str) -> Path:
    """Folder of a video's predicted masks in a folder of predictions."""
    return output_path(folder, MASKS, video)


def write_predicted_segments(folder: PathLike, entries: Sequence[dict]) -> None:
    """Write the segments of a folder of predictions.

    Args:
        folder (str | Path): The folder.
        entries (Sequence[dict]): :attr:`PredictionWriter.entry` of each video.
    """
    atomic_write(Path(folder, SEGMENTS), json.dumps(dict(annotations=list(entries))).encode(), sync=False)
