# Copyright (c) The mmvc contributors. All rights reserved.
import math
import os.path as osp
from collections.abc import Mapping
from dataclasses import dataclass

from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmvc.evaluation.functional import (
    MatchedTracks,
    TrackingCounts,
    add_tracking,
    count_tracking,
    match_video,
    range_names,
    tracking_numbers,
    tracks_by_category,
    vis_classes,
    vis_numbers,
    why_undefined,
)
from mmvc.evaluation.tables import log_rows
from mmvc.formats.youtube_vis import (
    ANN_FILES,
    find_path,
    labelled_frames,
    read_annotations,
    read_subsets,
    video_order,
)
from mmvc.formats.youtube_vis_results import TrackCollector, write_results
from mmvc.registry import METRICS
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.image_files import read_size
from mmvc.utils.typing import PathLike

from .frames import as_array, as_dict
from .video_metric import VideoEntry, VideoMetric


@dataclass
class _Video:
    """State of a video whose frames are being added: its entry of the annotation file, and its tracks so far."""
    info: dict
    tracks: TrackCollector


@dataclass(frozen=True)
class _FinishedVideo:
    """Id of a video, its matched tracks and counts of J&F, IDF1 and HOTA by category, and its detections.

    What will not be used is None; the counts are empty then.
    """
    video_id: int | str
    matched: dict[int, MatchedTracks] | None
    tracking: dict[int, TrackingCounts]
    detections: list[dict] | None


@METRICS.register_module()
class VISMetric(VideoMetric):
    """Video instance segmentation: AP and AR of tracks, as the official scripts of YouTube-VIS and OVIS compute them.

    Predictions are ``pred_track_instances`` of each frame: ``labels``, ``scores``, ``instances_ids`` (the models of
    MMDetection call them ``instances_id``) and ``masks`` at the size of the video. The masks of one id are a track;
    its score is the mean of its scores, its class the most frequent of its labels.

    Numbers, in percent: ``AP``, ``AP50``, ``AP75``, ``AR1``, ``AR10``, ``AR100``, the same by area (``APs``, ``APm``,
    ``APl``) and, if the annotations have levels of occlusion (OVIS), for slightly, moderately and heavily occluded
    objects (``APso``, ``APmo``, ``APho``). For each subset of the videos, ``AP_<subset>`` to ``AR100_<subset>`` are
    those of its videos alone, and ``AP_mean`` is the mean of the ``AP_<subset>``. With ``tracking_min_score`` also
    ``JF`` (J&F), ``J``, ``F``, their ``_recall`` and ``_decay``, ``IDF1``, ``IDP``, ``IDR``, ``HOTA``, ``DetA``,
    ``AssA``, ``LocA``, and the means over categories ``mIDF1`` and ``mHOTA``. A number that is not defined for the
    data is left out and the log says why. Of a video whose ``labelled_frames`` the JSON lists, only these frames are
    compared.

    Args:
        ann_file (str, optional): JSON in the format of YouTube-VIS: ``videos``, ``categories`` and, unless
            ``format_only``, ``annotations``. Classes of the dataset and categories are paired by name. Defaults to
            None: it is looked for in ``data_root``, as :class:`YouTubeVISDataset` does.
        data_root (str, optional): Root of the dataset; only used without ``ann_file``. Defaults to None.
        split (str): Split to look for. Defaults to 'valid'.
        output_dir (str, optional): Folder to write the tracks to, as the servers take them. Defaults to None.
        format_only (bool): Whether to only write, not to score: the annotations of the validation sets are not public.
            Defaults to False.
        subsets (dict[str, str], optional): Names of subsets, each with the file that lists its videos: a JSON in the
            format of YouTube-VIS, or a text file with a name per line (:func:`read_subsets`). Read unless
            ``format_only``. Defaults to None. YouTube-VIS 2022 has the subsets ``S`` (short) and ``L`` (long).
        tracking_min_score (float, optional): Also compute J&F, IDF1 and HOTA, of the tracks with at least this score.
            They punish every wrong track, so those with low scores must go; 0.3 is the score from which pictures show
            a track. Defaults to None: not computed.
        backend_args (dict, optional): Where ``ann_file`` lies. Defaults to None (local disk).
        prefix (str, optional): Put before the names of the numbers. Defaults to None: ``vis``.

    Raises:
        UsageError: If neither ``ann_file`` nor ``data_root`` is given, ``ann_file`` has no annotations though they
            are needed or lacks a video, or not all frames of a video are predicted.
        DataError: If ``ann_file`` is damaged or contradicts itself, its categories are not the classes of the dataset,
            or a prediction has another size than its video.
    """

    default_prefix = 'vis'

    def __init__(self,
                 ann_file: str | None = None,
                 data_root: str | None = None,
                 split: str = 'valid',
                 output_dir: str | None = None,
                 format_only: bool = False,
                 subsets: Mapping[str, PathLike] | None = None,
                 tracking_min_score: float | None = None,
                 backend_args: dict | None = None,
                 prefix: str | None = None) -> None:
        super().__init__(output_dir=output_dir, format_only=format_only, backend_args=backend_args, prefix=prefix)
        self.tracking_min_score = tracking_min_score
        if ann_file is None:
            if data_root is None:
                raise UsageError('VISMetric needs ann_file, or data_root to look for the annotations of a split')
            ann_file = osp.join(data_root, find_path(data_root, split, ANN_FILES))
        self.ann_file = ann_file
        self._truth = read_annotations(ann_file, with_tracks=not format_only, backend_args=backend_args)
        self._videos = {str(video['id']): video for video in self._truth.videos}
        self._with_occlusion = self._truth.with_occlusion
        if not format_only and not self._truth.tracks:
            raise UsageError(f'{ann_file} has no annotations: those of the validation and test sets are not public. '
                             'Set format_only=True and send the results to the server of the benchmark')
        self._subsets = {} if format_only else read_subsets(subsets or {}, self._truth, backend_args)

    def check_video(self, video: dict) -> None:
        """Raise an error if a video is not in the annotation file, has other frames than there, or a damaged mask."""
        entry = self._entry(str(video['video_id']))
        self._category_ids()
        frames = video.get('images', [video])
        expected = len(entry['file_names'])
        if video.get('video_length', len(frames)) != expected:
            raise UsageError(f'video {entry["id"]} has {video.get("video_length", len(frames))} frames in the dataset '
                             f'and {expected} in {self.ann_file}: test with the annotations of this split')
        for frame in frames[:1]:  # those of a video have one size
            size = (entry['height'], entry['width'])
            if 'img_path' in frame and read_size(frame['img_path']) not in (None, size[::-1]):
                raise DataError(f'frame "{frame["img_path"]}" has the width and height '
                                f'{read_size(frame["img_path"])}, video {entry["id"]} of {self.ann_file} '
                                f'{size[::-1]}: the annotations belong to frames of another size')
        self._truth.check_masks(entry)

    def _entry(self, video_id: str) -> dict:
        if video_id not in self._videos:
            raise UsageError(f'video "{video_id}" is not in {self.ann_file}: evaluate with the annotations of this '
                             'split')
        return self._videos[video_id]

    def start_video(self, video_id: str) -> _Video:
        """Return a video without tracks."""
        info = self._entry(video_id)
        return _Video(info, TrackCollector(info['id'], self._category_ids()))

    def add_frame(self, state: _Video, frame: dict) -> None:
        """Encode the masks of a frame."""
        video = state.info
        if 'pred_track_instances' not in frame:
            raise UsageError(f'a prediction for video {video["id"]} has no pred_track_instances: does the model do '
                             'VIS?')
        instances = as_dict(frame['pred_track_instances'])
        masks = as_array(instances['masks'])
        if masks.shape[1:] != (video['height'], video['width']):
            raise DataError(f'video {video["id"]}: predicted masks of shape {masks.shape} for frames of size '
                            f'{(video["height"], video["width"])}: resize them to the size of the video')
        ids = instances['instances_ids'] if 'instances_ids' in instances else instances['instances_id']
        state.tracks.add(masks, *(as_array(values).tolist()
                                  for values in (ids, instances['labels'], instances['scores'])))

    def finish_video(self, state: _Video) -> _FinishedVideo:
        """Match the tracks of a video with the true ones; keep them only if they will be written."""
        video, num_frames = state.info, state.tracks.num_frames
        if num_frames != len(video['file_names']):
            raise UsageError(f'video {video["id"]}: predictions for {num_frames} of {len(video["file_names"])} '
                             'frames: test all frames of a video')
        detections = state.tracks.detections()
        matched, tracking = None, {}
        if not self.format_only:
            tracks = self._truth.tracks.get(video['id'], ())
            labelled = labelled_frames(video)
            size = dict(height=video['height'], width=video['width'], num_frames=num_frames)
            try:
                matched = match_video(tracks, detections, **size, with_occlusion=self._with_occlusion,
                                      labelled=labelled)
                if self.tracking_min_score is not None:
                    tracking = count_tracking(tracks, detections, **size, min_score=self.tracking_min_score,
                                              labelled=labelled)
            except ValueError as error:  # the predicted masks have just been encoded
                raise DataError(f'"{self.ann_file}", video {video["id"]}: {error}') from error
        return _FinishedVideo(video['id'], matched, tracking, None if self.output_dir is None else detections)

    def compute_metrics(self, results: list[VideoEntry]) -> dict[str, float]:
        """Compute, log and return the numbers; write the tracks if there is an ``output_dir``.

        Args:
            results (list[VideoEntry]): One entry per video.

        Returns:
            dict[str, float]: Numbers in percent; none if ``format_only``.
        """
        # the order decides on ties between videos
        videos = sorted((entry.counts for entry in results), key=lambda video: video_order(video.video_id))
        if self.output_dir is not None and is_main_process():
            detections = [detection for video in videos for detection in video.detections]
            path = write_results(self.output_dir, detections)
            print_log(f'VISMetric: {len(detections)} tracks of {len(videos)} videos are in {path}', logger='current')
        if self.format_only:
            return {}
        matched = {video.video_id: video.matched for video in videos}
        categories = self._truth.categories
        numbers = vis_numbers(matched, categories, range_names(self._with_occlusion), self._subsets)
        classes = vis_classes(tracks_by_category(matched.values(), categories), categories)
        if self.tracking_min_score is not None:
            tracking = [video.tracking for video in videos]
            numbers.update(tracking_numbers(tracking, categories))
            classes = add_tracking(classes, tracking, categories)
        log_rows(f'VISMetric: {len(results)} videos; categories of the ground truth', classes)
        log_rows('VISMetric: summary', [{'': '%', **numbers}])
        for line in why_undefined(numbers, [entry.num_frames for entry in results]):
            print_log(line, logger='current')
        return {name: 100 * value for name, value in numbers.items() if not math.isnan(value)}

    def _category_ids(self) -> list[int]:
        """Category id of each label."""
        classes = (self.dataset_meta or {}).get('classes', tuple(self._truth.categories.values()))
        labels = self._truth.labels(classes)
        return sorted(labels, key=labels.__getitem__)
