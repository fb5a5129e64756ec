# Copyright (c) The mmvc contributors. All rights reserved.
"""Predictions for YouTube-VIS and OVIS: ``results.json``, whose ids of videos and categories are the annotations'."""

import json
import math
import os.path as osp
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils

from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import DataError, named
from mmvc.utils.typing import PathLike

from .json_files import read_json
from .youtube_vis import TRACK_SCHEMA, Annotations, as_text, by_video

RESULTS = 'results.json'
RESULT_VIDEOS = 'videos.json'  # of the inferencer, whose videos no annotation file lists
_RESULTS = [{**TRACK_SCHEMA, 'score': float}]


def results_file(folder: PathLike) -> Path:
    """Return the file of the predictions in a folder; a path that is not a folder is the file itself."""
    return Path(folder, RESULTS) if osp.isdir(folder) else Path(folder)


def read_results(path: PathLike, truth: Annotations) -> dict[int | str, list[dict]]:
    """Read and check predictions.

    Args:
        path (str | Path): JSON as the servers of YouTube-VIS and OVIS take it: a list of ``dict(video_id, category_id,
            score, segmentations)``, one RLE or null for each frame.
        truth (mmvc.formats.youtube_vis.Annotations): The annotations that its ids refer to.

    Returns:
        dict[int | str, list[dict]]: Detections by id of the video.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It does not fit the schema, a video or category does not exist, or a track does not have one mask
            (or null) for each frame.
    """
    results = read_json(path, _RESULTS, 'a list of dict(video_id, category_id, score, segmentations)')
    num_frames = {video['id']: len(video['file_names']) for video in truth.videos}
    for key, known in (('video_id', num_frames), ('category_id', truth.categories)):
        unknown = sorted({repr(track[key]) for track in results if track[key] not in known})
        if unknown:
            raise DataError(f'"{path}" has tracks with {key} {named(unknown)}, which "{truth.path}" does not have: is '
                            'it of the same split and version?')
    for track in results:
        expected = num_frames[track['video_id']]
        if len(track['segmentations']) != expected:
            raise DataError(f'"{path}", video {track["video_id"]}: a track has {len(track["segmentations"])} masks '
                            f'for {expected} frames: give one RLE or null for each frame')
    return by_video(results)


@dataclass
class _Track:
    masks: dict[int, dict] = field(default_factory=dict)  # by frame
    labels: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


class TrackCollector:
    """Collects the predicted instances of a video into tracks, frame by frame.

    The masks of one id are a track; its score is the mean of its scores, its class the most frequent of its labels.

    Args:
        video_id (int | str): Id of the video.
        category_ids (Sequence[int]): Category id of each label.

    Attributes:
        num_frames (int): Number of frames so far.
    """

    def __init__(self, video_id: int | str, category_ids: Sequence[int]) -> None:
        self._video_id, self._category_ids = video_id, category_ids
        self._tracks: dict[int, _Track] = {}
        self.num_frames = 0

    def add(self, masks: np.ndarray, ids: Sequence[int], labels: Sequence[int], scores: Sequence[float]) -> None:
        """Add the instances of a frame.

        Args:
            masks (np.ndarray): Masks, bool or uint8, shape (N, H, W).
            ids (Sequence[int]): Instance ids, length N.
            labels (Sequence[int]): Class indices, length N.
            scores (Sequence[float]): Confidences, length N.
        """
        rles = mask_utils.encode(np.asfortranarray(masks.astype(np.uint8).transpose(1, 2, 0))) if len(masks) else []
        for instance_id, label, score, rle in zip(ids, labels, scores, rles):
            track = self._tracks.setdefault(instance_id, _Track())
            track.masks[self.num_frames] = rle
            track.labels.append(label)
            track.scores.append(score)
        self.num_frames += 1

    def detections(self) -> list[dict]:
        """The tracks as entries of ``results.json``, but with counts as bytes; null where a mask is empty."""
        detections = []
        for track in self._tracks.values():
            masks = [track.masks.get(t) for t in range(self.num_frames)]
            detections.append(dict(
                video_id=self._video_id,
                category_id=self._category_ids[Counter(track.labels).most_common(1)[0][0]],
                score=math.fsum(track.scores) / len(track.scores),
                segmentations=[rle if rle and mask_utils.area(rle) else None for rle in masks]))
        return detections


def write_results(folder: PathLike, detections: Iterable[dict]) -> Path:
    """Write predictions as the servers take them.

    Args:
        folder (str | Path): Folder of the file.
        detections (Iterable[dict]): :meth:`TrackCollector.detections` of all videos.

    Returns:
        Path: The file.
    """
    path = Path(folder, RESULTS)
    results = [dict(track, segmentations=[rle and as_text(rle) for rle in track['segmentations']])
               for track in detections]
    atomic_write(path, json.dumps(results).encode(), sync=False)
    return path


def write_result_videos(folder: PathLike, videos: Sequence[dict], category_names: Mapping[int, str]) -> None:
    """Write the videos and categories that the ids of predictions refer to, in the format of the annotations.

    Args:
        folder (str | Path): Folder of the file.
        videos (Sequence[dict]): ``id``, ``name``, ``height``, ``width`` and ``file_names`` of each video.
        category_names (Mapping[int, str]): Name of each category, by id.
    """
    categories = [dict(id=category_id, name=name) for category_id, name in category_names.items()]
    atomic_write(Path(folder, RESULT_VIDEOS), json.dumps(dict(videos=list(videos), categories=categories)).encode())
