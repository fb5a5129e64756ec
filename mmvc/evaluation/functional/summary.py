# Copyright (c) The mmvc contributors. All rights reserved.
"""Turn the counts of all videos into the named numbers of a benchmark, and its table per class."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from .average_precision import MatchedTracks, category_scores, track_scores
from .semantic import majority_class_baseline, per_class_iou, semantic_scores, video_miou
from .stq import STQCounts, stq
from .video_consistency import Windows, mean_consistency, pooled_vc16
from .vpq import FN, FP, PAPER_WINDOWS, SCRIPT_WINDOWS, TP, mean_panoptic_quality, panoptic_quality, vpq

# STQ's two numberings of the true segments, see SegmentationTrackingQuality
STQ_VARIANTS = {'': 'none', '_vipseg_script': 'first_segment'}


def vss_numbers(confusions: Iterable[np.ndarray], windows: Windows) -> tuple[dict[str, float], np.ndarray]:
    """The numbers of VSPW.

    Args:
        confusions (Iterable[np.ndarray]): :attr:`ConfusionMatrix.counts` of each video, (K, K + 1); at least one. They
            are not kept: of an iterator, one is in memory at a time.
        windows (dict[int, list[tuple[int, int]]]): Pairs ``(|C|, |C and P|)`` of all videos, by window size.

    Returns:
        tuple: ``mIoU``, ``VC<n>``, ``aAcc``, ``mAcc``, ``fwIoU``, ``video_mIoU``, ``mIoU_trivial`` and, with windows
        of 8 and 16, ``VC16_pooled``, fractions, NaN where not defined; and the sum of the matrices.
    """
    confusions = iter(confusions)
    first = next(confusions)
    counts = first.copy()

    def added() -> Iterator[np.ndarray]:
        yield first
        for confusion in confusions:
            np.add(counts, confusion, out=counts)
            yield confusion

    of_videos = video_miou(added())
    scores = semantic_scores(counts)
    numbers = dict(mIoU=scores.pop('mIoU'))
    numbers.update({f'VC{n}': mean_consistency(pairs) for n, pairs in windows.items()})
    numbers.update(scores, video_mIoU=of_videos, mIoU_trivial=majority_class_baseline(counts)['mIoU'])
    if {8, 16} <= set(windows):
        numbers['VC16_pooled'] = pooled_vc16(windows[8], windows[16])
    return numbers, counts


def vss_classes(counts: np.ndarray, names: Sequence[str]) -> list[dict]:
    """One row per class of the ground truth.

    Args:
        counts (np.ndarray): Sum of the confusion matrices, (K, K + 1).
        names (Sequence[str]): The K names.

    Returns:
        list[dict]: ``class``, ``IoU``, ``Acc`` and ``share`` of the labelled pixels; fractions.
    """
    iou, in_gt = per_class_iou(counts), counts.sum(axis=1)
    return [{'class': names[c], 'IoU': float(iou[c]), 'Acc': float(counts[c, c] / in_gt[c]),
             'share': float(in_gt[c] / in_gt.sum())} for c in np.flatnonzero(in_gt)]


def vps_numbers(counts: np.ndarray, tubes: Mapping[str, Iterable[STQCounts]],
                isthing: Sequence[bool]) -> dict[str, float]:
    """The numbers of VIPSeg.

    Args:
        counts (np.ndarray): Sum of :attr:`VideoPanopticQuality.counts` over videos, (5, K, 4), for SCRIPT_WINDOWS.
        tubes (Mapping[str, Iterable[STQCounts]]): Counts of each video, by the keys of ``STQ_VARIANTS``.
        isthing (Sequence[bool]): Which classes are things, length K.

    Returns:
        dict: ``VPQ`` (windows of the paper), ``VPQ_script`` (windows of VIPSeg's script), both also ``_thing`` and
        ``_stuff``, ``VPQ<k>``, ``STQ``, ``AQ``, ``SQ``, ``STQ_vipseg_script``, ``AQ_vipseg_script``; fractions, NaN
        where not defined.
    """
    numbers = {}
    for suffix, average_over in (('', PAPER_WINDOWS), ('_script', SCRIPT_WINDOWS)):
        means = vpq(counts, SCRIPT_WINDOWS, isthing, average_over)
        numbers.update({f'VPQ{suffix}{group}': means[name]
                        for group, name in {'': 'All', '_thing': 'Things', '_stuff': 'Stuff'}.items()})
    numbers.update({f'VPQ{k}': mean_panoptic_quality(of_k, isthing)['All']['pq']
                    for k, of_k in zip(SCRIPT_WINDOWS, counts)})
    for suffix, videos in tubes.items():
        scores = stq(videos)
        if suffix:
            del scores['SQ']  # the same in both
        numbers.update({f'{name}{suffix}': value for name, value in scores.items()})
    return numbers


def vps_classes(counts: np.ndarray, isthing: Sequence[bool], names: Sequence[str]) -> list[dict]:
    """One row per class that ground truth or prediction has.

    Args:
        counts (np.ndarray): As for :func:`vps_numbers`.
        isthing (Sequence[bool]): Which classes are things, length K.
        names (Sequence[str]): The K names.

    Returns:
        list[dict]: ``class``, ``kind``, PQ per window size as ``k=<k>`` (fractions, NaN where not defined) and
        ``TP``, ``FP``, ``FN`` of single frames.
    """
    quality = [panoptic_quality(of_k)['pq'] for of_k in counts]
    frames = counts[SCRIPT_WINDOWS.index(1)].astype(int)
    return [{'class': names[c], 'kind': 'thing' if isthing[c] else 'stuff',
             **{f'k={k}': float(pq[c]) for k, pq in zip(SCRIPT_WINDOWS, quality)},
             **dict(zip(('TP', 'FP', 'FN'), frames[c, [TP, FP, FN]].tolist()))}
            for c in np.flatnonzero(counts.any(axis=(0, 2)))]


def tracks_by_category(videos: Iterable[Mapping[int, MatchedTracks]],
                       category_ids: Iterable[int]) -> dict[int, list[MatchedTracks]]:
    """Matched tracks of each category, in the order of the videos.

    Args:
        videos (Iterable[Mapping[int, MatchedTracks]]): Result of :func:`match_video` for each video.
        category_ids (Iterable[int]): The categories.
    """
    videos = list(videos)
    return {category_id: [video[category_id] for video in videos if category_id in video]
            for category_id in category_ids}


def vis_numbers(videos: Mapping[int | str, Mapping[int, MatchedTracks]], category_ids: Collection[int],
                ranges: Sequence[str], subsets: Mapping[str, Collection[int | str]] | None = None) -> dict[str, float]:
    """The numbers of YouTube-VIS and OVIS, of all videos and of subsets of them.

    Args:
        videos (Mapping[int | str, Mapping[int, MatchedTracks]]): Result of :func:`match_video` for each video, by id,
            in the order of the videos.
        category_ids (Collection[int]): The categories.
        ranges (Sequence[str]): Names of the ranges, see :func:`range_names`.
        subsets (Mapping[str, Collection[int | str]], optional): Ids of the videos of each subset, by its name. Ids
            without a video are ignored. Defaults to None.

    Returns:
        dict[str, float]: The table of :func:`track_scores`; of each subset ``AP_<subset>``, ``AP50_<subset>``,
        ``AP75_<subset>`` and ``AR<n>_<subset>``, as if there were no other videos; and ``AP_mean``, the mean of the
        ``AP_<subset>``. Fractions, NaN where not defined.
    """
    numbers = track_scores(tracks_by_category(videos.values(), category_ids), ranges)
    for subset, ids in (subsets or {}).items():
        inside = [video for video_id, video in videos.items() if video_id in ids]
        scores = track_scores(tracks_by_category(inside, category_ids))
        numbers.update({f'{name}_{subset}': value for name, value in scores.items()})
    if subsets:
        numbers['AP_mean'] = float(np.mean([numbers[f'AP_{subset}'] for subset in subsets]))
    return numbers


def vis_classes(categories: Mapping[int, Sequence[MatchedTracks]], names: dict[int, str]) -> list[dict]:
    """One row per category that has a true track.

    Args:
        categories (Mapping[int, Sequence[MatchedTracks]]): As for :func:`track_scores`.
        names (dict[int, str]): Name of each category id.

    Returns:
        list[dict]: ``class``, ``tracks`` (true ones) and ``AP``, ``AP50``, ``AP75``, ``AR1``, ``AR10``; fractions.
    """
    rows = []
    for category_id, videos in categories.items():
        num_truths = sum(int(video.num_truths[0]) for video in videos)
        if num_truths:
            scores = category_scores(videos)
            precision = scores.precision
            rows.append({'class': names[category_id], 'tracks': num_truths, 'AP': float(precision.mean()),
                         'AP50': float(precision[0]), 'AP75': float(precision[5]),
                         **{f'AR{n}': float(scores.recall[n].mean()) for n in (1, 10)}})
    return rows


def why_undefined(numbers: dict[str, float], num_frames: Sequence[int]) -> list[str]:
    """Say why numbers are not defined for the data.

    Args:
        numbers (dict[str, float]): Numbers of one benchmark, NaN where not defined.
        num_frames (Sequence[int]): Length of each video.

    Returns:
        list[str]: One sentence for each reason.
    """
    longest = max(num_frames, default=0)
    missing = [name for name, value in numbers.items() if math.isnan(value)]
    groups = {
        f'a video of more than n frames (the longest has {longest}), n of them labelled in a row, with pixels whose '
        'ground truth stays the same for n frames': [name for name in missing if name.startswith('VC')],
        'a labelled pixel (are label_offset and the classes right?)':
            [name for name in missing if name in ('aAcc', 'fwIoU', 'mAcc') or 'mIoU' in name],
        f'for every window size k a video of at least k labelled frames (the longest has {longest} frames) with '
        'segments of the kind':
            [name for name in missing if name.startswith('VPQ')],
        'a true thing': [name for name in missing if name.startswith(('STQ', 'AQ'))],
        'a labelled segment': [name for name in missing if name == 'SQ'],
        'a true track, of that size, occlusion or subset': [name for name in missing if name.startswith(('AP', 'AR'))],
    }
    return [f'{", ".join(names)}: not defined here, needs {reason}' for reason, names in groups.items() if names]
