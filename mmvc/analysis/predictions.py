# Copyright (c) The mmvc contributors. All rights reserved.
"""Predictions as they are sent to the servers of the benchmarks, read back frame by frame."""

from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils

from mmvc.engine.ground_truth import GroundTruth
from mmvc.formats import vipseg_results, vspw, youtube_vis, youtube_vis_results
from mmvc.formats.label_maps import read_label_map, read_panoptic_map
from mmvc.formats.rle import to_rle
from mmvc.utils.errors import DataError
from mmvc.utils.typing import PathLike
from mmvc.visualization import SegmentMap


class PredictionFiles:
    """A folder of predictions for the videos of a dataset.

    Args:
        folder (str | Path): The folder.
        dataset (GroundTruth): The dataset; it defines the classes.
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
            FileNotFoundError: There is no prediction for the frame.
            DataError: It is damaged, or of another size than the frame.
        """
        raise NotImplementedError

    def _check(self, ids: np.ndarray, size: tuple[int, int], path: Path) -> np.ndarray:
        if ids.shape != size:
            raise DataError(f'prediction "{path}" has the size {ids.shape}, its frame {size}: predictions are '
                             'written at the original size')
        return ids


class SemanticFiles(PredictionFiles):
    """Class indices in the format of VSPW."""

    def segments(self, video_id: str, frame_id: int, name: str, size: tuple[int, int]) -> SegmentMap:
        """See :meth:`PredictionFiles.segments`."""
        path = vspw.prediction_file(self.folder, video_id, name)
        return SegmentMap.from_sem_seg(self._check(read_label_map(str(path)), size, path), len(self.classes))


class PanopticFiles(PredictionFiles):
    """Segments in the format of VIPSeg."""

    def __init__(self, folder: PathLike, dataset: GroundTruth) -> None:
        super().__init__(folder, dataset)
        self._predictions = vipseg_results.read_predictions(self.folder, len(self.classes))
        things = dataset.dataset.metainfo['thing_classes']
        self._isthing = [label in things for label in self.classes]

    def segments(self, video_id: str, frame_id: int, name: str, size: tuple[int, int]) -> SegmentMap:
        """See :meth:`PredictionFiles.segments`."""
        segments = self._predictions.segments.get(video_id, {})
        if name not in segments:
            raise FileNotFoundError(f'"{self._predictions.path}" has no frame "{name}" of video "{video_id}"')
        path = self._predictions.mask_file(video_id, name)
        ids = self._check(read_panoptic_map(str(path)), size, path)
        return SegmentMap.from_panoptic(ids, segments[name], self._isthing)


class InstanceFiles(PredictionFiles):
    """Tracks in the format of YouTube-VIS; the folder may also be their file.

    Args:
        folder (str | Path): The folder or file.
        dataset (GroundTruth): The dataset; its annotation file defines the categories.
        score_thr (float): Tracks that score less are left out. Defaults to 0.3.
    """

    def __init__(self, folder: PathLike, dataset: GroundTruth, score_thr: float = 0.3) -> None:
        super().__init__(folder, dataset)
        self.path = youtube_vis_results.results_file(self.folder)
        truth = youtube_vis.read_annotations(dataset.dataset.ann_file, with_tracks=False)
        self._labels = truth.labels(self.classes)
        self._tracks = {str(video_id): [track for track in tracks if track['score'] >= score_thr]
                        for video_id, tracks in youtube_vis_results.read_results(self.path, truth).items()}

    def segments(self, video_id: str, frame_id: int, name: str, size: tuple[int, int]) -> SegmentMap:
        """See :meth:`PredictionFiles.segments`."""
        masks: list[np.ndarray] = [np.zeros((0, *size), bool)]
        labels, ids, scores = [], [], []
        for index, track in enumerate(self._tracks.get(video_id, ())):
            rle = to_rle(track['segmentations'][frame_id], *size)
            if rle is not None:
                mask = mask_utils.decode(rle).astype(bool)
                masks.append(self._check(mask, size, self.path)[None])
                labels.append(self._labels[track['category_id']])
                ids.append(index)
                scores.append(track['score'])
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
