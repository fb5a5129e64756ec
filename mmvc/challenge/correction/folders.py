# Copyright (c) The mmvc contributors. All rights reserved.
"""Correct folders of predictions, and keep a record of every question."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from mmvc.formats.label_maps import read_label_map
from mmvc.utils.atomic import atomic_folder
from mmvc.utils.batch import Failure, attempt
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.files import IMAGE_SUFFIXES, PREDICTION_SUFFIXES, files_in, files_of, require_placeholder, videos_in
from mmvc.utils.folder_lock import hold_folders
from mmvc.utils.image_files import read_image
from mmvc.utils.names import output_path
from mmvc.utils.outputs import protect_inputs
from mmvc.utils.progress import ProgressBars
from mmvc.utils.typing import PathLike

from ..records import fingerprint, read_record, write_record
from .asking import Asker
from .audit import Audit
from .findings import Finding
from .groups import GroupTable
from .video import CorrectionSettings, correct_video


def correct_folders(images: str,
                    pred_dir: PathLike,
                    output_dir: PathLike | None,
                    audit_dir: PathLike,
                    table: GroupTable,
                    asker: Asker | None,
                    settings: CorrectionSettings | None = None,
                    margins_dir: PathLike | Mapping[str, PathLike] | None = None,
                    resume: bool = False,
                    keep_going: bool = False) -> Audit:
    """Correct ``<pred_dir>/<video>/<frame>.png``.

    The findings of each finished video are kept in ``<audit_dir>/videos/``.

    Args:
        images (str): Folder with the frames of a video. ``{video}`` stands for the name of the video.
        pred_dir (str | Path): Folder of the predictions, 8-bit class indices.
        output_dir (str | Path, optional): Folder for all predictions, corrected or unchanged. The folder of a video
            appears when it is complete and replaces an older one. None for a dry run.
        audit_dir (str | Path): Folder of the record, see :class:`Audit`.
        table (GroupTable): Groups of classes.
        asker (Asker, optional): Asks the model. None for a dry run, which asks nothing.
        settings (CorrectionSettings, optional): Which segments are asked about, and how. Defaults to None: the default
            settings.
        margins_dir (str | Path | Mapping[str, str | Path], optional): How sure the prediction was: a folder of
            ``<video>/<frame>.png``, 8 bits, from 0 to 255; or the folder of each video that has margins. Defaults to
            None.
        resume (bool): Whether to skip videos that an earlier run has finished. They are done again if their files, the
            model or the settings have changed. Defaults to False.
        keep_going (bool): Whether to go on with the other videos if files of one are broken or missing. The audit
            names it (``broken``), and nothing is written for it. Defaults to False: it is an error.

    Returns:
        Audit: The segments in doubt, the questions and the changes.

    Raises:
        FileNotFoundError: A folder or file is missing.
        DataError: A file is damaged, or the files of a video differ in size.
        UsageError: The output folder is missing; it or that of the record is one of the inputs, contains one or is
            inside one; or another process writes there.
        BackendError: The model cannot be used as configured.
    """
    require_placeholder(images)
    pred_dir, output_dir = Path(pred_dir), None if output_dir is None else Path(output_dir)
    if output_dir is None and asker is not None:
        raise UsageError('there is no output folder for the corrected predictions: give output_dir (--out)')
    videos = videos_in(pred_dir)
    margins = margins_dir.values() if isinstance(margins_dir, Mapping) else [margins_dir]
    protect_inputs([output_dir, audit_dir], {pred_dir: 'that of the predictions'}, '--out, --audit')
    protect_inputs([output_dir, audit_dir], [*(images.replace('{video}', video) for video in videos), *margins],
                   '--out, --audit')
    settings = settings or CorrectionSettings()
    audit = Audit(audit_dir, dry_run=asker is None)
    with hold_folders([audit_dir, output_dir]), ProgressBars('videos') as progress:
        try:

            def work(name: str) -> None:
                video = _find_files(name, images, pred_dir, margins_dir)
                if asker is None or output_dir is None:  # a dry run
                    audit.add(_correct(video, table, None, settings)[1])
                else:
                    _correct_and_write(video, table, asker, settings, output_path(output_dir, name), audit, resume)

            for name in progress.track(videos, len(videos), 'correcting'):
                outcome = attempt(work, name, keep_going=keep_going)
                if isinstance(outcome, Failure):
                    audit.broken[name] = outcome.error
        finally:  # also if the server gives up
            audit.write()
    return audit


@dataclass
class _VideoFiles:
    """The files of a video in the order of its frames.

    Args:
        name (str): Name of the video.
        predictions (dict[str, Path]): Label maps by name of the frame.
        images (list[Path]): Images.
        margins (list[Path]): Margins; empty if there are none.
    """
    name: str
    predictions: dict[str, Path]
    images: list[Path]
    margins: list[Path]

    @cached_property
    def labels(self) -> np.ndarray:
        """Label maps, uint8 (T, H, W)."""
        label_maps = [read_label_map(str(path)) for path in self.predictions.values()]
        sizes = {label_map.shape for label_map in label_maps}
        if len(sizes) != 1:
            raise DataError(f'video "{self.name}" has predictions of the sizes {sorted(sizes)}: expected one size '
                            '(and at least one frame)')
        return np.stack(label_maps)

    def read_margins(self) -> list[np.ndarray] | None:
        """Read the margins, uint8 (H, W) each; None if there are none."""
        margins = [read_label_map(str(path)) for path in self.margins]
        size = self.labels.shape[1:]
        if any(margin.shape != size for margin in margins):
            raise DataError(f'video "{self.name}": margins must have the size of the label maps, {size}')
        return margins or None

    def read_image(self, index: int) -> np.ndarray:
        """Read an image in BGR, resized to the size of the label maps, uint8 (H, W, 3)."""
        image = read_image(self.images[index])
        height, width = self.labels.shape[1:]
        if image.shape[:2] == (height, width):
            return image
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _find_files(video: str, images: str, pred_dir: Path,
                margins_dir: PathLike | Mapping[str, PathLike] | None) -> _VideoFiles:
    """List the files of a video, see :func:`correct_folders`."""
    predictions = files_in(pred_dir / video, ('.png', ))
    image_files = _files_of_frames(predictions, Path(images.replace('{video}', video)), IMAGE_SUFFIXES)
    if isinstance(margins_dir, Mapping):
        folder = margins_dir.get(video)
    else:
        folder = None if margins_dir is None else Path(margins_dir, video)
    margins = [] if folder is None else _files_of_frames(predictions, Path(folder), ('.png', ))
    return _VideoFiles(video, predictions, image_files, margins)


def _files_of_frames(frames: Collection[str], folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """List the files of frames, given by name, in a folder."""
    files = files_of(folder, suffixes, frames)
    missing = sorted(set(frames) - set(files))
    if missing:
        raise FileNotFoundError(f'"{folder}" has no file for frame {missing[0]} ({len(missing)} missing of '
                                f'{len(frames)} predicted ones)')
    return [files[name] for name in frames]


def _correct(video: _VideoFiles, table: GroupTable, asker: Asker | None,
             settings: CorrectionSettings) -> tuple[np.ndarray, list[Finding]]:
    margins = video.read_margins()
    return correct_video(video.name, video.labels, video.read_image, table, asker, settings, margins)


def _correct_and_write(video: _VideoFiles, table: GroupTable, asker: Asker, settings: CorrectionSettings,
                       output_dir: Path, audit: Audit, resume: bool) -> None:
    """Correct a video, write its predictions and add it to the audit; skip it if ``resume`` finds it finished."""
    record = output_path(audit.folder / 'videos', video.name, suffix='.json')
    groups = [asdict(group) for group in table.groups]
    digest = fingerprint([asker.backend.name, asdict(settings), table.classes, groups],
                         [*video.predictions.values(), *video.images, *video.margins])
    known = read_record(record, digest) if resume else None
    if known is not None and set(files_in(output_dir, ('.png', ))) == set(video.predictions):
        audit.add_again(known)
        return
    corrected, findings = _correct(video, table, asker, settings)
    records = audit.add(findings)
    with atomic_folder(output_dir, replaces=PREDICTION_SUFFIXES) as draft:
        for path, label_map in zip(video.predictions.values(), corrected):
            (draft / path.name).write_bytes(cv2.imencode('.png', label_map)[1].tobytes())
    inquiries = [inquiry for finding in findings for inquiry in finding.inquiries]
    if all(inquiry.error is None or inquiry.refused for inquiry in inquiries):
        write_record(record, digest, records)
