# Copyright (c) The mmvc contributors. All rights reserved.
"""The record of a doubtful segment: the questions about it, the answers and the outcome."""

from collections import Counter
from dataclasses import asdict, dataclass, field


@dataclass
class Inquiry:
    """One question about one frame of a segment.

    Args:
        frame (int): Index of the frame in the video.
        question (str): The question.
        picture (bytes): The picture, JPEG.
        answer (str, optional): Text that the model wrote. None if it was not asked or did not answer.
        choice (str, optional): Class that the answer names. None if it names none of the possible classes.
        error (str, optional): Why there is no answer.
        refused (bool): Whether the server refused the request, so that asking again is useless. Defaults to False.
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
    """A doubtful segment, the questions about it and the outcome.

    Args:
        video (str): Name of the video.
        segment (int): Number of the finding in its video, from 0.
        stuff (str): Name of the group of classes.
        reason (str): Why the class is in doubt: ``'always'``, ``'class change'`` or ``'low margin'``.
        pixels (dict[str, int]): Predicted class -> number of pixels.
        frames (int): Number of frames in which the segment is visible.
        old (str): Class of most of its pixels.
        new (str, optional): Its corrected class. None if it was left unchanged.
        outcome (str): ``'changed'``, ``'confirmed'`` (all pixels have the class of the answers), ``'no majority'``,
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

    def decide(self) -> None:
        """Set ``outcome``, and ``new`` if the class changes, from the answers.

        A class needs more than half of the questions.
        """
        votes = Counter(inquiry.choice for inquiry in self.inquiries if inquiry.choice is not None)
        if not votes:
            self.outcome = 'no answer'
            return
        choice, count = votes.most_common(1)[0]
        if 2 * count <= len(self.inquiries):
            self.outcome = 'no majority'
        elif list(self.pixels) == [choice]:
            self.outcome = 'confirmed'
        else:
            self.new, self.outcome = choice, 'changed'

    def to_dict(self) -> dict:
        """Return everything except the pictures, as JSON can hold it."""
        record = asdict(self)
        for inquiry in record['inquiries']:
            del inquiry['picture']
        return record

    @classmethod
    def from_dict(cls, record: dict) -> 'Finding':
        """Read a finding back. Its pictures are empty.

        Args:
            record (dict): Result of :meth:`to_dict`. A ``picture`` of an inquiry is ignored.

        Returns:
            Finding: The finding.
        """
        inquiries = [Inquiry(**{**inquiry, 'picture': b''}) for inquiry in record['inquiries']]
        return cls(**{**record, 'inquiries': inquiries})
