# Copyright (c) The mmvc contributors. All rights reserved.
"""Overlaps of true and predicted segments, frame by frame: VPQ and STQ are computed from them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmvc.formats.label_maps import VOID_ID


class SegmentClass(NamedTuple):
    """Class of a segment and whether its annotation is a crowd."""
    category_id: int
    iscrowd: bool = False


class PanopticPair(NamedTuple):
    """One frame, reduced to counts.

    Attributes:
        overlaps (dict): Number of pixels of each pair (true id, predicted id) that occurs; id 0 is void.
        gt (dict): True segments that have pixels, by id, in the order of the annotation.
        pred (dict): Predicted segments that have pixels, by id.
    """
    overlaps: dict[tuple[int, int], int]
    gt: dict[int, SegmentClass]
    pred: dict[int, SegmentClass]


def compare_panoptic(gt_map: np.ndarray, pred_map: np.ndarray, gt_segments: Sequence[dict],
                     pred_segments: Sequence[dict]) -> PanopticPair:
    """Reduce one frame to the overlaps of its segments.

    Args:
        gt_map (np.ndarray): True segment ids in [0, 2^24), 0 = void, integer, shape (H, W).
        pred_map (np.ndarray): Predicted segment ids, of the same form.
        gt_segments (Sequence[dict]): ``id``, ``category_id`` and optionally ``iscrowd`` of each true segment.
        pred_segments (Sequence[dict]): ``id`` and ``category_id`` of each predicted segment.

    Returns:
        PanopticPair: It has no segments without a pixel in this frame.

    Raises:
        ValueError: If the shapes differ, an id is listed twice, or a map has an id that is not listed.
    """
    if gt_map.shape != pred_map.shape:
        raise ValueError(f'prediction of size {pred_map.shape} for a ground truth of size {gt_map.shape}: resize the '
                         'prediction to the size of the ground truth')
    overlaps = _count_pairs(gt_map.reshape(-1), pred_map.reshape(-1))
    gt = _present_segments(gt_segments, {pair[0] for pair in overlaps}, 'ground truth')
    pred = _present_segments(pred_segments, {pair[1] for pair in overlaps}, 'prediction')
    return PanopticPair(overlaps, gt, pred)


def _count_pairs(gt_ids: np.ndarray, pred_ids: np.ndarray) -> dict[tuple[int, int], int]:
    """Count pairs of ids by runs of equal pairs: label maps have few runs, so only those are sorted."""
    if not gt_ids.size:
        return {}
    changes = gt_ids[1:] != gt_ids[:-1]
    changes |= pred_ids[1:] != pred_ids[:-1]
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    keys = gt_ids[starts].astype(np.int64) << 32 | pred_ids[starts].astype(np.int64)
    pairs = np.unique(keys)
    # faster than unique(return_inverse=True), which sorts indices
    pixels = np.bincount(np.searchsorted(pairs, keys), weights=np.diff(starts, append=gt_ids.size))
    return {(int(pair >> 32), int(pair & 0xffffffff)): int(count) for pair, count in zip(pairs, pixels)}


def _present_segments(segments: Sequence[dict], ids: set, name: str) -> dict[int, SegmentClass]:
    table = {int(info['id']): SegmentClass(int(info['category_id']), bool(info.get('iscrowd', 0)))
             for info in segments}
    if len(table) != len(segments):
        raise ValueError(f'segments_info of the {name} lists an id twice: {sorted(int(s["id"]) for s in segments)}')
    strangers = ids - set(table) - {VOID_ID}
    if strangers:
        raise ValueError(f'the {name} has pixels of segment {", ".join(map(str, sorted(strangers)))}, which its '
                         'segments_info does not list: list every segment of the frame, with its category_id')
    return {segment_id: segment for segment_id, segment in table.items() if segment_id in ids}
