# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import cv2
import numpy as np

from mmvc.datasets import BaseVideoDataset
from mmvc.datasets.transforms import LoadFrameInstances, LoadVideoSegAnnotations
from mmvc.registry import DATASETS
from mmvc.utils.dataset_configs import innermost_datasets
from mmvc.utils.errors import UsageError
from mmvc.utils.image_files import read_image
from mmvc.utils.tasks import VSS, task_of
from mmvc.utils.type_names import type_name
from mmvc.visualization.segment_map import SegmentMap


class GroundTruth:
    """Reads frames and ground truth of a video dataset, to draw them.

    Args:
        dataset (dict): Config of a video dataset, or of a wrapper around one or several of the same classes. Of videos
            with the same name, the first is used. Its pipeline and ``test_mode`` are ignored: annotations are read if
            there are any.

    Attributes:
        dataset (BaseVideoDataset): The dataset; of several, the first.

    Raises:
        FileNotFoundError: A file or folder of the dataset is missing.
        ValueError: The dataset is damaged (:class:`DataError`) or not a video dataset (:class:`UsageError`).

    Examples:
        >>> ground_truth = GroundTruth(cfg.test_dataloader.dataset)
        >>> for frame_id, path in enumerate(ground_truth.frames('street')):
        ...     image = ground_truth.image('street', frame_id)
        ...     segments = ground_truth.segments('street', frame_id, image.shape[:2])
    """

    def __init__(self, dataset: dict) -> None:
        parts = [self._build(part) for part in innermost_datasets(dataset)]
        self.dataset = parts[0]
        self._infos: dict[str, Callable[[], dict]] = {}
        self._indices: dict[str, int] = {}
        items = ((part, index) for part in parts for index in range(len(part)))
        for position, (part, index) in enumerate(items):
            video_id = part.get_data_info(index)['video_id']
            if video_id not in self._indices:
                self._indices[video_id] = position
                self._infos[video_id] = partial(part.get_data_info, index)
        self._load_map, self._load_instances = LoadVideoSegAnnotations(), LoadFrameInstances()

    @staticmethod
    def _build(dataset: dict) -> BaseVideoDataset:
        cfg = dict(deepcopy(dataset), pipeline=[])
        if type_name(cfg) == 'VSPWImageDataset':  # the same files, one item per frame
            cfg['type'] = 'mmvc.VSPWDataset'
        try:
            built = DATASETS.build(dict(cfg, test_mode=False))
        except (KeyError, OSError, ValueError):  # annotations are missing, for some frames or for all
            built = DATASETS.build(dict(cfg, test_mode=True))
        if not isinstance(built, BaseVideoDataset):
            raise UsageError(f'{type_name(cfg)} is not a video dataset: use one, such as VSPWDataset, in the config')
        return built

    @property
    def task(self) -> str:
        """Task of the dataset: ``'vss'``, ``'vps'`` or ``'vis'``."""
        return dataset_task(self.dataset)

    @property
    def videos(self) -> list[str]:
        """Names of the videos."""
        return list(self._indices)

    def index(self, video_id: str) -> int:
        """Return the position of a video in the dataset.

        Args:
            video_id (str): Name of the video.

        Raises:
            UsageError: The dataset has no such video.
        """
        if video_id not in self._indices:
            raise UsageError(f'the dataset "{self.dataset.ann_file}" has no video "{video_id}"')
        return self._indices[video_id]

    def frames(self, video_id: str) -> list[str]:
        """List the image files of a video, in temporal order."""
        return [image['img_path'] for image in self._info(video_id)['images']]

    def image(self, video_id: str, frame_id: int) -> np.ndarray:
        """Read a frame: RGB, uint8, (H, W, 3)."""
        return cv2.cvtColor(read_image(self.frames(video_id)[frame_id]), cv2.COLOR_BGR2RGB)

    def is_labelled(self, video_id: str, frame_id: int) -> bool:
        """Say whether a frame is labelled; some frames of a dataset with sparse labels are not."""
        return self._info(video_id)['images'][frame_id].get('labelled', True)

    def segments(self, video_id: str, frame_id: int, size: tuple[int, int]) -> SegmentMap | None:
        """Read the ground truth of a frame.

        Args:
            video_id (str): Name of the video.
            frame_id (int): Position of the frame, from 0.
            size (tuple[int, int]): Height and width of the frame.

        Returns:
            SegmentMap | None: The segments, or None if the frame has no ground truth.
        """
        info = self._info(video_id)
        frame = dict(info['images'][frame_id], img=np.empty((*size, 0), np.uint8))  # the loaders read the size from it
        if not frame.get('labelled', True):
            return None
        if frame.get('instances') is not None:
            loaded = self._load_instances.transform(frame)
            seen = ~loaded['gt_ignore_flags']
            ids = loaded['gt_instances_ids'][seen].tolist()
            return SegmentMap.from_masks(loaded['gt_masks'].masks[seen], loaded['gt_bboxes_labels'][seen], ids,
                                         frozenset(ids))
        if frame.get('seg_map_path') is None:
            return None
        if frame.get('segments_info') is not None:
            return SegmentMap.from_panoptic(self._load_map.transform(frame)['gt_seg_map'], frame['segments_info'])
        if 'label_lut' not in info:
            return None
        frame['label_lut'] = info['label_lut']
        return SegmentMap.from_sem_seg(
            self._load_map.transform(frame)['gt_seg_map'], len(self.dataset.metainfo['classes']))

    def _info(self, video_id: str) -> dict:
        self.index(video_id)
        return self._infos[video_id]()


def dataset_task(dataset: Any) -> str:
    """Return the task of a dataset, see :mod:`mmvc.utils.tasks`; of another package's dataset: ``'vss'``."""
    while hasattr(dataset, 'datasets') or hasattr(dataset, 'dataset'):
        dataset = dataset.datasets[0] if hasattr(dataset, 'datasets') else dataset.dataset
    return task_of(dataset) or VSS
