# Copyright (c) The mmvc contributors. All rights reserved.
"""Instance tracks: run-length masks per frame, their areas and the IoU between tracks."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from pycocotools import mask as mask_utils

from mmvc.formats.rle import to_rles
from mmvc.formats.youtube_vis import OCCLUSION_LEVELS

RLE = dict
Track = list[RLE | None]


def require_masks(entries: Iterable[dict], num_frames: int) -> None:
    """Raise an error unless annotations or detections have one mask (or null) for each frame of their video.

    Raises:
        ValueError: One has not.
    """
    for entry in entries:
        if len(entry['segmentations']) != num_frames:
            raise ValueError(f'a track of video {entry.get("video_id")} has {len(entry["segmentations"])} masks for '
                             f'{num_frames} frames: give one RLE or null for each frame of the video')


def to_tracks(entries: Sequence[dict], height: int, width: int, num_frames: int) -> list[Track]:
    """Masks of annotations and detections in the format of YouTube-VIS, all checked together.

    Args:
        entries (Sequence[dict]): ``segmentations`` and ``video_id`` of each; all of one video.
        height (int): Height of the frames, in pixels.
        width (int): Width of the frames, in pixels.
        num_frames (int): Number of frames T of the video.

    Returns:
        list[list[dict | None]]: One track for each entry: one RLE or None for each frame.

    Raises:
        ValueError: There is not one mask (or null) for each frame, or a mask is damaged or has another size.
    """
    require_masks(entries, num_frames)
    rles = to_rles(chain.from_iterable(entry['segmentations'] for entry in entries), height, width)
    return [rles[index * num_frames:(index + 1) * num_frames] for index in range(len(entries))]


def track_areas(track: Track) -> np.ndarray:
    """Area of a track in each frame, in pixels, float64, shape (T, )."""
    frames = [t for t, rle in enumerate(track) if rle]
    areas = np.zeros(len(track))
    if frames:
        areas[frames] = mask_utils.area([track[t] for t in frames])
    return areas


def mean_area(areas: Iterable[float | None]) -> float:
    """Area of a track from its areas per frame: mean over the frames in which it is visible, 0 without any."""
    values = [area for area in areas if area]
    return float(np.mean(values)) if values else 0.0


def occlusion_score(levels: Sequence[str | None]) -> float:
    """How much a track of OVIS is occluded: mean over the more occluded half (rounded up) of its frames.

    Args:
        levels (Sequence[str | None]): ``no_occlusion`` (0), ``slight_occlusion`` (0.25) or ``severe_occlusion``
            (0.75) per frame, None where the object is absent.

    Returns:
        float: In [0, 0.75]; 0 for a track without a frame.
    """
    values = sorted((OCCLUSION_LEVELS[level] for level in levels if level is not None), reverse=True)
    return float(np.mean(values[:(len(values) + 1) // 2])) if values else 0.0


def track_iou(detections: Sequence[Track],
              truths: Sequence[Track],
              areas: tuple[Sequence[np.ndarray], Sequence[np.ndarray]] | None = None) -> np.ndarray:
    """IoU of tracks: intersections and unions are summed over the frames of the video before dividing.

    Args:
        detections (Sequence[list[dict | None]]): D tracks, one RLE or None for each of the T frames.
        truths (Sequence[list[dict | None]]): G tracks, of the same form.
        areas (tuple[Sequence[np.ndarray], Sequence[np.ndarray]], optional): :func:`track_areas` of the detections and
            of the truths. Defaults to None: they are computed.

    Returns:
        np.ndarray: In [0, 1], shape (D, G); 0 where both tracks are empty.
    """
    inter = np.zeros((len(detections), len(truths)))
    num_frames = len(detections[0]) if detections else 0
    if areas is None:
        areas = [track_areas(track) for track in detections], [track_areas(track) for track in truths]
    of_detections = np.array(areas[0]).reshape(len(detections), num_frames)
    for t in range(num_frames):
        here = [d for d, track in enumerate(detections) if track[t]]
        there = [g for g, track in enumerate(truths) if track[t]]
        if here and there:
            # Against a "crowd" pycocotools divides by the area of the detection alone: multiplied by it and rounded,
            # that is the exact number of pixels, without decoding a mask.
            share = mask_utils.iou([detections[d][t] for d in here], [truths[g][t] for g in there], [1] * len(there))
            rows = np.array(here)[:, None]
            inter[rows, there] += np.rint(share * of_detections[rows, t])
    detected = of_detections.sum(axis=1, keepdims=True)
    true = np.array([area.sum() for area in areas[1]]).reshape(1, -1)
    union = detected + true - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


class FrameOverlap(NamedTuple):
    """IoU of the masks of one frame.

    Attributes:
        truths (np.ndarray): Indices of the true tracks that are visible, int64, shape (G, ).
        detections (np.ndarray): Indices of the predicted tracks that have a mask, int64, shape (D, ).
        iou (np.ndarray): In [0, 1], shape (G, D).
    """
    truths: np.ndarray
    detections: np.ndarray
    iou: np.ndarray


def frame_overlaps(truths: Sequence[Track], detections: Sequence[Track], frames: Iterable[int]) -> list[FrameOverlap]:
    """IoU of the masks of two sets of tracks, frame by frame. An empty mask is none.

    Args:
        truths (Sequence[list[dict | None]]): True tracks, one RLE or None for each frame of the video.
        detections (Sequence[list[dict | None]]): Predicted tracks, of the same form.
        frames (Iterable[int]): The frames that count.

    Returns:
        list[FrameOverlap]: One for each of ``frames``.
    """
    visible = [np.array([track_areas(track) > 0 for track in tracks]) for tracks in (truths, detections)]
    overlaps = []
    for t in frames:
        there, here = (np.flatnonzero(of_tracks[:, t]) if len(of_tracks) else np.zeros(0, np.int64)
                       for of_tracks in visible)
        iou = np.zeros((len(there), len(here)))
        if iou.size:
            iou = mask_utils.iou([truths[g][t] for g in there], [detections[d][t] for d in here], [0] * len(here))
        overlaps.append(FrameOverlap(there, here, iou))
    return overlaps
