# Copyright (c) The mmvc contributors. All rights reserved.
"""One video of YouTube-VIS or OVIS, in the formats of the benchmarks, reduced to matched tracks."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mmvc.formats.rle import to_rles

from .average_precision import MatchedTracks, match_tracks
from .tracks import mean_area, occlusion_score, track_areas, track_iou

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
    for entry in (*annotations, *detections):
        if len(entry['segmentations']) != num_frames:
            raise ValueError(f'a track of video {entry.get("video_id")} has {len(entry["segmentations"])} masks for '
                             f'{num_frames} frames: give one RLE or null for each frame of the video')
    if labelled is not None and len(labelled) < num_frames:
        annotations = [_cut(annotation, labelled) for annotation in annotations]
        cut = [(detection, _cut(detection, labelled)) for detection in detections]
        detections = [short for whole, short in cut if any(short['segmentations']) or not any(whole['segmentations'])]
    truths_of, detections_of = defaultdict(list), defaultdict(list)
    for annotation in annotations:
        truths_of[annotation['category_id']].append(annotation)
    for detection in detections:
        detections_of[detection['category_id']].append(detection)

    matched = {}
    for category_id in {**truths_of, **detections_of}:
        truths, found = truths_of[category_id], detections_of[category_id]
        truth_tracks = [to_rles(truth['segmentations'], height, width) for truth in truths]
        found_tracks = [to_rles(detection['segmentations'], height, width) for detection in found]
        truth_areas = [mean_area(truth.get('areas') or track_areas(track))
                       for truth, track in zip(truths, truth_tracks)]
        truth_outside = _outside(truth_areas, AREA_RANGES)
        detection_outside = _outside([mean_area(track_areas(track)) for track in found_tracks], AREA_RANGES)
        if with_occlusion:
            occlusion = [occlusion_score(truth.get('occlusion') or ()) for truth in truths]
            truth_outside = np.concatenate([truth_outside, _outside(occlusion, OCCLUSION_RANGES)])
            # how much a detection is occluded is not known, so none is outside
            detection_outside = np.concatenate(
                [detection_outside, np.zeros((len(OCCLUSION_RANGES), len(found)), bool)])
        matched[category_id] = match_tracks(
            scores=np.array([detection['score'] for detection in found], dtype=np.float64),
            iou=track_iou(found_tracks, truth_tracks),
            crowd=np.array([bool(truth.get('iscrowd', 0)) for truth in truths], dtype=bool),
            truth_outside=truth_outside,
            detection_outside=detection_outside)
    return matched


def _cut(track: dict, frames: Sequence[int]) -> dict:
    """A track in some frames of its video."""
    lists = {key: [track[key][t] for t in frames] for key in ('segmentations', 'areas', 'occlusion') if track.get(key)}
    return {**track, **lists}


def _outside(values: Sequence[float], ranges: dict[str, tuple]) -> np.ndarray:
    """Which values lie outside each range, bool, shape (number of ranges, number of values)."""
    array = np.asarray(values, dtype=np.float64)
    return np.stack([(array < low) | (array > high) for low, high in ranges.values()])
