# Copyright (c) The mmvc contributors. All rights reserved.
"""Results of :class:`VideoSegInferencer`: frames, segments and videos."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from mmdet.structures import DetDataSample
from pycocotools import mask as mask_utils

from mmvc.utils.tasks import VIS, VPS, VSS
from mmvc.visualization import SegmentMap


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


@dataclass(frozen=True)
class Segment:
    """A class region (VSS), a segment (VPS) or an instance (VIS) in one frame, run-length encoded.

    Attributes:
        id (int): Class index (VSS), segment id (VPS) or instance id (VIS), the same in all frames of the video.
        label (int): Class index.
        class_name (str): Name of the class.
        score (float, optional): Score in [0, 1]; None for VSS.
        rle (dict): COCO run-length encoding, ``dict(size=[H, W], counts=bytes)``.
    """

    id: int
    label: int
    class_name: str
    score: float | None
    rle: dict

    @property
    def mask(self) -> np.ndarray:
        """The decoded mask, bool (H, W)."""
        return mask_utils.decode(self.rle).astype(bool)

    def to_json(self) -> dict:
        """Convert to an entry as in COCO's result files.

        Returns:
            dict: ``id``, ``category_id``, ``category``, ``segmentation``, ``area``, ``bbox`` (x, y, width, height, in
            pixels) and, if it is not None, ``score``.
        """
        entry = dict(
            id=self.id,
            category_id=self.label,
            category=self.class_name,
            segmentation=dict(size=list(self.rle['size']), counts=self.rle['counts'].decode()),
            area=int(mask_utils.area(self.rle)),
            bbox=mask_utils.toBbox(self.rle).tolist())
        return entry if self.score is None else dict(entry, score=self.score)


@dataclass
class FrameResult:
    """The prediction for one frame, with full-size masks. Each task has a subclass.

    Attributes:
        video (str): Name of the video.
        index (int): Position of the frame in its source, from 0.
        name (str): Name of the frame: its file name without suffix, or its position as eight digits.
        image (ndarray): The frame, BGR, uint8, (H, W, 3).
        data_sample (DetDataSample): The prediction in the form that OpenMMLab's metrics and visualizers take.
        classes (tuple[str]): Names of the classes.
    """

    video: str
    index: int
    name: str
    image: np.ndarray
    data_sample: DetDataSample
    classes: tuple[str, ...]

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

    def segments(self) -> list[Segment]:
        """Encode the segments with at least one pixel."""
        raise NotImplementedError

    def _segment(self, index: int, label: int, score: float | None, mask: np.ndarray) -> Segment:
        rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
        return Segment(index, label, self.classes[label], score, rle)


class SemanticFrame(FrameResult):
    """A frame of video semantic segmentation."""

    @property
    def sem_seg(self) -> np.ndarray:
        """Class indices, uint8 (int64 beyond 256 classes), (H, W)."""
        return self.data_sample.pred_sem_seg.sem_seg[0].numpy()

    def id_map(self) -> np.ndarray:
        """See :meth:`FrameResult.id_map`."""
        return self.sem_seg

    def segments(self) -> list[Segment]:
        """See :meth:`FrameResult.segments`."""
        return [self._segment(label, label, None, self.sem_seg == label) for label in np.unique(self.sem_seg).tolist()]


class PanopticFrame(FrameResult):
    """A frame of video panoptic segmentation."""

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
        return [self._segment(info['id'], info['category_id'], info['score'], self.panoptic_seg == info['id'])
                for info in self.segments_info]


class InstanceFrame(FrameResult):
    """A frame of video instance segmentation: n tracks, sorted by score."""

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

    def above(self, score_thr: float) -> 'InstanceFrame':
        """See :meth:`FrameResult.above`."""
        tracks = self.data_sample.pred_track_instances
        sample = self.data_sample.new()
        sample.pred_track_instances = tracks[tracks.scores >= score_thr]
        return replace(self, data_sample=sample)

    def id_map(self) -> np.ndarray:
        """See :meth:`FrameResult.id_map`."""
        return SegmentMap.of_prediction(self.data_sample, len(self.classes)).ids + 1

    def segments(self) -> list[Segment]:
        """See :meth:`FrameResult.segments`."""
        tracks = zip(self.instances_ids.tolist(), self.labels.tolist(), self.scores.tolist(), self.masks)
        return [self._segment(*track) for track in tracks if track[-1].any()]


FRAME_RESULTS = {VSS: SemanticFrame, VPS: PanopticFrame, VIS: InstanceFrame}


@dataclass(frozen=True)
class FrameSegments:
    """Segments of a frame, without its image and full-size masks.

    Attributes:
        index (int): Position of the frame in its source, from 0.
        name (str): Name of the frame.
        segments (list[Segment]): The segments, run-length encoded.
    """

    index: int
    name: str
    segments: list[Segment]


@dataclass
class VideoResult:
    """Result for one video.

    Attributes:
        video (str): Name of the video.
        source (str): Path, address or description of the input.
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``.
        size (tuple[int, int]): Height and width of its frames.
        fps (float, optional): Frames per second of the segmented frames, if the source knows its own.
        num_frames (int): Number of segmented frames.
        skipped (list[SkippedFrame]): Frames that could not be read.
        files (dict[str, Path]): Written files and folders, by format.
        frames (list[FrameSegments]): The prediction, run-length encoded; empty with ``return_frames=False``.
        error (str, optional): Why the video could not be segmented, with ``keep_going=True``; None if it was.
    """

    video: str
    source: str
    task: str
    size: tuple[int, int] = (0, 0)
    fps: float | None = None
    num_frames: int = 0
    skipped: list[SkippedFrame] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    frames: list[FrameSegments] = field(default_factory=list)
    error: str | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[FrameSegments]:
        """Iterate over ``frames``."""
        return iter(self.frames)
