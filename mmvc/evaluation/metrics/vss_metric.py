# Copyright (c) The mmvc contributors. All rights reserved.
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.logging import print_log

from mmvc.evaluation.functional import VSSCounter, VSSCounts, pool_windows, vss_classes, vss_numbers, why_undefined
from mmvc.evaluation.tables import log_rows
from mmvc.formats.label_maps import read_label_map, require_label_map
from mmvc.formats.vspw import PredictionWriter
from mmvc.registry import METRICS
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.names import output_path

from .frames import frame_name, ground_truth_path, is_labelled, require_ground_truth, semantic_map
from .video_metric import VideoEntry, VideoMetric, write_file


@dataclass
class _Video:
    """State of a video whose frames are being added: its counter and its writer, if they are needed."""
    video_id: str
    counter: VSSCounter | None
    writer: PredictionWriter | None


@METRICS.register_module()
class VSSMetric(VideoMetric):
    """Video semantic segmentation: mIoU and video consistency, as the official scripts of VSPW compute them.

    Predictions are ``pred_sem_seg`` of each frame, class indices (255: no prediction) at the size of the ground truth,
    which is read frame by frame from the file ``seg_map_path``. Frames that come with ``labelled=False`` (sparse
    labels) are not scored. The metric keeps only counts: one confusion matrix and the window counts of each video.

    Numbers, in percent: ``mIoU``, ``VC8``, ``VC16``, ``fwIoU``, ``aAcc``, ``mAcc``, ``video_mIoU``, ``mIoU_trivial``
    (the most frequent class everywhere, whose VC is 100) and, if both 8 and 16 are asked for, ``VC16_pooled``, which
    DVIS++'s script prints as VC16: for comparison only. A number that is not defined for the data is left out and the
    log says why.

    Args:
        num_classes (int, optional): Number of classes. Defaults to None: that of the dataset.
        label_offset (int, optional): Raw ground-truth value of class 0: 1 if 0 is void (VSPW), 0 if void comes after
            the classes (CamVid). Defaults to None: ``label_offset`` of the dataset's metainfo.
        window_sizes (Sequence[int]): Windows of the video consistency, in frames. Defaults to (8, 16).
        output_dir (str, optional): Folder to write ``<video>/<frame>.png`` to, class indices, as the server of VSPW
            takes them. Defaults to None.
        format_only (bool): Whether to only write, not to score. Defaults to False.
        backend_args (dict, optional): Where the ground truth lies. Defaults to None (local disk).
        prefix (str, optional): Put before the names of the numbers. Defaults to None: ``vss``.

    Raises:
        FileNotFoundError: If a ground-truth file is missing.
        UsageError: If the metric does not know the classes, or the predictions are for another task.
        DataError: If a prediction has another size than its ground truth or a value that is not a class, or a mask has
            a value that is neither a class nor void.
    """

    default_prefix = 'vss'

    def __init__(self,
                 num_classes: int | None = None,
                 label_offset: int | None = None,
                 window_sizes: Sequence[int] = (8, 16),
                 output_dir: str | None = None,
                 format_only: bool = False,
                 backend_args: dict | None = None,
                 prefix: str | None = None) -> None:
        super().__init__(output_dir=output_dir, format_only=format_only, backend_args=backend_args, prefix=prefix)
        self.num_classes = num_classes
        self.label_offset = label_offset
        self.window_sizes = tuple(window_sizes)

    def check_video(self, video: dict) -> None:
        """Raise an error if a frame of a video to be scored has no mask, or if files cannot hold the classes."""
        if self.output_dir is not None:
            require_label_map(self._num_classes())
        if not self.format_only:
            require_ground_truth(video)

    def start_video(self, video_id: str) -> _Video:
        """Return empty counts."""
        counter = None if self.format_only else VSSCounter(self._num_classes(), self._label_offset(),
                                                           self.window_sizes, self._void_values())
        writer = None
        if self.output_dir is not None:
            writer = PredictionWriter(output_path(self.output_dir, video_id), write_file)
        return _Video(video_id, counter, writer)

    def add_frame(self, state: _Video, frame: dict) -> None:
        """Write the prediction of a frame, if asked for, and count it against the ground truth."""
        if 'pred_sem_seg' not in frame:
            raise UsageError(f'a prediction for video "{state.video_id}" has no pred_sem_seg: does the model do VSS?')
        pred = semantic_map(frame)
        if state.writer is not None:
            state.writer.add(frame_name(frame), pred)
        if state.counter is None:
            return
        if not is_labelled(frame):
            state.counter.skip()
            return
        seg_map_path = ground_truth_path(frame)
        gt = read_label_map(seg_map_path, self.backend_args)
        try:
            state.counter.update(gt, pred)
        except ValueError as error:
            raise DataError(f'ground truth "{seg_map_path}": {error}') from error

    def finish_video(self, state: _Video) -> VSSCounts | None:
        """Return the counts of a video; none if ``format_only``."""
        return None if state.counter is None else state.counter.compute()

    def compute_metrics(self, results: list[VideoEntry]) -> dict[str, float]:
        """Compute, log and return the numbers.

        Args:
            results (list[VideoEntry]): One entry per video.

        Returns:
            dict[str, float]: Numbers in percent; none if ``format_only``.
        """
        if self.format_only:
            print_log(f'VSSMetric: predictions of {len(results)} videos are in {self.output_dir}', logger='current')
            return {}
        videos = [entry.counts for entry in results]
        empty = np.zeros((self._num_classes(), self._num_classes() + 1), np.int64)
        confusions = (video.confusion.dense() for video in videos) if videos else [empty]
        numbers, counts = vss_numbers(confusions, pool_windows(videos, self.window_sizes))
        self._log(counts, numbers, [entry.num_frames for entry in results])
        return {name: 100 * value for name, value in numbers.items() if not math.isnan(value)}

    def _log(self, counts: np.ndarray, numbers: dict[str, float], num_frames: list[int]) -> None:
        """Log the table per class, the summary, and why a number is missing."""
        names = (self.dataset_meta or {}).get('classes', [str(index) for index in range(len(counts))])
        log_rows(f'VSSMetric: {len(num_frames)} videos, {sum(num_frames)} frames; classes of the ground truth',
                 vss_classes(counts, names))
        log_rows('VSSMetric: summary', [{'': '%', **numbers}])
        for line in why_undefined(numbers, num_frames):
            print_log(line, logger='current')

    def _num_classes(self) -> int:
        if self.num_classes is None:
            if 'classes' not in (self.dataset_meta or {}):
                raise UsageError('VSSMetric does not know the classes: give num_classes, or "classes" in the metainfo '
                                 'of the dataset')
            return len(self.dataset_meta['classes'])
        return self.num_classes

    def _void_values(self) -> Sequence[int] | None:
        """Mask values of void, if the dataset says them and its masks are read as it says."""
        return (self.dataset_meta or {}).get('void_values') if self.label_offset is None else None

    def _label_offset(self) -> int:
        if self.label_offset is None:
            if 'label_offset' not in (self.dataset_meta or {}):
                raise UsageError('VSSMetric does not know the raw value of class 0: give label_offset, here or in the '
                                 'metainfo of the dataset (1 if 0 is void, 0 if void comes after the classes)')
            return self.dataset_meta['label_offset']
        return self.label_offset
