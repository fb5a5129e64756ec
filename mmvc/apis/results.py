# Copyright (c) The mmvc contributors. All rights reserved.
"""Results of :class:`VideoSegInferencer` for one frame, with full-size masks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from pycocotools import mask as mask_utils

from mmvc.utils.tasks import VIS, VPS, VSS
from mmvc.visualization import SegmentMap

from .plotting import Picture, draw_frame
from .segments import Convertible, FrameSegments, Segment, in_words, label_type


@dataclass(frozen=True)
class SkippedFrame:
    """A frame that could not be read, or the first of several in a row.

    Attributes:
        index (int): Position in the source, from 0.
        name (str): Name of the frame, or its file.
        reason (str): Why it could not be read.
        count (int): Number of frames lost in a row. Defaults to 1.
    """

    index: int
    name: str
    reason: str
    count: int = 1


@dataclass(repr=False)
class FrameResult(Convertible, Picture):
    """The prediction for one frame, with full-size masks. Each task has a subclass.

    Attributes:
        video (str): Name of the video.
        index (int): Position of the frame in its source, from 0.
        name (str): Name of the frame: its file name without suffix, or its position as eight digits.
        image (ndarray): The frame, BGR, uint8, (H, W, 3).
        data_sample (DetDataSample): The prediction in the form that OpenMMLab's metrics and visualizers take.
        classes (tuple[str]): Names of the classes.
        palette (Sequence[Sequence[int]]): RGB colour of each class.
    """

    #: ``'vss'``, ``'vps'`` or ``'vis'``
    task: ClassVar[str]

    video: str
    index: int
    name: str
    image: np.ndarray
    data_sample: DetDataSample
    classes: tuple[str, ...]
    palette: Sequence[Sequence[int]]

    def above(self, score_thr: float) -> 'FrameResult':
        """Leave out instances with a score below a threshold. VSS and VPS have none, so nothing is left out.

        Args:
            score_thr (float): Least score of an instance, in [0, 1].

        Returns:
            FrameResult: A frame of the same class.
        """
        return self

    def id_map(self) -> np.ndarray:
        """Map each pixel to one id.

        Returns:
            ndarray: (H, W): class indices (VSS, uint8), segment ids (VPS, int32, 0 = void), or instance ids + 1 (VIS,
            int32, 0 = none; if instances overlap, the id of the one with the highest score).
        """
        raise NotImplementedError

    def class_map(self, void: int = 255) -> np.ndarray:
        """Map each pixel to its class index.

        Args:
            void (int): Value for pixels without a segment. Defaults to 255.

        Returns:
            ndarray: (H, W), uint8, or int32 if class indices or ``void`` do not fit. If instances overlap (VIS), the
            one with the highest score counts.
        """
        labels = self._segment_map().class_map(void)
        return labels.astype(label_type(max(void, len(self.classes) - 1), void))

    def segments(self) -> list[Segment]:
        """Encode the segments with at least one pixel."""
        raise NotImplementedError

    def encode(self) -> FrameSegments:
        """See :meth:`Convertible.encode`."""
        size = self.image.shape[0], self.image.shape[1]
        return FrameSegments(self.index, self.name, self.segments(), size, self.task, self.classes, self.palette)

    def plot(self, alpha: float = 0.6, score_thr: float = 0.3, legend: bool = True) -> np.ndarray:
        """Draw the prediction over the frame.

        Args:
            alpha (float): Opacity of the colours over the frame, from 0 to 1. Defaults to 0.6.
            score_thr (float): Instances that score less are not drawn (VIS). Defaults to 0.3.
            legend (bool): Whether to draw a legend below. Defaults to True.

        Returns:
            ndarray: RGB, uint8, as wide as the frame.
        """
        image = cv2.cvtColor(self.image, cv2.COLOR_BGR2RGB)
        return draw_frame(image, self.above(score_thr)._segment_map(), self.classes, self.palette, alpha, legend)

    def _segment_map(self) -> SegmentMap:
        return SegmentMap.of_prediction(self.data_sample, len(self.classes))

    def _segment(self, index: int, label: int, score: float | None, mask: np.ndarray, is_track: bool) -> Segment:
        rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
        return Segment(index, label, self.classes[label], score, rle, is_track)

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return (f'{type(self).__name__}(video={self.video!r}, index={self.index}, name={self.name!r}, '
                f'{width}x{height}, {in_words(self.segments())})')


class SemanticFrame(FrameResult):
    """A frame of video semantic segmentation."""

    task = VSS

    @property
    def sem_seg(self) -> np.ndarray:
        """Class indices, uint8 (int64 beyond 256 classes), (H, W)."""
        return self.data_sample.pred_sem_seg.sem_seg[0].numpy()

    def id_map(self) -> np.ndarray:
        """See :meth:`FrameResult.id_map`."""
        return self.sem_seg

    def segments(self) -> list[Segment]:
        """See :meth:`FrameResult.segments`."""
        return [self._segment(label, label, None, self.sem_seg == label, is_track=False)
                for label in np.unique(self.sem_seg).tolist()]


class PanopticFrame(FrameResult):
    """A frame of video panoptic segmentation."""

    task = VPS

    @property
    def panoptic_seg(self) -> np.ndarray:
        """Segment ids, int32, (H, W); 0 is void."""
        return self.data_sample.pred_panoptic_seg.panoptic_seg[0].numpy()

    @property
    def segments_info(self) -> list[dict]:
        """``dict(id, category_id, isthing, score)`` of the segments that are visible in the frame."""
        return self.data_sample.segments_info

    def id_map(self) -> np.ndarray:
        """See :meth:`FrameResult.id_map`."""
        return self.panoptic_seg

    def segments(self) -> list[Segment]:
        """See :meth:`FrameResult.segments`."""
        return [
            self._segment(info['id'], info['category_id'], info['score'], self.panoptic_seg == info['id'],
                          info['isthing']) for info in self.segments_info
        ]


class InstanceFrame(FrameResult):
    """A frame of video instance segmentation: n tracks, sorted by score."""

    task = VIS

    @property
    def masks(self) -> np.ndarray:
        """Masks, bool (n, H, W); all False if a track is not visible."""
        return self.data_sample.pred_track_instances.masks.numpy()

    @property
    def labels(self) -> np.ndarray:
        """Class indices (n,)."""
        return self.data_sample.pred_track_instances.labels.numpy()

    @property
    def scores(self) -> np.ndarray:
        """Scores in [0, 1], (n,)."""
        return self.data_sample.pred_track_instances.scores.numpy()

    @property
    def instances_ids(self) -> np.ndarray:
        """Track ids (n,), which stay the same in all frames of the video."""
        return self.data_sample.pred_track_instances.instances_ids.numpy()

    @property
    def best_score(self) -> float:
        """Highest score of an instance with at least one pixel; -1 if there is none."""
        return float(self.scores[self.masks.any((1, 2))].max(initial=-1))

    def above(self, score_thr: float) -> 'InstanceFrame':
        """See :meth:`FrameResult.above`."""
        tracks = self.data_sample.pred_track_instances
        sample = self.data_sample.new()
        sample.pred_track_instances = tracks[tracks.scores >= score_thr]
        return replace(self, data_sample=sample)

    def id_map(self) -> np.ndarray:
        """See :meth:`FrameResult.id_map`."""
        return self._segment_map().ids + 1

    def segments(self) -> list[Segment]:
        """See :meth:`FrameResult.segments`."""
        tracks = zip(self.instances_ids.tolist(), self.labels.tolist(), self.scores.tolist(), self.masks)
        return [self._segment(*track, is_track=True) for track in tracks if track[-1].any()]


FRAME_RESULTS = {VSS: SemanticFrame, VPS: PanopticFrame, VIS: InstanceFrame}
