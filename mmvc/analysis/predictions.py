# Copyright (c) The mmvc contributors. All rights reserved.
"""Predictions as they are sent to the servers of the benchmarks, read back frame by frame."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils

from mmvc.datasets.vipseg import ANNOTATIONS_SCHEMA
from mmvc.datasets.youtube_vis import CATEGORIES_SCHEMA
from mmvc.engine.ground_truth import GroundTruth
from mmvc.formats.json_files import ID, read_json
from mmvc.formats.label_maps import read_label_map, read_panoptic_map
from mmvc.formats.rle import to_rle
from mmvc.utils.errors import DataError
from mmvc.utils.typing import PathLike
from mmvc.visualization import SegmentMap

_DETECTIONS = [{'video_id': ID, 'category_id': int, 'score': float, 'segmentations': [(type(None), dict, list)]}]


class PredictionFiles:
    """A folder of predictions for the videos of a dataset.

    Args:
        folder (str | Path): The folder.
        dataset (GroundTruth): The dataset; it tells the classes.
    """

    def __init__(self, folder: PathLike, dataset: GroundTruth) -> None:
        self.folder = Path(folder)
        self.classes = dataset.dataset.metainfo['classes']
        if not self.folder.exists():
            raise FileNotFoundError(f'prediction folder "{folder}" does not exist: tools/test.py --format-only '
                                    '--out-dir writes one')

    def segments(self, video_id: str, frame_id: int, name: str, size: tuple[int, int]) -> SegmentMap:
        """Read the prediction for a frame.

        Args:
            video_id (str): Name of the video.
            frame_id (int): Position of the frame, from 0.
            name (str): Name of the frame, without suffix.
            size (tuple[int, int]): Height and width of the frame.

        Returns:
            SegmentMap: The prediction.

        Raises:
            FileNotFoundError: There is none.
            DataError: It is damaged, or of another size than the frame.
        """
        raise NotImplementedError

    def _check(self, ids: np.ndarray, size: tuple[int, int], path: Path) -> np.ndarray:
        if ids.shape != size:
            raise DataError(f'prediction "{path}" has the size {ids.shape}, its frame {size}: predictions are '
                             'written at the original size')
        return ids


class SemanticFiles(PredictionFiles):
    """``<video>/<frame>.png``, class indices (VSPW)."""

    def segments(self, video_id: str, frame_id: int, name: str, size: tuple[int, int]) -> SegmentMap:
        """See :meth:`PredictionFiles.segments`."""
        path = self.folder / video_id / f'{name}.png'
        return SegmentMap.from_sem_seg(self._check(read_label_map(str(path)), size, path), len(self.classes))


class PanopticFiles(PredictionFiles):
    """``pan_pred/<video>/<frame>.png``, segment ids as colours, and ``pred.json`` (VIPSeg)."""

    def __init__(self, folder: PathLike, dataset: GroundTruth) -> None:
        super().__init__(folder, dataset)
        path = self.folder / 'pred.json'
        content = read_json(path, {'annotations': ANNOTATIONS_SCHEMA},
                            'the segments of the PNGs in "pan_pred", beside it')
        self._segments = {(str(video['video_id']), Path(frame['file_name']).stem): frame['segments_info']
                          for video in content['annotations'] for frame in video['annotations']}
        things = dataset.dataset.metainfo['thing_classes']
        self._isthing = [label in things for label in self.classes]

    def segments(self, video_id: str, frame_id: int, name: str, size: tuple[int, int]) -> SegmentMap:
        """See :meth:`PredictionFiles.segments`."""
        if (video_id, name) not in self._segments:
            raise FileNotFoundError(f'"{self.folder / "pred.json"}" has no frame "{name}" of video "{video_id}"')
        path = self.folder / 'pan_pred' / video_id / f'{name}.png'
        ids = self._check(read_panoptic_map(str(path)), size, path)
        return SegmentMap.from_panoptic(ids, self._segments[video_id, name], self._isthing)


class InstanceFiles(PredictionFiles):
    """``results.json``, tracks (YouTube-VIS, OVIS); the folder may also be this file.

    Args:
        folder (str | Path): The folder or file.
        dataset (GroundTruth): The dataset; its annotation file tells the categories.
        score_thr (float): Tracks that score less are left out. Defaults to 0.3.
    """

    def __init__(self, folder: PathLike, dataset: GroundTruth, score_thr: float = 0.3) -> None:
        super().__init__(folder, dataset)
        self.path = self.folder / 'results.json' if self.folder.is_dir() else self.folder
        truth = read_json(dataset.dataset.ann_file, {'categories': CATEGORIES_SCHEMA}, 'a JSON as of YouTube-VIS')
        labels = {entry['id']: self.classes.index(entry['name']) for entry in truth['categories']}
        self._tracks: dict[str, list[tuple[int, int, dict]]] = defaultdict(list)
        for entry in read_json(self.path, _DETECTIONS, 'a list of dict(video_id, category_id, score, segmentations)'):
            tracks = self._tracks[str(entry['video_id'])]
            if entry['score'] >= score_thr:
                if entry['category_id'] not in labels:
                    raise DataError(f'"{self.path}" has the category {entry["category_id"]}, which '
                                     f'"{dataset.dataset.ann_file}" does not have')
                tracks.append((len(tracks), labels[entry['category_id']], entry))

    def segments(self, video_id: str, frame_id: int, name: str, size: tuple[int, int]) -> SegmentMap:
        """See :meth:`PredictionFiles.segments`."""
        masks: list[np.ndarray] = [np.zeros((0, *size), bool)]
        labels, ids, scores = [], [], []
        for index, label, entry in self._tracks[video_id]:
            mask = entry['segmentations'][frame_id] if frame_id < len(entry['segmentations']) else None
            rle = to_rle(mask, *size)
            if rle is not None:
                mask = mask_utils.decode(rle).astype(bool)
                masks.append(self._check(mask, size, self.path)[None])
                labels.append(label)
                ids.append(index)
                scores.append(entry['score'])
        return SegmentMap.from_masks(np.concatenate(masks), labels, ids, frozenset(ids), scores)


def open_predictions(folder: PathLike, dataset: GroundTruth, score_thr: float = 0.3) -> PredictionFiles:
    """Open a folder of predictions in the official format of the dataset's task.

    Args:
        folder (str | Path): The folder.
        dataset (GroundTruth): The dataset.
        score_thr (float): Tracks that score less are left out (VIS). Defaults to 0.3.

    Returns:
        PredictionFiles: The predictions.

    Raises:
        FileNotFoundError: The folder or its JSON is missing.
        ValueError: The JSON is damaged.
    """
    if dataset.task == 'vis':
        return InstanceFiles(folder, dataset, score_thr)
    return dict(vss=SemanticFiles, vps=PanopticFiles)[dataset.task](folder, dataset)
