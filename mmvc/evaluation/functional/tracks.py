# Copyright (c) The mmvc contributors. All rights reserved.
"""Instance tracks: run-length masks per frame, their areas and the IoU between tracks."""

from collections.abc import Iterable, Sequence

import numpy as np
from pycocotools import mask as mask_utils

from mmvc.formats.youtube_vis import OCCLUSION_LEVELS

RLE = dict
Track = list[RLE | None]


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


def track_iou(detections: Sequence[Track], truths: Sequence[Track]) -> np.ndarray:
    """IoU of tracks: intersections and unions are summed over the frames of the video before dividing.

    Args:
        detections (Sequence[list[dict | None]]): D tracks, one RLE or None for each of the T frames.
        truths (Sequence[list[dict | None]]): G tracks, of the same form.

    Returns:
        np.ndarray: In [0, 1], shape (D, G); 0 where both tracks are empty.
    """
    inter = np.zeros((len(detections), len(truths)))
    num_frames = len(detections[0]) if detections else 0
    areas = np.array([track_areas(track) for track in detections]).reshape(len(detections), num_frames)
    for t in range(num_frames):
        here = [d for d, track in enumerate(detections) if track[t]]
        there = [g for g, track in enumerate(truths) if track[t]]
        if here and there:
            # Against a "crowd" pycocotools divides by the area of the detection alone: multiplied by it and rounded,
            # that is the exact number of pixels, without decoding a mask.
            share = mask_utils.iou([detections[d][t] for d in here], [truths[g][t] for g in there], [1] * len(there))
            rows = np.array(here)[:, None]
            inter[rows, there] += np.rint(share * areas[rows, t])
    detected = areas.sum(axis=1, keepdims=True)
    true = np.array([track_areas(track).sum() for track in truths]).reshape(1, -1)
    union = detected + true - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
