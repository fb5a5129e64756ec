# Copyright (c) The mmvc contributors. All rights reserved.
"""Correcting folders of predictions, with a record of every question."""

import html
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from mmengine.utils import ProgressBar

from mmvc.formats.label_maps import read_label_map
from mmvc.utils.atomic import atomic_folder, atomic_write
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.files import files_in, require_placeholder, videos_in
from mmvc.utils.image_files import FRAME_SUFFIXES
from mmvc.utils.natural_order import natural_key
from mmvc.utils.typing import PathLike

from ..records import fingerprint, read_record, write_record
from .asking import Asker
from .correction import CorrectionSettings, Finding, Inquiry, correct_video
from .groups import GroupTable


class Audit:
    """The record of a run: ``audit.json``, ``audit.html`` to look at, and ``pictures/``.

    Args:
        folder (str | Path): Where to write it.
        dry_run (bool): Whether nobody is asked: files are then ``dry_run.*`` and ``dry_run_pictures/``, so that the
            record of a real run stays. Defaults to False.
    """

    #: Records are written when there are so many times more than at the last writing: all writing is linear in them.
    GROWTH = 1.1

    def __init__(self, folder: PathLike, dry_run: bool = False) -> None:
        self.folder = Path(folder)
        self.name = 'dry_run' if dry_run else 'audit'
        self._pictures = 'dry_run_pictures' if dry_run else 'pictures'
        self._written = 0
        self.findings: list[Finding] = []
        self._records: list[dict] = []

    def add(self, findings: list[Finding]) -> list[dict]:
        """Add a video's findings, and now and then write everything, so that a run that is killed leaves a record.

        Returns:
            list[dict]: The findings as they are in ``audit.json``, for :meth:`add_again`.
        """
        records = []
        for finding in findings:
            record = finding.to_dict()
            for inquiry, written in zip(finding.inquiries, record['inquiries']):
                written['picture'] = f'{self._pictures}/{finding.video}_{finding.segment:03d}_{inquiry.frame:05d}.jpg'
                atomic_write(self.folder / written['picture'], inquiry.picture, sync=False)
                inquiry.picture = b''  # on disk now
            records.append(record)
        self.findings += findings
        self._records += records
        self._write_if_grown()
        return records

    def add_again(self, records: list[dict]) -> None:
        """Add what an earlier run has found out about a video; its pictures are on disk."""
        for record in records:
            inquiries = [Inquiry(**{**inquiry, 'picture': b''}) for inquiry in record['inquiries']]
            self.findings.append(Finding(**{**record, 'inquiries': inquiries}))
        self._records += records
        self._write_if_grown()

    def _write_if_grown(self) -> None:
        if len(self._records) > self.GROWTH * self._written:
            self.write()

    def write(self) -> None:
        """Write ``audit.json`` and ``audit.html``."""
        self._written = len(self._records)
        text = json.dumps(self._records, indent=1, ensure_ascii=False) + '\n'
        atomic_write(self.folder / f'{self.name}.json', text.encode())
        atomic_write(self.folder / f'{self.name}.html', self._to_html().encode())

    def outcomes(self) -> dict[str, int]:
        """How many segments ended how."""
        return dict(Counter(finding.outcome for finding in self.findings))

    def count(self) -> dict[str, int]:
        """Numbers of questions, of unusable answers, of questions that got no answer yet, and of refused ones.

        Unusable are those that name no class asked about.
        """
        inquiries = [inquiry for finding in self.findings for inquiry in finding.inquiries]
        return dict(
            questions=len(inquiries),
            unusable=sum(inquiry.answer is not None and inquiry.choice is None for inquiry in inquiries),
            failed=sum(inquiry.error is not None and not inquiry.refused for inquiry in inquiries),
            refused=sum(inquiry.refused for inquiry in inquiries))

    def last_error(self) -> str | None:
        """Why the last of the questions without answer that may still get one has none."""
        errors = [inquiry.error for finding in self.findings for inquiry in finding.inquiries
                  if inquiry.error and not inquiry.refused]
        return errors[-1] if errors else None

    def estimate_cost(self, input_price: float, output_price: float, picture_tokens: int,
                      answer_tokens: int) -> float:
        """Most that the questions can cost.

        Args:
            input_price (float): Price of a million tokens read.
            output_price (float): Price of a million tokens written.
            picture_tokens (int): Tokens that a picture counts as.
            answer_tokens (int): Tokens of the longest answer that is allowed, see :func:`answer_limit`.

        Returns:
            float: In the currency of the prices. Text counts as one token for four letters; answers that
            are in the cache already are counted as well.
        """
        questions = [inquiry.question for finding in self.findings for inquiry in finding.inquiries]
        read = sum(picture_tokens + -(-len(question) // 4) for question in questions)
        return (read * input_price + len(questions) * answer_tokens * output_price) / 1e6

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


def correct_folders(images: str,
                    pred_dir: PathLike,
                    output_dir: PathLike | None,
                    audit_dir: PathLike,
                    table: GroupTable,
                    asker: Asker | None,
                    settings: CorrectionSettings | None = None,
                    margins_dir: PathLike | Mapping[str, PathLike] | None = None,
                    resume: bool = False) -> Audit:
    """Correct ``<pred_dir>/<video>/<frame>.png``.

    What a finished video gave is kept in ``<audit_dir>/videos/``.

    Args:
        images (str): Folder of a video's frames, with ``{video}`` in the place of its name.
        pred_dir (str | Path): Folder of the predictions, 8-bit class indices.
        output_dir (str | Path, optional): Folder for all predictions, corrected or not; a video's folder appears when
            it is complete, and replaces an older one. None: for a dry run.
        audit_dir (str | Path): Folder of the record, see :class:`Audit`.
        table (GroupTable): Groups of classes.
        asker (Asker, optional): Whom to ask; None: nobody, a dry run.
        settings (CorrectionSettings, optional): What is asked about, and how. Defaults to None: its defaults.
        margins_dir (str | Path | Mapping[str, str | Path], optional): Folder of ``<video>/<frame>.png``, 8 bits: how
            sure the prediction was, from 0 to 255; or the folder of each video that has one. Defaults to None.
        resume (bool): Whether to skip videos that an earlier run has finished, unless their files, the model or the
            settings have changed. Defaults to False.

    Returns:
        Audit: What was found, asked and changed.

    Raises:
        FileNotFoundError: A folder or file is missing.
        DataError: A file is damaged, or the sizes of a video's files differ.
        UsageError: The output folder is missing or that of the predictions.
        BackendError: The model cannot be used as configured.
    """
    require_placeholder(images)
    if output_dir is None and asker is not None:
        raise UsageError('there is no output folder for the corrected predictions')
    pred_dir = Path(pred_dir)
    if output_dir is not None and pred_dir.resolve() == Path(output_dir).resolve():
        raise UsageError(f'the output folder "{output_dir}" is that of the predictions: choose another one')
    settings = settings or CorrectionSettings()
    audit = Audit(audit_dir, dry_run=asker is None)
    videos = videos_in(pred_dir)
    progress = ProgressBar(len(videos))
    try:
        for video in videos:
            frames = files_in(pred_dir / video, ('.png', ))
            frames = {name: frames[name] for name in sorted(frames, key=natural_key)}
            pictures = _same_frames(Path(images.replace('{video}', video)), FRAME_SUFFIXES, frames)
            folder = margins_dir.get(video) if isinstance(margins_dir, Mapping) else \
                margins_dir and Path(margins_dir, video)
            margin_files = [] if folder is None else _same_frames(Path(folder), ('.png', ), frames)
            if asker is not None and output_dir is not None:
                record = audit.folder / 'videos' / f'{video}.json'
                groups = [asdict(group) for group in table.groups]
                digest = fingerprint([asker.backend.name, asdict(settings), table.classes, groups],
                                     [*frames.values(), *pictures, *margin_files])
                known = read_record(record, digest) if resume else None
                if known is not None and set(files_in(Path(output_dir, video), ('.png', ))) == set(frames):
                    audit.add_again(known)
                    progress.update()
                    continue
            margins = [read_label_map(str(path)) for path in margin_files] or None
            labels = _stack(video, [read_label_map(str(path)) for path in frames.values()])
            if margins is not None and any(margin.shape != labels.shape[1:] for margin in margins):
                raise DataError(f'video "{video}": margins must have the size of the label maps, {labels.shape[1:]}')

            def read_image(index: int, pictures: list[Path] = pictures,
                           size: tuple = labels.shape[:0:-1]) -> np.ndarray:
                image = cv2.imread(str(pictures[index]))
                if image is None:
                    raise DataError(f'image "{pictures[index]}" cannot be decoded: restore the file')
                return image if image.shape[1::-1] == size else cv2.resize(image, size, interpolation=cv2.INTER_AREA)

            corrected, findings = correct_video(video, labels, read_image, table, asker, settings, margins)
            found = audit.add(findings)
            if asker is not None and output_dir is not None:
                with atomic_folder(Path(output_dir, video)) as draft:
                    for path, label_map in zip(frames.values(), corrected):
                        (draft / path.name).write_bytes(cv2.imencode('.png', label_map)[1].tobytes())
                inquiries = [inquiry for finding in findings for inquiry in finding.inquiries]
                if all(inquiry.error is None or inquiry.refused for inquiry in inquiries):
                    write_record(record, digest, found)
            progress.update()
    finally:  # also if the server gives up
        audit.write()
    print()  # the bar does not end its line
    return audit


def _same_frames(folder: Path, suffixes: tuple, frames: dict[str, Path]) -> list[Path]:
    """Files of the predicted frames in another folder."""
    files = files_in(folder, suffixes)
    missing = sorted(set(frames) - set(files))
    if missing:
        raise FileNotFoundError(f'"{folder}" has no file for frame {missing[0]} ({len(missing)} missing of '
                                f'{len(frames)} predicted ones)')
    return [files[name] for name in frames]


def _stack(video: str, label_maps: list[np.ndarray]) -> np.ndarray:
    sizes = {label_map.shape for label_map in label_maps}
    if len(sizes) != 1:
        raise DataError(f'video "{video}" has predictions of the sizes {sorted(sizes)}: expected one size (and at '
                        'least one frame)')
    return np.stack(label_maps)
