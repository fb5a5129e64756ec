# Copyright (c) The mmvc contributors. All rights reserved.
"""Correct the classes of doubtful segments of a video by asking a multimodal model (arXiv 2406.04979)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError

from .asking import Asker
from .backends import RefusedError, TemporaryBackendError
from .findings import Finding, Inquiry
from .groups import GroupTable
from .questions import PICTURES, draw_picture, make_question, parse_answer
from .segments import SegmentTrack, VideoSegments


@dataclass(frozen=True)
class CorrectionSettings:
    """Which segments are asked about, and how.

    Args:
        num_questions (int): Number of frames per segment to ask about, >= 1. Defaults to 3.
        picture (str): ``'crop'`` or ``'mark'``, see :func:`draw_picture`. Defaults to ``'crop'``.
        min_area (float): See :meth:`VideoSegments.find_doubtful`. Defaults to 0.005.
        min_change (float): See :meth:`VideoSegments.find_doubtful`. Defaults to 0.05.
        max_margin (float): See :meth:`VideoSegments.find_doubtful`. Defaults to 0.2.

    Raises:
        UsageError: An entry is out of range.
    """
    num_questions: int = 3
    picture: str = 'crop'
    min_area: float = 0.005
    min_change: float = 0.05
    max_margin: float = 0.2

    def __post_init__(self) -> None:
        check_number('num_questions', self.num_questions, 1, whole=True)
        for name in ('min_area', 'min_change', 'max_margin'):
            check_number(name, getattr(self, name), 0, 1)
        if self.picture not in PICTURES:
            raise UsageError(f'picture = {self.picture!r}: expected one of {", ".join(PICTURES)}')


def correct_video(video: str,
                  labels: np.ndarray,
                  read_image: Callable[[int], np.ndarray],
                  table: GroupTable,
                  asker: Asker | None,
                  settings: CorrectionSettings | None = None,
                  margins: Sequence[np.ndarray] | None = None) -> tuple[np.ndarray, list[Finding]]:
    """Find the doubtful segments of a video, ask about them, and give them the class that most answers name.

    A class needs more than half of the questions about a segment. So an answer that names no class counts against
    every change.

    Args:
        video (str): Name of the video.
        labels (np.ndarray): Label maps, uint8 (T, H, W).
        read_image (Callable): Index of a frame -> image in BGR, uint8 (H, W, 3).
        table (GroupTable): Groups of classes.
        asker (Asker, optional): Asks the model. None for a dry run, which asks nothing.
        settings (CorrectionSettings, optional): Which segments are asked about, and how. Defaults to None: the default
            settings.
        margins (Sequence[np.ndarray], optional): See :class:`VideoSegments`. Defaults to None.

    Returns:
        tuple[np.ndarray, list[Finding]]: The corrected label maps (a new array, uint8 (T, H, W)) and the findings.

    Raises:
        BackendError: The model cannot be used as configured.
    """
    settings = settings or CorrectionSettings()
    found = VideoSegments(labels, table, margins)
    corrected = labels.copy()
    findings: list[Finding] = []
    for segment in found.find_doubtful(settings.min_area, settings.min_change, settings.max_margin):
        group = table.groups[segment.group]
        finding = Finding(
            video=video,
            segment=len(findings),
            stuff=group.stuff,
            reason=segment.reason,
            pixels={table.classes[label]: pixels for label, pixels in sorted(segment.pixels.items())},
            frames=len(segment.areas),
            old=table.classes[segment.label])
        for frame in choose_frames(segment, settings.num_questions):
            picture = draw_picture(read_image(frame), found.mask(segment, frame), settings.picture)
            finding.inquiries.append(Inquiry(frame, make_question(group.stuff, group.classes), picture))
        findings.append(finding)
        if asker is None:
            continue
        for inquiry in finding.inquiries:
            _ask(asker, inquiry, group.stuff, group.classes)
        finding.decide()
        if finding.new is not None:
            for frame in segment.areas:
                corrected[frame][found.mask(segment, frame)] = table.classes.index(finding.new)
    return corrected, findings


def choose_frames(segment: SegmentTrack, count: int) -> list[int]:
    """Choose the frames to ask about.

    The frames of the segment are divided into ``count`` equal parts. Of each part, the frame where the segment is
    largest is chosen.

    Args:
        segment (SegmentTrack): The segment.
        count (int): Number of frames. Fewer are chosen if the segment has fewer.

    Returns:
        list[int]: Indices of the frames, ascending.
    """
    parts = np.array_split(sorted(segment.areas), min(count, len(segment.areas)))
    return [int(max(part, key=lambda frame: segment.areas[frame])) for part in parts]


def _ask(asker: Asker, inquiry: Inquiry, stuff: str, classes: Sequence[str]) -> None:
    """Ask a question and store the answer, or the error if the run can go on without an answer."""
    try:
        inquiry.answer = asker.ask(inquiry.picture, inquiry.question)
        inquiry.choice = parse_answer(inquiry.answer, stuff, classes)
    except (RefusedError, TemporaryBackendError) as error:
        inquiry.error, inquiry.refused = str(error), isinstance(error, RefusedError)
