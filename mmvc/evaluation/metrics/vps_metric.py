# Copyright (c) The mmvc contributors. All rights reserved.
import math
import os.path as osp
from dataclasses import dataclass

import numpy as np
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmvc.evaluation.functional import (
    SCRIPT_WINDOWS,
    VPSCounter,
    VPSCounts,
    compare_panoptic,
    mean_panoptic_quality,
    vps_classes,
    vps_summary,
    why_undefined,
)
from mmvc.evaluation.tables import log_rows
from mmvc.formats.label_maps import read_panoptic_map
from mmvc.formats.vipseg import read_annotations, require_listed
from mmvc.formats.vipseg_results import PredictionWriter, predicted_masks, write_predicted_segments
from mmvc.registry import METRICS
from mmvc.utils.errors import DataError, UsageError

from .frames import frame_name, ground_truth_path, is_labelled, meta, panoptic_map, require_ground_truth
from .video_metric import VideoEntry, VideoMetric, write_file


@dataclass
class _Video:
    """State of a video whose frames are being added: its counter and its writer, if they are needed."""
    video_id: str
    counter: VPSCounter | None
    writer: PredictionWriter | None


@dataclass(frozen=True)
class _FinishedVideo:
    """Counts of a video, and its entry of the JSON of predictions."""
    counts: VPSCounts | None
    entry: dict | None


@METRICS.register_module()
class VPSMetric(VideoMetric):
    """Video panoptic segmentation: VPQ and STQ, as the official scripts of VIPSeg and deeplab2 compute them.

    Predictions are ``pred_panoptic_seg`` of each frame, segment ids (0 = void) at the size of the ground truth, and
    the metainfo ``segments_info``. The ground truth is read frame by frame from ``seg_map_path``, a colour PNG whose
    segments ``ann_file`` describes. Frames that come with ``labelled=False`` (sparse labels) are not scored: the
    windows and tubes are those of the labelled frames. One joint histogram of true and predicted segments per frame
    serves all numbers.

    Numbers, in percent: ``VPQ``, ``VPQ_thing``, ``VPQ_stuff`` (mean over windows of 1, 2, 4 and 6 frames, as in the
    papers), ``VPQ1`` ... ``VPQ8``, ``VPQ_script`` (the mean that VIPSeg's script prints, over 1, 2, 4, 6 and 8),
    ``STQ``, ``AQ``, ``SQ`` (deeplab2, ids from 1), ``STQ_vipseg_script`` and ``AQ_vipseg_script`` (ids from 0, so that
    a video's first segment, if a thing, is lost). A number that is not defined for the data is left out and the log
    says why.

    Args:
        ann_file (str, optional): JSON of the ground truth in the format of ``panoptic_gt_VIPSeg_val.json``. Needed
            unless ``format_only``.
        output_dir (str, optional): Folder to write masks and their segments to, as VIPSeg's script takes them.
            Defaults to None.
        format_only (bool): Whether to only write, not to score. Defaults to False.
        backend_args (dict, optional): Where the ground truth lies. Defaults to None (local disk).
        prefix (str, optional): Put before the names of the numbers. Defaults to None: ``vps``.

    Raises:
        FileNotFoundError: If a ground-truth file is missing.
        UsageError: If ``ann_file`` lacks a video, or the predictions are for another task.
        DataError: If ``ann_file`` is damaged, contradicts itself or lacks a frame, a prediction has another size than
            its ground truth, or a map has an id that is not listed.
    """

    default_prefix = 'vps'

    def __init__(self,
                 ann_file: str | None = None,
                 output_dir: str | None = None,
                 format_only: bool = False,
                 backend_args: dict | None = None,
                 prefix: str | None = None) -> None:
        super().__init__(output_dir=output_dir, format_only=format_only, backend_args=backend_args, prefix=prefix)
        self.ann_file = ann_file
        if not format_only:
            if ann_file is None:
                raise UsageError('VPSMetric needs ann_file, the JSON of the ground truth; without ground truth set '
                                 'format_only=True')
            truth = read_annotations(ann_file, list_videos=False, backend_args=backend_args)
            self._class_names, self._isthing, self._segments = truth.class_names, truth.isthing, truth.segments

    def check_video(self, video: dict) -> None:
        """Raise an error if a video to be scored, or a frame of it, is not annotated or has no mask."""
        if self.format_only:
            return
        assert self.ann_file is not None  # it is needed to score
        classes = list((self.dataset_meta or {}).get('classes', self._class_names))
        if classes != self._class_names:
            raise UsageError(f'the classes of the dataset are not the categories of {self.ann_file}, by id: they '
                             f'differ in {sorted(set(classes) ^ set(self._class_names)) or "their order"}. Evaluate '
                             'with the annotations of the dataset')
        video_id = str(video['video_id'])
        self._require_annotated(video_id)
        require_ground_truth(video)
        masks = [frame['seg_map_path'] for frame in video.get('images', [video]) if is_labelled(frame)]
        for path in masks:
            self._segments_of(video_id, path)
        for folder in {osp.dirname(path) for path in masks}:
            require_listed(video_id, folder, self._segments[video_id], self.ann_file)

    def _segments_of(self, video_id: str, seg_map_path: str) -> list[dict]:
        """Segments of a frame's ground truth."""
        name = osp.splitext(osp.basename(seg_map_path))[0]
        if name not in self._segments[video_id]:
            raise DataError(f'{self.ann_file} has no frame "{name}" of video "{video_id}", whose ground truth is '
                            f'"{seg_map_path}": convert the annotations of this split again')
        return self._segments[video_id][name]

    def _require_annotated(self, video_id: str) -> None:
        if video_id not in self._segments:
            raise UsageError(f'video "{video_id}" is not in {self.ann_file}: evaluate with the annotations of this '
                             'split')

    def start_video(self, video_id: str) -> _Video:
        """Return empty counts."""
        counter = writer = None
        if not self.format_only:
            self._require_annotated(video_id)
            counter = VPSCounter(self._isthing)
        if self.output_dir is not None:
            writer = PredictionWriter(predicted_masks(self.output_dir, video_id), video_id, write_file)
        return _Video(video_id, counter, writer)

    def add_frame(self, state: _Video, frame: dict) -> None:
        """Write the prediction of a frame, if asked for, and count it against the ground truth."""
        video_id = state.video_id
        if 'pred_panoptic_seg' not in frame:
            raise UsageError(f'a prediction for video "{video_id}" has no pred_panoptic_seg: does the model do VPS?')
        ids = panoptic_map(frame)
        segments = meta(frame, 'segments_info')
        if state.writer is not None:
            state.writer.add(frame_name(frame), ids, segments)
        if state.counter is None or not is_labelled(frame):
            return
        seg_map_path = ground_truth_path(frame)
        gt_segments = self._segments_of(video_id, seg_map_path)
        gt_ids = read_panoptic_map(seg_map_path, self.backend_args)
        try:
            pair = compare_panoptic(gt_ids, ids, gt_segments, segments)
        except ValueError as error:
            raise DataError(f'ground truth "{seg_map_path}": {error}') from error
        state.counter.update(pair)

    def finish_video(self, state: _Video) -> _FinishedVideo:
        """Return the counts of a video and its entry of the JSON of predictions."""
        return _FinishedVideo(
            counts=None if state.counter is None else state.counter.compute(),
            entry=None if state.writer is None else state.writer.entry)

    def compute_metrics(self, results: list[VideoEntry]) -> dict[str, float]:
        """Compute, log and return the numbers; write the JSON of the predictions if there is an ``output_dir``.

        Args:
            results (list[VideoEntry]): One entry per video.

        Returns:
            dict[str, float]: Numbers in percent; none if ``format_only``.
        """
        if self.output_dir is not None and is_main_process():
            write_predicted_segments(self.output_dir, [video.counts.entry for video in results])
            print_log(f'VPSMetric: predictions of {len(results)} videos are in {self.output_dir}', logger='current')
        if self.format_only:
            return {}
        numbers, counts = vps_summary([video.counts.counts for video in results], self._isthing)
        self._log(counts, numbers, [video.num_frames for video in results])
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
