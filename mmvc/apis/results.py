# Copyright (c) The mmvc contributors. All rights reserved.
"""What an inferencer returns."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mmdet.structures import DetDataSample
from pycocotools import mask as mask_utils

from mmvc.utils.tasks import VIS, VPS, VSS
from mmvc.visualization import SegmentMap


@dataclass(frozen=True)
class SkippedFrame:
    """A frame that could not be read, or a run of them that begins with it.

    Attributes:
        index (int): Position in the source, from 0.
        name (str): Name of the frame, or its file.
        reason (str): What is wrong with it.
        count (int): Number of frames lost here. Defaults to 1.
    """

    index: int
    name: str
    reason: str
    count: int = 1


@dataclass(frozen=True)
class Segment:
    """A class region (VSS), a segment (VPS) or an instance (VIS) in one frame, small enough to keep for many frames.

    Attributes:
        id (int): Stable through the video: the class index (VSS), segment id (VPS) or instance id (VIS).
        label (int): Class index.
        class_name (str): Its name.
        score (float, optional): Confidence in [0, 1]; None for VSS.
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
        """Describe it as COCO's result files do.

        Returns:
            dict: ``id``, ``category_id``, ``category``, ``segmentation``, ``area``, ``bbox`` (x, y, width, height, in
            pixels) and, where there is one, ``score``.
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
    """The prediction for one frame, with full-size masks; a subclass for each task.

    Attributes:
        video (str): Name of the video.
        index (int): Position of the frame in its source, from 0.
        name (str): Name of the frame: that of its file without ending, or its position in eight digits.
        image (ndarray): The frame, BGR, uint8, (H, W, 3).
        data_sample (DetDataSample): The prediction as models, metrics and visualizers of OpenMMLab exchange it.
        classes (tuple[str]): Names of the classes.
    """

    video: str
    index: int
    name: str
    image: np.ndarray
    data_sample: DetDataSample
    classes: tuple[str, ...]

    def id_map(self, score_thr: float = 0.) -> np.ndarray:
        """One number per pixel.

        Args:
            score_thr (float): Instances that score less are left out (VIS only). Defaults to 0.

        Returns:
            ndarray: (H, W): class indices (VSS, uint8), segment ids (VPS, int32, 0 = void), or instance ids + 1 (VIS,
            int32, 0 = none; where instances overlap, the one with the highest score).
        """
        raise NotImplementedError

    def segments(self) -> list[Segment]:
        """The regions that have at least one pixel."""
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

    def id_map(self, score_thr: float = 0.) -> np.ndarray:
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
        """``dict(id, category_id, isthing, score)`` of the segments seen in the frame."""
        return self.data_sample.segments_info

    def id_map(self, score_thr: float = 0.) -> np.ndarray:
        """See :meth:`FrameResult.id_map`."""
        return self.panoptic_seg

    def segments(self) -> list[Segment]:
        """See :meth:`FrameResult.segments`."""
        return [self._segment(info['id'], info['category_id'], info['score'], self.panoptic_seg == info['id'])
                for info in self.segments_info]


class InstanceFrame(FrameResult):
    """A frame of video instance segmentation: n tracks, best first."""

    @property
    def masks(self) -> np.ndarray:
        """Masks, bool (n, H, W); all False where a track is not seen."""
        return self.data_sample.pred_track_instances.masks.numpy()

    @property
    def labels(self) -> np.ndarray:
        """Class indices (n,)."""
        return self.data_sample.pred_track_instances.labels.numpy()

    @property
    def scores(self) -> np.ndarray:
        """Confidences in [0, 1], (n,)."""
        return self.data_sample.pred_track_instances.scores.numpy()

    @property
    def instances_ids(self) -> np.ndarray:
        """Ids that are stable through the video, (n,)."""
        return self.data_sample.pred_track_instances.instances_ids.numpy()

    def id_map(self, score_thr: float = 0.) -> np.ndarray:
        """See :meth:`FrameResult.id_map`."""
        return SegmentMap.of_prediction(self.data_sample, len(self.classes), score_thr).ids + 1

    def segments(self) -> list[Segment]:
        """See :meth:`FrameResult.segments`."""
        tracks = zip(self.instances_ids.tolist(), self.labels.tolist(), self.scores.tolist(), self.masks)
        return [self._segment(*track) for track in tracks if track[-1].any()]


FRAME_RESULTS = {VSS: SemanticFrame, VPS: PanopticFrame, VIS: InstanceFrame}


@dataclass(frozen=True)
class FrameSegments:
    """What is kept of a frame when the next one comes.

    Attributes:
        index (int): Position of the frame in its source, from 0.
        name (str): Name of the frame.
        segments (list[Segment]): Its regions, run-length encoded.
    """

    index: int
    name: str
    segments: list[Segment]


@dataclass
class VideoResult:
    """What became of one input.

    Attributes:
        video (str): Name of the video.
        source (str): Where it came from.
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``.
        size (tuple[int, int]): Height and width of its frames.
        fps (float, optional): Frames per second of the segmented frames, if the source tells.
        num_frames (int): Number of frames segmented.
        skipped (list[SkippedFrame]): Frames that could not be read.
        files (dict[str, Path]): What was written, by format.
        frames (list[FrameSegments]): The prediction, run-length encoded, if it was asked for.
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

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[FrameSegments]:
        """Iterate over the kept frames."""
        return iter(self.frames)
