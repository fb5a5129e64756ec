# Copyright (c) The mmvc contributors. All rights reserved.
"""One video of YouTube-VIS or OVIS, in the formats of the benchmarks, reduced to matched tracks."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .average_precision import MatchedTracks, match_tracks
from .tracks import Track, mean_area, occlusion_score, require_masks, to_tracks, track_areas, track_iou

# pixels, both ends belong to the range
AREA_RANGES = dict(all=(0, 1e10), s=(0, 128**2), m=(128**2, 256**2), l=(256**2, 1e10))
# slightly, moderately, heavily occluded; both ends belong to the range
OCCLUSION_RANGES = dict(so=(0, 0.25), mo=(0.25, 0.5), ho=(0.5, 1))


def range_names(with_occlusion: bool) -> list[str]:
    """Names of the ranges of :func:`match_video`, in order."""
    return [*AREA_RANGES, *(OCCLUSION_RANGES if with_occlusion else ())]


def match_video(annotations: Sequence[dict],
                detections: Sequence[dict],
                height: int,
                width: int,
                num_frames: int,
                with_occlusion: bool = False,
                labelled: Sequence[int] | None = None) -> dict[int, MatchedTracks]:
    """Match the detections of one video with its true tracks, category by category.

    With sparse labels, tracks are cut to the labelled frames. A detection that is only in others is not counted: it is
    neither right nor wrong.

    Args:
        annotations (Sequence[dict]): ``annotations`` of this video: ``category_id``, ``segmentations`` and,
            optionally, ``iscrowd``, ``areas`` (if absent, counted from the masks) and ``occlusion``.
        detections (Sequence[dict]): Predicted tracks of this video: ``category_id``, ``score``,
            ``segmentations``.
        height (int): Height of the frames, in pixels.
        width (int): Width of the frames, in pixels.
        num_frames (int): Number of frames T.
        with_occlusion (bool): Whether to match also by occlusion (OVIS). Defaults to False.
        labelled (Sequence[int], optional): Indices of the labelled frames. Defaults to None: all.

    Returns:
        dict[int, MatchedTracks]: By category id, for the categories that occur; ranges as :func:`range_names`.

    Raises:
        ValueError: If a track has not one mask (or null) for each frame, or a mask has another size.
    """
    require_masks((*annotations, *detections), num_frames)
    if labelled is not None and len(labelled) < num_frames:
        annotations = [_cut(annotation, labelled) for annotation in annotations]
        cut = [(detection, _cut(detection, labelled)) for detection in detections]
        detections = [short for whole, short in cut if any(short['segmentations']) or not any(whole['segmentations'])]
        num_frames = len(labelled)
    tracks = to_tracks([*annotations, *detections], height, width, num_frames)
    truths_of, detections_of = defaultdict(list), defaultdict(list)
    for annotation, track in zip(annotations, tracks):
        truths_of[annotation['category_id']].append(_Measured(annotation, track, track_areas(track)))
    for detection, track in zip(detections, tracks[len(annotations):]):
        detections_of[detection['category_id']].append(_Measured(detection, track, track_areas(track)))

    matched = {}
    for category_id in {**truths_of, **detections_of}:
        truths, found = truths_of[category_id], detections_of[category_id]
        truth_outside = _outside([mean_area(truth.entry.get('areas') or truth.areas) for truth in truths], AREA_RANGES)
        detection_outside = _outside([mean_area(detection.areas) for detection in found], AREA_RANGES)
        if with_occlusion:
            occlusion = [occlusion_score(truth.entry.get('occlusion') or ()) for truth in truths]
            truth_outside = np.concatenate([truth_outside, _outside(occlusion, OCCLUSION_RANGES)])
            # how much a detection is occluded is not known, so none is outside
            detection_outside = np.concatenate(
                [detection_outside, np.zeros((len(OCCLUSION_RANGES), len(found)), bool)])
        matched[category_id] = match_tracks(
            scores=np.array([detection.entry['score'] for detection in found], dtype=np.float64),
            iou=track_iou([track.masks for track in found], [track.masks for track in truths],
                          ([track.areas for track in found], [track.areas for track in truths])),
            crowd=np.array([bool(truth.entry.get('iscrowd', 0)) for truth in truths], dtype=bool),
            truth_outside=truth_outside,
            detection_outside=detection_outside)
    return matched


class _Measured(NamedTuple):
    """An annotation or detection, its masks and their areas."""
    entry: dict
    masks: Track
    areas: np.ndarray


def _cut(track: dict, frames: Sequence[int]) -> dict:
    """A track in some frames of its video."""
    lists = {key: [track[key][t] for t in frames] for key in ('segmentations', 'areas', 'occlusion') if track.get(key)}
    return {**track, **lists}


def _outside(values: Sequence[float], ranges: dict[str, tuple]) -> np.ndarray:
    """Which values lie outside each range, bool, shape (number of ranges, number of values)."""
    array = np.asarray(values, dtype=np.float64)
    return np.stack([(array < low) | (array > high) for low, high in ranges.values()])
