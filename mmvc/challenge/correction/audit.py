# Copyright (c) The mmvc contributors. All rights reserved.
"""The record of a correction run: every segment in doubt, every question and answer."""

import html
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mmvc.utils.atomic import atomic_write
from mmvc.utils.names import output_path
from mmvc.utils.typing import PathLike

from .findings import Finding, Inquiry


class Audit:
    """The record of a run: ``audit.json``, ``audit.html`` to look at, and ``pictures/``.

    Args:
        folder (str | Path): Folder to write to.
        dry_run (bool): Whether the run asks nothing. The files are then called ``dry_run.*`` and
            ``dry_run_pictures/``, so that the record of a real run is kept. Defaults to False.

    Attributes:
        findings (list[Finding]): The segments in doubt.
        broken (dict[str, str]): Videos that could not be corrected, and what is wrong with their files.
    """

    #: The files are rewritten after a growth of 10 %, so that the total I/O stays linear.
    GROWTH = 1.1

    def __init__(self, folder: PathLike, dry_run: bool = False) -> None:
        self.folder = Path(folder)
        self.name = 'dry_run' if dry_run else 'audit'
        self._pictures = 'dry_run_pictures' if dry_run else 'pictures'
        self._written = 0
        self.findings: list[Finding] = []
        self.broken: dict[str, str] = {}
        self._records: list[dict] = []

    def add(self, findings: list[Finding]) -> list[dict]:
        """Add the findings of a video, and write their pictures.

        The files are written from time to time, so that a run that is killed leaves a record.

        Args:
            findings (list[Finding]): The findings. Their pictures are dropped from memory.

        Returns:
            list[dict]: The findings as they are in ``audit.json``, for :meth:`add_again`.
        """
        records = []
        for finding in findings:
            record = finding.to_dict()
            for inquiry, written in zip(finding.inquiries, record['inquiries']):
                name = f'{finding.video}_{finding.segment:03d}_{inquiry.frame:05d}'
                path = output_path(self.folder, self._pictures, name, suffix='.jpg')
                written['picture'] = path.relative_to(self.folder).as_posix()
                atomic_write(path, inquiry.picture, sync=False)
                inquiry.picture = b''  # it is on disk now
            records.append(record)
        self._extend(findings, records)
        return records

    def add_again(self, records: list[dict]) -> None:
        """Add what an earlier run found in a video. The pictures are on disk already.

        Args:
            records (list[dict]): Result of :meth:`add`.
        """
        self._extend([Finding.from_dict(record) for record in records], records)

    def write(self) -> None:
        """Write ``audit.json`` and ``audit.html``."""
        self._written = len(self._records)
        text = json.dumps(self._records, indent=1, ensure_ascii=False) + '\n'
        atomic_write(self.folder / f'{self.name}.json', text.encode('utf-8', 'backslashreplace'))
        atomic_write(self.folder / f'{self.name}.html', self._to_html().encode('utf-8', 'xmlcharrefreplace'))

    def outcomes(self) -> dict[str, int]:
        """Return the number of segments by outcome."""
        return dict(Counter(finding.outcome for finding in self.findings))

    def count(self) -> dict[str, int]:
        """Count the questions.

        Returns:
            dict[str, int]: ``questions``; of these ``unusable`` (the answer names none of the possible classes),
            ``failed`` (no answer yet) and ``refused`` (there will be no answer).
        """
        inquiries = list(self._inquiries())
        return dict(
            questions=len(inquiries),
            unusable=sum(inquiry.answer is not None and inquiry.choice is None for inquiry in inquiries),
            failed=sum(_failed(inquiry) for inquiry in inquiries),
            refused=sum(inquiry.refused for inquiry in inquiries))

    def last_error(self) -> str | None:
        """Return the error of the last question that failed and was not refused; None if there is none."""
        errors = [inquiry.error for inquiry in self._inquiries() if _failed(inquiry)]
        return errors[-1] if errors else None

    def estimate_cost(self, input_price: float, output_price: float, picture_tokens: int,
                      answer_tokens: int) -> float:
        """Estimate what the questions cost at most.

        Four letters of text count as one token. Answers that are in the cache count as well.

        Args:
            input_price (float): Price of a million input tokens.
            output_price (float): Price of a million output tokens.
            picture_tokens (int): Number of tokens of a picture.
            answer_tokens (int): Number of tokens of the longest possible answer, see :func:`answer_limit`.

        Returns:
            float: Cost in the currency of the prices.
        """
        questions = [inquiry.question for inquiry in self._inquiries()]
        read = sum(picture_tokens + -(-len(question) // 4) for question in questions)
        return (read * input_price + len(questions) * answer_tokens * output_price) / 1e6

    def _inquiries(self) -> Iterator[Inquiry]:
        for finding in self.findings:
            yield from finding.inquiries

    def _extend(self, findings: list[Finding], records: list[dict]) -> None:
        self.findings += findings
        self._records += records
        if len(self._records) > self.GROWTH * self._written:
            self.write()

    def _to_html(self) -> str:
        rows = []
        for record in self._records:
            change = ' -> '.join(filter(None, (record['old'], record['new'])))
            rows.append(f'<h3>{html.escape(record["video"])}, segment {record["segment"]}: {html.escape(change)} '
                        f'({record["outcome"]}; {record["reason"]})</h3>')
            for inquiry in record['inquiries']:
                answer = inquiry['error'] if inquiry['answer'] is None else inquiry['answer']
                rows.append(f'<p><img src="{html.escape(inquiry["picture"])}" height="200"><br>'
                            f'{html.escape(inquiry["question"])}<br><b>{html.escape(answer or "")}</b></p>')
        return '<!DOCTYPE html><meta charset="utf-8"><title>Category correction</title>\n' + '\n'.join(rows) + '\n'


def _failed(inquiry: Inquiry) -> bool:
    """Whether a question has no answer but may get one in another run."""
    return inquiry.error is not None and not inquiry.refused
