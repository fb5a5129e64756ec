# Copyright (c) The mmvc contributors. All rights reserved.
"""Region similarity J and boundary accuracy F of DAVIS (Perazzi et al., CVPR 2016; Caelles et al., 2019)."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from pycocotools import mask as mask_utils
from scipy.optimize import linear_sum_assignment

from .tracks import RLE, FrameOverlap, Track, frame_overlaps

TOLERANCE = 0.008  # of the diagonal of a frame
STATISTICS = ('J', 'J_recall', 'J_decay', 'F', 'F_recall', 'F_decay')
JF_NUMBERS = ('JF', *STATISTICS)


def boundary_map(mask: np.ndarray) -> np.ndarray:
    """Mark the pixels whose right, lower or lower right neighbour is on the other side of the mask's boundary.

    Args:
        mask (np.ndarray): Bool, shape (H, W).

    Returns:
        np.ndarray: Bool, shape (H, W).
    """
    below, right = np.pad(mask, ((0, 1), (0, 0)), 'edge')[1:], np.pad(mask, ((0, 0), (0, 1)), 'edge')[:, 1:]
    diagonal = np.pad(mask, ((0, 1), (0, 1)), 'edge')[1:, 1:]
    return (mask ^ below) | (mask ^ right) | (mask ^ diagonal)


def boundary_accuracy(truths: Sequence[RLE], detections: Sequence[RLE]) -> np.ndarray:
    """F of each pair of masks of a frame: harmonic mean of the precision and recall of boundary pixels.

    A pixel of one boundary is right if the other boundary is within 0.8 % of the frame's diagonal, rounded up.

    Args:
        truths (Sequence[dict]): G masks, RLE of one size.
        detections (Sequence[dict]): D masks, of the same size.

    Returns:
        np.ndarray: In [0, 1], shape (G, D).
    """
    precision, recall = np.zeros((len(truths), len(detections))), np.zeros((len(truths), len(detections)))
    true, found = _Boundaries(truths), _Boundaries(detections)
    for d, pixels in enumerate(found.pixels):
        precision[:, d] = _share(true.near[:, pixels])
    for g, pixels in enumerate(true.pixels):
        recall[g] = _share(found.near[:, pixels])
    for g, d in np.ndindex(precision.shape):  # a mask of the whole frame has no boundary
        if not (len(true.pixels[g]) and len(found.pixels[d])):
            precision[g, d] = recall[g, d] = len(true.pixels[g]) == len(found.pixels[d])
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)


class _Boundaries:
    """Boundaries of masks of one frame: their pixels (flat indices), and what is near them, bool (N, H * W)."""

    def __init__(self, masks: Sequence[RLE]) -> None:
        height, width = masks[0]['size']
        radius = int(np.ceil(TOLERANCE * np.hypot(height, width)))
        self.pixels: list[np.ndarray] = []
        self.near = np.zeros((len(masks), height * width), bool)
        boxes = mask_utils.toBbox(list(masks))
        for mask, near, box in zip(masks, self.near.reshape(-1, height, width), boxes):
            x0, y0 = np.maximum(box[:2].astype(int) - radius - 1, 0)
            x1, y1 = (box[:2] + box[2:]).astype(int) + radius + 1
            window = slice(y0, y1), slice(x0, x1)  # nothing outside of it is near
            boundary = boundary_map(mask_utils.decode([mask])[..., 0][window].astype(bool))
            rows, columns = np.nonzero(boundary)
            self.pixels.append((rows + y0) * width + columns + x0)
            if len(rows):
                distance = cv2.distanceTransform((~boundary).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
                near[window] = distance <= radius


def _share(near: np.ndarray) -> np.ndarray | float:
    return near.mean(axis=1) if near.shape[1] else 0.0


def track_statistics(truths: Sequence[Track], detections: Sequence[Track], frames: Sequence[int],
                     overlaps: Sequence[FrameOverlap]) -> np.ndarray:
    """Assign a predicted track to each true one, and compute its J and F, as DAVIS does without given identities.

    Where both masks are absent, J and F are 1; where one is, they are 0. The assignment is one to one and maximises
    the sum of J + F. Predicted tracks that are left over do not count. True tracks that are left over get a track
    without masks.

    Args:
        truths (Sequence[list[dict | None]]): G true tracks, one RLE or None for each frame of the video.
        detections (Sequence[list[dict | None]]): D predicted tracks, of the same form.
        frames (Sequence[int]): The T frames that count.
        overlaps (Sequence[FrameOverlap]): Their IoU, see :func:`frame_overlaps`.

    Returns:
        np.ndarray: The six ``STATISTICS`` of each true track, shape (G, 6).
    """
    region, contour = _qualities(truths, detections, frames, overlaps)
    rows, columns = linear_sum_assignment((region + contour).mean(axis=2), maximize=True)
    return _rows(region[rows, columns], contour[rows, columns])


def object_statistics(truths: Sequence[Track], detections: Sequence[Track], frames: Sequence[int]) -> np.ndarray:
    """Compute J and F of objects whose identities are given, as in the semi-supervised task of DAVIS.

    Args:
        truths (Sequence[list[dict | None]]): G true tracks, one RLE or None for each frame of the video.
        detections (Sequence[list[dict | None]]): The predicted track of each, of the same form.
        frames (Sequence[int]): The frames that count. DAVIS leaves out the first one, whose masks are given, and the
            last one.

    Returns:
        np.ndarray: The six ``STATISTICS`` of each object, shape (G, 6).

    Raises:
        ValueError: The numbers of tracks differ.
    """
    if len(truths) != len(detections):
        raise ValueError(f'{len(detections)} predicted tracks for {len(truths)} objects: give one for each object, '
                         'with None in frames without a mask')
    pairs = [_qualities([truth], [found], frames, frame_overlaps([truth], [found], frames))
             for truth, found in zip(truths, detections)]
    region, contour = (np.array([pair[kind][0, 0] for pair in pairs]).reshape(len(truths), len(frames))
                       for kind in (0, 1))
    return _rows(region, contour)


def _qualities(truths: Sequence[Track], detections: Sequence[Track], frames: Sequence[int],
               overlaps: Sequence[FrameOverlap]) -> tuple[np.ndarray, np.ndarray]:
    """J and F of each true track with each predicted one, which are at least as many, shape (G, D, T)."""
    shape = (len(truths), max(len(truths), len(detections)), len(frames))
    region, contour = np.ones(shape), np.ones(shape)
    for index, (t, overlap) in enumerate(zip(frames, overlaps)):
        there, here, iou = overlap
        for values in (region, contour):
            values[there, :, index] = 0
            values[:, here, index] = 0
        if iou.size:
            pairs = np.ix_(there, here)
            region[..., index][pairs] = iou
            contour[..., index][pairs] = boundary_accuracy(*(
                [rle for rle in (tracks[i][t] for i in visible) if rle]
                for tracks, visible in ((truths, there), (detections, here))))
    return region, contour


def _rows(region: np.ndarray, contour: np.ndarray) -> np.ndarray:
    """The statistics of each object from its J and F in each frame, (G, T)."""
    rows = [[*_statistics(of_region), *_statistics(of_contour)] for of_region, of_contour in zip(region, contour)]
    return np.array(rows).reshape(len(region), len(STATISTICS))


def _statistics(values: np.ndarray) -> tuple[float, float, float]:
    """Mean, share above 0.5, and how much less the last quarter has than the first (they include both their ends)."""
    ends = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(int) - 1
    first, last = values[:ends[1] + 1], values[ends[3]:]
    return float(values.mean()), float((values > 0.5).mean()), float(first.mean() - last.mean())


def jf_scores(statistics: Iterable[np.ndarray]) -> dict[str, float]:
    """Scores: means over all objects of all videos.

    Args:
        statistics (Iterable[np.ndarray]): Results of :func:`track_statistics`, (G, 6) each.

    Returns:
        dict[str, float]: ``JF`` (the mean of J and F, written J&F in papers) and the ``STATISTICS``; fractions, NaN
        without a true track. A decay may be negative.
    """
    rows = np.concatenate([np.zeros((0, len(STATISTICS))), *statistics])
    means = rows.mean(axis=0).tolist() if len(rows) else [float('nan')] * len(STATISTICS)
    scores = dict(zip(STATISTICS, means))
    return dict(JF=(scores['J'] + scores['F']) / 2, **scores)
