# Copyright (c) The mmvc contributors. All rights reserved.
import json
import math
import os.path as osp
from collections import Counter, defaultdict
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.fileio import load
from mmengine.logging import print_log
from pycocotools import mask as mask_utils

from mmvc.datasets.youtube_vis import ANN_FILES, find_path
from mmvc.evaluation.functional import match_video, range_names, track_scores, vis_classes, why_undefined
from mmvc.registry import METRICS
from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import DataError, UsageError

from .utils import as_array, as_dict, log_rows
from .video_metric import VideoMetric


@METRICS.register_module()
class VISMetric(VideoMetric):
    """Video instance segmentation: AP and AR of tracks, as the official scripts of YouTube-VIS and OVIS compute them.

    Predictions are ``pred_track_instances`` of each frame: ``labels``, ``scores``, ``instances_ids`` (the models of
    MMDetection call them ``instances_id``) and ``masks`` at the size of the video. The masks of one id are a track;
    its score is the mean of its scores, its class the most frequent of its labels.

    Numbers, in percent: ``AP``, ``AP50``, ``AP75``, ``AR1``, ``AR10``, ``AR100``, the same by area (``APs``, ``APm``,
    ``APl``) and, if the annotations tell the occlusion (OVIS), for slightly, moderately and heavily occluded objects
    (``APso``, ``APmo``, ``APho``). A number that is not defined for the data is left out and the log says why.

    Args:
        ann_file (str, optional): JSON in the format of YouTube-VIS: ``videos``, ``categories`` and, unless
            ``format_only``, ``annotations``. Classes of the dataset and categories are paired by name. Defaults to
            None: it is looked for in ``data_root``, as :class:`YouTubeVISDataset` does.
        data_root (str, optional): Root of the dataset; only used without ``ann_file``. Defaults to None.
        split (str): Split to look for. Defaults to 'valid'.
        output_dir (str, optional): Folder to write ``results.json`` to, as the servers take it. Defaults to None.
        format_only (bool): Whether to only write, not to score: the annotations of the validation sets are not public.
            Defaults to False.
        backend_args (dict, optional): Where ``ann_file`` lies. Defaults to None (local disk).
        prefix (str, optional): Put before the names of the numbers. Defaults to None: ``vis``.

    Raises:
        UsageError: If neither ``ann_file`` nor ``data_root`` is given, ``ann_file`` has no annotations though they
            are needed or lacks a video, its categories are not the classes of the dataset, or not all frames of a
            video are predicted.
        DataError: If a prediction has another size than its video.
    """

    default_prefix = 'vis'

    def __init__(self,
                 ann_file: str | None = None,
                 data_root: str | None = None,
                 split: str = 'valid',
                 output_dir: str | None = None,
                 format_only: bool = False,
                 backend_args: dict | None = None,
                 prefix: str | None = None) -> None:
        super().__init__(output_dir=output_dir, format_only=format_only, backend_args=backend_args, prefix=prefix)
        if ann_file is None:
            if data_root is None:
                raise UsageError('VISMetric needs ann_file, or data_root to look for the annotations of a split')
            ann_file = osp.join(data_root, find_path(data_root, split, ANN_FILES))
        self.ann_file = ann_file
        content = load(ann_file, backend_args=backend_args)
        self._videos = {str(video['id']): video for video in content['videos']}
        self._categories = {category['name']: category['id'] for category in content['categories']}
        self._annotations = defaultdict(list)
        if not format_only:
            if not content.get('annotations'):
                raise UsageError(f'{ann_file} has no annotations: those of the validation and test sets are not '
                                 'public. Set format_only=True and send results.json to the server of the benchmark')
            for annotation in content['annotations']:
                self._annotations[str(annotation['video_id'])].append(annotation)
            self._with_occlusion = any('occlusion' in annotation for annotation in content['annotations'])

    def check_video(self, video: dict) -> None:
        """Raise an error if a video is not in the annotation file."""
        if str(video['video_id']) not in self._videos:
            raise UsageError(f'video "{video["video_id"]}" is not in {self.ann_file}: evaluate with the annotations '
                             'of this split')

    def start_video(self, video_id: str) -> dict[str, Any]:
        """Return the state of a video: its tracks, by instance id."""
        self.check_video(dict(video_id=video_id))
        return dict(video=self._videos[video_id], num_frames=0, tracks={})

    def add_frame(self, state: dict[str, Any], frame: dict) -> None:
        """Encode the masks of a frame."""
        video = state['video']
        if 'pred_track_instances' not in frame:
            raise UsageError(f'a prediction for video {video["id"]} has no pred_track_instances: does the model do '
                             'VIS?')
        instances = as_dict(frame['pred_track_instances'])
        masks = as_array(instances['masks']).astype(np.uint8)
        if masks.shape[1:] != (video['height'], video['width']):
            raise DataError(f'video {video["id"]}: predicted masks of shape {masks.shape} for frames of size '
                            f'{(video["height"], video["width"])}: resize them to the size of the video')
        rles = mask_utils.encode(np.asfortranarray(masks.transpose(1, 2, 0))) if len(masks) else []
        ids = instances['instances_ids'] if 'instances_ids' in instances else instances['instances_id']
        for instance_id, label, score, rle in zip(
                as_array(ids).tolist(), as_array(instances['labels']).tolist(),
                as_array(instances['scores']).tolist(), rles):
            track = state['tracks'].setdefault(instance_id, dict(masks={}, labels=[], scores=[]))
            track['masks'][state['num_frames']] = rle
            track['labels'].append(label)
            track['scores'].append(score)
        state['num_frames'] += 1

    def finish_video(self, state: dict[str, Any]) -> dict:
        """Match the tracks of a video with the true ones; keep them only if they are to be written."""
        video, num_frames = state['video'], state['num_frames']
        if num_frames != len(video['file_names']):
            raise UsageError(f'video {video["id"]}: predictions for {num_frames} of {len(video["file_names"])} '
                             'frames: test all frames of a video')
        category_ids = self._category_ids()
        detections = []
        for track in state['tracks'].values():
            masks = [track['masks'].get(t) for t in range(num_frames)]
            detections.append(dict(
                video_id=video['id'],
                category_id=category_ids[Counter(track['labels']).most_common(1)[0][0]],
                score=math.fsum(track['scores']) / len(track['scores']),
                segmentations=[rle if rle and mask_utils.area(rle) else None for rle in masks]))
        entry = dict(order=video['id'])
        if not self.format_only:
            entry['matched'] = match_video(self._annotations[str(video['id'])], detections, video['height'],
                                           video['width'], num_frames, self._with_occlusion)
        if self.output_dir is not None:
            entry['detections'] = [_readable(detection) for detection in detections]
        return entry

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute, log and return the numbers; write ``results.json`` if there is an ``output_dir``.

        Args:
            results (list[dict]): One entry per video.

        Returns:
            dict[str, float]: Numbers in percent; none if ``format_only``.
        """
        results = sorted(results, key=lambda entry: entry['order'])  # decides on ties between videos
        if self.output_dir is not None and is_main_process():
            detections = [detection for entry in results for detection in entry['detections']]
            atomic_write(osp.join(self.output_dir, 'results.json'), json.dumps(detections).encode(), sync=False)
            print_log(f'VISMetric: {len(detections)} tracks of {len(results)} videos are in '
                      f'{osp.join(self.output_dir, "results.json")}', logger='current')
        if self.format_only:
            return {}
        by_category = {category_id: [entry['matched'][category_id] for entry in results
                                     if category_id in entry['matched']]
                       for category_id in self._categories.values()}
        numbers = track_scores(by_category, range_names(self._with_occlusion))
        names = {category_id: name for name, category_id in self._categories.items()}
        log_rows(f'VISMetric: {len(results)} videos; categories of the ground truth', vis_classes(by_category, names))
        log_rows('VISMetric: summary', [{'': '%', **numbers}])
        for line in why_undefined(numbers, [entry['num_frames'] for entry in results]):
            print_log(line, logger='current')
        return {name: 100 * value for name, value in numbers.items() if not math.isnan(value)}

    def _category_ids(self) -> list[int]:
        """Category id of each label."""
        classes = (self.dataset_meta or {}).get('classes', tuple(self._categories))
        if set(classes) != set(self._categories):
            raise UsageError(f'the classes of the dataset are not the categories of {self.ann_file}: only one of the '
                             f'two has {sorted(set(classes) ^ set(self._categories))}; set metainfo=dict(classes=...) '
                             'of the dataset to the names in the file')
        return [self._categories[name] for name in classes]


def _readable(detection: dict) -> dict:
    """The entry of ``results.json``: RLE counts as text."""
    segmentations = [rle and dict(size=rle['size'], counts=rle['counts'].decode())
                     for rle in detection['segmentations']]
    return dict(detection, segmentations=segmentations)
