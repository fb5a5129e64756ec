# Copyright (c) The mmvc contributors. All rights reserved.
"""Correcting the classes of doubtful segments by asking a multimodal model (arXiv 2406.04979)."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError

from .asking import Asker
from .backends import RefusedError, TemporaryBackendError
from .groups import GroupTable
from .questions import PICTURES, draw_picture, make_question, parse_answer
from .segments import Segment, VideoSegments


@dataclass
class Inquiry:
    """One question about one frame of a segment.

    Args:
        frame (int): Index of the frame in the video.
        question (str): The question.
        picture (bytes): The picture, JPEG.
        answer (str, optional): What the model wrote; None if it was not asked or did not answer.
        choice (str, optional): The class that the answer names, None if it names none of those asked about.
        error (str, optional): Why there is no answer.
        refused (bool): Whether there will be none: the server does not take the request. Defaults to False.
    """
    frame: int
    question: str
    picture: bytes
    answer: str | None = None
    choice: str | None = None
    error: str | None = None
    refused: bool = False


@dataclass
class Finding:
    """A doubtful segment, what was asked about it and what came of it.

    Args:
        video (str): Name of the video.
        segment (int): Its number among the video's findings.
        stuff (str): The group's name.
        reason (str): Why it is in doubt: ``'always'``, ``'class change'`` or ``'low margin'``.
        pixels (dict[str, int]): Class -> pixels predicted as it.
        frames (int): Number of frames in which it is seen.
        old (str): The class of most of its pixels.
        new (str, optional): The class it got; None if it was left as it was.
        outcome (str): ``'changed'``, ``'confirmed'`` (all its pixels already have this class), ``'no majority'``,
            ``'no answer'`` or ``'not asked'`` (dry run).
        inquiries (list[Inquiry]): The questions.
    """
    video: str
    segment: int
    stuff: str
    reason: str
    pixels: dict[str, int]
    frames: int
    old: str
    new: str | None = None
    outcome: str = 'not asked'
    inquiries: list[Inquiry] = field(default_factory=list)

    def to_dict(self) -> dict:
        """Everything but the pictures, as JSON can hold it."""
        record = asdict(self)
        for inquiry in record['inquiries']:
            del inquiry['picture']
        return record


@dataclass(frozen=True)
class CorrectionSettings:
    """What is asked about, and how.

    Args:
        num_questions (int): Frames of a segment to ask about, >= 1. Defaults to 3.
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

    A class needs more than half of the questions about a segment, so answers that name none of the classes count
    against every change.

    Args:
        video (str): Its name.
        labels (np.ndarray): Label maps, uint8 (T, H, W).
        read_image (Callable): Index of a frame -> image in BGR, uint8 (H, W, 3).
        table (GroupTable): Groups of classes.
        asker (Asker, optional): Whom to ask; None: nobody, a dry run.
        settings (CorrectionSettings, optional): What is asked about, and how. Defaults to None: its defaults.
        margins (Sequence[np.ndarray], optional): See :class:`VideoSegments`. Defaults to None.

    Returns:
        tuple[np.ndarray, list[Finding]]: The corrected label maps, a new array, and the findings.

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
            try:
                inquiry.answer = asker.ask(inquiry.picture, inquiry.question)
                inquiry.choice = parse_answer(inquiry.answer, group.stuff, group.classes)
            except (RefusedError, TemporaryBackendError) as error:
                inquiry.error, inquiry.refused = str(error), isinstance(error, RefusedError)
        decide(finding)
        if finding.new is not None:
            for frame in segment.areas:
                corrected[frame][found.mask(segment, frame)] = table.classes.index(finding.new)
    return corrected, findings


def choose_frames(segment: Segment, count: int) -> list[int]:
    """Frames to ask about: of each of ``count`` equal parts of the segment's time, that where it is largest."""
    parts = np.array_split(sorted(segment.areas), min(count, len(segment.areas)))
    return [int(max(part, key=lambda frame: segment.areas[frame])) for part in parts]


def decide(finding: Finding) -> None:
    """Set the outcome, and the new class if there is one, from the answers."""
    votes = Counter(inquiry.choice for inquiry in finding.inquiries if inquiry.choice is not None)
    if not votes:
        finding.outcome = 'no answer'
        return
    choice, count = votes.most_common(1)[0]
    if 2 * count <= len(finding.inquiries):
        finding.outcome = 'no majority'
    elif list(finding.pixels) == [choice]:
        finding.outcome = 'confirmed'
    else:
        finding.new, finding.outcome = choice, 'changed'
