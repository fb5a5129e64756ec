# Copyright (c) The mmvc contributors. All rights reserved.
import json
import math
import os.path as osp
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.fileio import load
from mmengine.logging import print_log

from mmvc.evaluation.functional import (
    SCRIPT_WINDOWS,
    STQ_VARIANTS,
    SegmentationTrackingQuality,
    STQCounts,
    VideoPanopticQuality,
    compare_panoptic,
    isthing_of,
    mean_panoptic_quality,
    vps_classes,
    vps_numbers,
    why_undefined,
)
from mmvc.formats.label_maps import encode_panoptic_map, read_panoptic_map
from mmvc.registry import METRICS
from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import DataError, UsageError

from .utils import (
    frame_name,
    ground_truth_path,
    log_rows,
    meta,
    panoptic_map,
    require_ground_truth,
    to_dense,
    to_sparse,
)
from .video_metric import VideoMetric


@METRICS.register_module()
class VPSMetric(VideoMetric):
    """Video panoptic segmentation: VPQ and STQ, as the official scripts of VIPSeg and deeplab2 compute them.

    Predictions are ``pred_panoptic_seg`` of each frame, segment ids (0 = void) at the size of the ground truth, and
    the metainfo ``segments_info``. The ground truth is read frame by frame from ``seg_map_path``, a colour PNG whose
    segments ``ann_file`` describes. One joint histogram of true and predicted segments per frame serves all numbers.

    Numbers, in percent: ``VPQ``, ``VPQ_thing``, ``VPQ_stuff`` (mean over windows of 1, 2, 4 and 6 frames, as in the
    papers), ``VPQ1`` ... ``VPQ8``, ``VPQ_script`` (the mean that VIPSeg's script prints, over 1, 2, 4, 6 and 8),
    ``STQ``, ``AQ``, ``SQ`` (deeplab2, ids from 1), ``STQ_vipseg_script`` and ``AQ_vipseg_script`` (ids from 0, so that
    a video's first segment, if a thing, is lost). A number that is not defined for the data is left out and the log
    says why.

    Args:
        ann_file (str, optional): JSON of the ground truth in the format of ``panoptic_gt_VIPSeg_val.json``. Needed
            unless ``format_only``.
        output_dir (str, optional): Folder to write ``pan_pred/<video>/<frame>.png`` and ``pred.json`` to. Defaults to
            None.
        format_only (bool): Whether to only write, not to score. Defaults to False.
        backend_args (dict, optional): Where the ground truth lies. Defaults to None (local disk).
        prefix (str, optional): Put before the names of the numbers. Defaults to None: ``vps``.

    Raises:
        FileNotFoundError: If a ground-truth file is missing.
        UsageError: If ``ann_file`` lacks a video, or the predictions are for another task.
        DataError: If ``ann_file`` lacks a frame, a prediction has another size than its ground truth, or a map has an
            id that is not listed.
    """

    default_prefix = 'vps'

    def __init__(self,
                 ann_file: str | None = None,
                 output_dir: str | None = None,
                 format_only: bool = False,
                 backend_args: dict | None = None,
                 prefix: str | None = None) -> None:
        super().__init__(output_dir=output_dir, format_only=format_only, backend_args=backend_args, prefix=prefix)
        if ann_file is None and not format_only:
            raise UsageError('VPSMetric needs ann_file, the JSON of the ground truth; without ground truth set '
                             'format_only=True')
        self.ann_file = ann_file
        if not format_only:
            annotations = load(ann_file, backend_args=backend_args)
            self._class_names = [c['name'] for c in sorted(annotations['categories'], key=lambda c: c['id'])]
            self._isthing = isthing_of(annotations['categories'])
            self._segments = {
                str(video['video_id']):
                {osp.splitext(frame['file_name'])[0]: frame['segments_info'] for frame in video['annotations']}
                for video in annotations['annotations']
            }

    def check_video(self, video: dict) -> None:
        """Raise an error if a video to be scored is not annotated."""
        if not self.format_only:
            self._require_annotated(str(video['video_id']))
            require_ground_truth(video)

    def _require_annotated(self, video_id: str) -> None:
        if video_id not in self._segments:
            raise UsageError(f'video "{video_id}" is not in {self.ann_file}: evaluate with the annotations of this '
                             'split')

    def start_video(self, video_id: str) -> dict[str, Any]:
        """Return empty counts."""
        state: dict[str, Any] = dict(video_id=video_id, frames=[])
        if not self.format_only:
            self._require_annotated(video_id)
            state['vpq'] = VideoPanopticQuality(len(self._isthing))
            state['stq'] = {
                name: SegmentationTrackingQuality(self._isthing, crowd) for name, crowd in STQ_VARIANTS.items()
            }
        return state

    def add_frame(self, state: dict[str, Any], frame: dict) -> None:
        """Write the prediction of a frame, if asked for, and count it against the ground truth."""
        video_id = state['video_id']
        if 'pred_panoptic_seg' not in frame:
            raise UsageError(f'a prediction for video "{video_id}" has no pred_panoptic_seg: does the model do VPS?')
        ids = panoptic_map(frame)
        segments = meta(frame, 'segments_info')
        if self.output_dir is not None:
            name = f'{frame_name(frame)}.png'
            atomic_write(osp.join(self.output_dir, 'pan_pred', video_id, name), encode_panoptic_map(ids), sync=False)
            state['frames'].append(dict(file_name=name, segments_info=_listed(segments, ids)))
        if self.format_only:
            return
        seg_map_path = ground_truth_path(frame)
        name = osp.splitext(osp.basename(seg_map_path))[0]
        if name not in self._segments[video_id]:
            raise DataError(f'{self.ann_file} has no frame "{name}" of video "{video_id}", whose ground truth is '
                            f'"{seg_map_path}": convert the annotations of this split again')
        gt_ids = read_panoptic_map(seg_map_path, self.backend_args)
        try:
            compared = compare_panoptic(gt_ids, ids, self._segments[video_id][name], segments)
        except ValueError as error:
            raise DataError(f'ground truth "{seg_map_path}": {error}') from error
        state['vpq'].update(compared)
        for quality in state['stq'].values():
            quality.update(compared)

    def finish_video(self, state: dict[str, Any]) -> dict:
        """Return the counts of a video, and its entry of ``pred.json`` if that is to be written."""
        entry = dict(frames=state['frames'])
        if not self.format_only:
            tubes = {name: quality.compute() for name, quality in state['stq'].items()}
            entry.update(
                vpq=to_sparse(state['vpq'].counts),
                confusion=to_sparse(tubes[''].confusion),
                tubes={name: (counts.association, counts.num_tubes) for name, counts in tubes.items()})
        return entry

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute, log and return the numbers; write ``pred.json`` if there is an ``output_dir``.

        Args:
            results (list[dict]): One entry per video.

        Returns:
            dict[str, float]: Numbers in percent; none if ``format_only``.
        """
        if self.output_dir is not None and is_main_process():
            videos = [dict(video_id=entry['video_id'], annotations=entry['frames']) for entry in results]
            content = json.dumps(dict(annotations=videos)).encode()
            atomic_write(osp.join(self.output_dir, 'pred.json'), content, sync=False)
            print_log(f'VPSMetric: predictions of {len(results)} videos are in {self.output_dir}', logger='current')
        if self.format_only:
            return {}
        shape = (len(SCRIPT_WINDOWS), len(self._isthing), 4)
        counts = sum((to_dense(entry['vpq']) for entry in results), np.zeros(shape))
        tubes = {suffix: stq_counts(results, suffix) for suffix in STQ_VARIANTS}
        numbers = vps_numbers(counts, tubes, self._isthing)
        self._log(counts, numbers, [entry['num_frames'] for entry in results])
        return {name: 100 * value for name, value in numbers.items() if not math.isnan(value)}

    def _log(self, counts: np.ndarray, numbers: dict[str, float], num_frames: list[int]) -> None:
        """Log the tables per class and per window size, the summary, and which numbers are missing."""
        log_rows(f'VPSMetric: {len(num_frames)} videos, {sum(num_frames)} frames; PQ of the classes that occur',
                 vps_classes(counts, self._isthing, self._class_names))
        per_k = {k: mean_panoptic_quality(of_k, self._isthing) for k, of_k in zip(SCRIPT_WINDOWS, counts)}
        log_rows('VPSMetric: mean over classes', [
            {'': f'{name} {key.upper()}', **{f'k={k}': means[name][key] for k, means in per_k.items()}}
            for name in ('All', 'Things', 'Stuff') for key in ('pq', 'sq', 'rq')])
        log_rows('VPSMetric: summary', [{'': name, '%': value} for name, value in numbers.items()])
        for line in why_undefined(numbers, num_frames):
            print_log(line, logger='current')


def stq_counts(entries: Iterable[dict], suffix: str) -> Iterator[STQCounts]:
    """Counts of each video for :func:`vps_numbers`, one confusion matrix in memory at a time.

    Args:
        entries (Iterable[dict]): ``confusion`` (sparse) and ``tubes`` of each video.
        suffix (str): Key of ``STQ_VARIANTS``.
    """
    return (STQCounts(to_dense(entry['confusion']), *entry['tubes'][suffix]) for entry in entries)


def _listed(segments: list[dict], ids: np.ndarray) -> list[dict]:
    """Entries of ``pred.json`` for the segments that the official script accepts: those with pixels in the frame."""
    areas = dict(zip(*(values.tolist() for values in np.unique(ids, return_counts=True))))
    return [dict(id=int(s['id']), category_id=int(s['category_id']), iscrowd=0, area=areas[s['id']])
            for s in segments if s['id'] in areas]
