# Copyright (c) The mmvc contributors. All rights reserved.
"""Segments of frames, run-length encoded, and what they can be converted to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils

from mmvc.utils.errors import named
from mmvc.utils.tasks import VIS, VPS
from mmvc.visualization import SegmentMap, stable_colors

from .exports import coco_annotations, supervision_detections
from .plotting import Picture, draw_frame
from .results_table import to_rows


@dataclass(frozen=True, repr=False)
class Segment(Picture):
    """A class region (VSS), a segment (VPS) or an instance (VIS) in one frame, run-length encoded.

    Attributes:
        id (int): Class index (VSS), segment id (VPS) or instance id (VIS), the same in all frames of the video.
        label (int): Class index.
        class_name (str): Name of the class.
        score (float, optional): Score in [0, 1]; None for VSS.
        rle (dict): COCO run-length encoding, ``dict(size=[H, W], counts=bytes)``.
        is_track (bool): Whether the id is that of an object: an instance (VIS) or a thing (VPS). Defaults to False.
    """

    id: int
    label: int
    class_name: str
    score: float | None
    rle: dict
    is_track: bool = False

    @property
    def mask(self) -> np.ndarray:
        """The decoded mask, bool (H, W)."""
        return mask_utils.decode(self.rle).astype(bool)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(mask_utils.area(self.rle))

    @property
    def box(self) -> list[float]:
        """Bounding box: x, y, width, height, in pixels."""
        return mask_utils.toBbox(self.rle).tolist()

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
            area=self.area,
            bbox=self.box)
        return entry if self.score is None else dict(entry, score=self.score)

    def plot(self) -> np.ndarray:
        """Draw the mask in the colour of its id, on black.

        Returns:
            ndarray: RGB, uint8, (H, W, 3).
        """
        return self.mask[..., None] * stable_colors([self.id])[0]

    def __repr__(self) -> str:
        score = '' if self.score is None else f', score={self.score:.3f}'
        return f'Segment(id={self.id}, class_name={self.class_name!r}{score}, area={self.area})'


class Convertible:
    """What the results of one frame have in common: :class:`FrameSegments` and :class:`FrameResult`."""

    def encode(self) -> FrameSegments:
        """The frame with its masks run-length encoded, which take some kilobytes, and without its image."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Segment]:
        """Iterate over the segments, see :class:`Segment`."""
        return iter(self.encode().segments)

    def to_supervision(self) -> Any:
        """Convert to ``supervision.Detections``, for the annotators and tools of that package.

        Returns:
            supervision.Detections: ``xyxy``, ``mask``, ``confidence`` (None for VSS), ``class_id``, ``tracker_id``
            (None for VSS; for VPS, stuff has an id as well) and ``data['class_name']``, one row per segment.

        Raises:
            UsageError: supervision is not installed.
        """
        return supervision_detections(self.encode())

    def to_coco(self) -> list[dict]:
        """Convert to annotations as in COCO's files, with masks as run-length encoding.

        Returns:
            list[dict]: ``id``, ``image_id``, ``category_id`` (class index + 1), ``segmentation``, ``area``, ``bbox``,
            ``iscrowd``, and, where there is one, ``score`` and ``track_id``. The image id is the index of the frame
            plus 1.
        """
        return coco_annotations(self.encode())

    def to_table(self) -> list[dict]:
        """Convert to rows, one per segment: see :data:`mmvc.apis.results_table.COLUMNS`."""
        return to_rows(self.encode())


@dataclass(frozen=True, repr=False)
class FrameSegments(Convertible, Picture):
    """Segments of a frame, without its image and full-size masks.

    Attributes:
        index (int): Position of the frame in its source, from 0.
        name (str): Name of the frame.
        segments (list[Segment]): The segments, run-length encoded.
        size (tuple[int, int]): Height and width of the frame.
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``.
        classes (tuple[str]): Names of the classes.
        palette (Sequence[Sequence[int]]): RGB colour of each class.
    """

    index: int
    name: str
    segments: list[Segment]
    size: tuple[int, int]
    task: str
    classes: tuple[str, ...]
    palette: Sequence[Sequence[int]]

    def encode(self) -> FrameSegments:
        """See :meth:`Convertible.encode`."""
        return self

    def above(self, score_thr: float) -> FrameSegments:
        """Leave out segments with a score below a threshold; those without a score stay.

        Args:
            score_thr (float): Least score, in [0, 1].

        Returns:
            FrameSegments: A frame with the others.
        """
        return replace(self, segments=[segment for segment in self.segments
                                       if segment.score is None or segment.score >= score_thr])

    @property
    def masks(self) -> np.ndarray:
        """The decoded masks, bool (n, H, W)."""
        if not self.segments:
            return np.zeros((0, *self.size), bool)
        return mask_utils.decode([segment.rle for segment in self.segments]).transpose(2, 0, 1).astype(bool)

    @property
    def ids(self) -> np.ndarray:
        """Ids of the segments, int64 (n,)."""
        return np.array([segment.id for segment in self.segments], np.int64)

    @property
    def labels(self) -> np.ndarray:
        """Class indices, int64 (n,)."""
        return np.array([segment.label for segment in self.segments], np.int64)

    @property
    def scores(self) -> np.ndarray | None:
        """Scores in [0, 1], float32 (n,); None if the task has none (VSS)."""
        scores = [segment.score for segment in self.segments]
        return None if None in scores or self.task not in (VPS, VIS) else np.array(scores, np.float32)

    @property
    def boxes(self) -> np.ndarray:
        """Bounding boxes: left, top, right, bottom in pixels, float32 (n, 4). Right and bottom are not inside."""
        boxes = np.array([segment.box for segment in self.segments], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return boxes

    def segment_map(self) -> SegmentMap:
        """The segments as a map with one id per pixel; where instances overlap, the highest score is in front."""
        ids = self.ids.tolist()
        tracks = frozenset(segment.id for segment in self.segments if segment.is_track)
        return SegmentMap.from_masks(self.masks, self.labels.tolist(), ids, tracks,
                                     self.scores if self.task == VIS else None)

    def id_map(self) -> np.ndarray:
        """Map each pixel to one id, as :meth:`FrameResult.id_map` does."""
        ids = self.segment_map().ids
        if self.task == VIS:
            return ids + 1
        return np.maximum(ids, 0) if self.task == VPS else ids.astype(label_type(len(self.classes) - 1))

    def class_map(self, void: int = 255) -> np.ndarray:
        """Map each pixel to its class index.

        Args:
            void (int): Value for pixels without a segment. Defaults to 255.

        Returns:
            ndarray: (H, W), uint8, or int32 if class indices or ``void`` do not fit.
        """
        return self.segment_map().class_map(void).astype(label_type(max(void, len(self.classes) - 1), void))

    def plot(self, image: np.ndarray | None = None, alpha: float = 0.6, score_thr: float = 0.3,
             legend: bool = True) -> np.ndarray:
        """Draw the segments.

        Args:
            image (ndarray, optional): The frame, RGB, uint8, (H, W, 3). Defaults to None: a dark background.
            alpha (float): Opacity of the colours over the image, from 0 to 1. Defaults to 0.6.
            score_thr (float): Instances that score less are not drawn (VIS). Defaults to 0.3.
            legend (bool): Whether to draw a legend below. Defaults to True.

        Returns:
            ndarray: RGB, uint8, as wide as the frame.
        """
        shown = self.above(score_thr) if self.task == VIS else self
        return draw_frame(image, shown.segment_map(), self.classes, self.palette, alpha, legend)

    def __len__(self) -> int:
        return len(self.segments)

    def __bool__(self) -> bool:  # a frame without segments is a result as well
        return True

    def __repr__(self) -> str:
        return f'FrameSegments(index={self.index}, name={self.name!r}, {in_words(self.segments)})'


def label_type(largest: int, smallest: int = 0) -> type[np.integer]:
    """Integer type that holds some labels: uint8, or else int32."""
    return np.uint8 if 0 <= smallest and largest <= 255 else np.int32


def in_words(segments: Sequence[Segment]) -> str:
    """The number of segments and their classes, in a few words."""
    names = list(dict.fromkeys(segment.class_name for segment in segments))
    if not segments:
        return 'no segments'
    return f'{len(segments)} segment{"s" * (len(segments) > 1)}: {named(names)}'
