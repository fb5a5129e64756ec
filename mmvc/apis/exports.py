# Copyright (c) The mmvc contributors. All rights reserved.
"""Results in the forms of other packages: COCO's dicts and supervision's detections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmvc.utils.errors import UsageError

if TYPE_CHECKING:
    from .segments import FrameSegments


def coco_annotations(frame: FrameSegments, first_id: int = 1) -> list[dict]:
    """Make the annotations of one frame in COCO's form.

    Ids of categories and images begin with 1, since many programs take 0 for the background.

    Args:
        frame (FrameSegments): The frame.
        first_id (int): Id of its first annotation. Defaults to 1.

    Returns:
        list[dict]: See :meth:`Convertible.to_coco`.
    """
    annotations = []
    for number, segment in enumerate(frame.segments, first_id):
        entry = segment.to_json()
        annotation = dict(id=number, image_id=frame.index + 1, category_id=segment.label + 1,
                          segmentation=entry['segmentation'], area=entry['area'], bbox=entry['bbox'], iscrowd=0)
        if segment.score is not None:
            annotation['score'] = segment.score
        if segment.is_track:  # where different readers look for it: TAO's, and CVAT's
            annotation.update(track_id=segment.id, attributes=dict(track_id=segment.id))
        annotations.append(annotation)
    return annotations


def coco_dataset(video: str, frames: Iterable[FrameSegments], classes: Sequence[str]) -> dict:
    """Make a data set in COCO's form of one video.

    Args:
        video (str): Name of the video.
        frames (Iterable[FrameSegments]): Its frames.
        classes (Sequence[str]): Names of the classes.

    Returns:
        dict: ``info``, ``videos``, ``images`` (one per frame, with ``video_id`` and ``frame_id``, its position from
        0; ``file_name`` is the name of the frame with ``.png``), ``annotations`` and ``categories``.
    """
    images: list[dict] = []
    annotations: list[dict] = []
    for position, frame in enumerate(frames):
        height, width = frame.size
        images.append(dict(id=frame.index + 1, file_name=f'{frame.name}.png', height=height, width=width, video_id=1,
                           frame_id=position))
        annotations += coco_annotations(frame, len(annotations) + 1)
    return dict(
        info=dict(description=f'video "{video}", segmented by mmvc'),
        videos=[dict(id=1, name=video)],
        images=images,
        annotations=annotations,
        categories=[dict(id=index, name=name) for index, name in enumerate(classes, 1)])


def supervision_arguments(frame: FrameSegments) -> dict[str, Any]:
    """Make the arguments of ``supervision.Detections`` for one frame.

    Args:
        frame (FrameSegments): The frame.

    Returns:
        dict: ``xyxy`` float32 (n, 4), ``mask`` bool (n, H, W), ``confidence`` float32 (n,) or None, ``class_id`` int64
        (n,), ``tracker_id`` int64 (n,) or None, and ``data`` with the array ``class_name``.
    """
    return dict(
        xyxy=frame.boxes,
        mask=frame.masks,
        confidence=frame.scores,
        class_id=frame.labels,
        tracker_id=None if frame.task == 'vss' else frame.ids,
        data=dict(class_name=np.array([segment.class_name for segment in frame.segments], dtype=str)))


def supervision_detections(frame: FrameSegments) -> Any:
    """Convert a frame to ``supervision.Detections``, see :meth:`Convertible.to_supervision`."""
    try:
        import supervision  # optional dependency
    except ImportError as error:
        raise UsageError('to_supervision() needs the package supervision: install it (pip install supervision)'
                         ) from error
    return supervision.Detections(**supervision_arguments(frame))
