# Copyright (c) The mmvc contributors. All rights reserved.
"""Segments one video for the page: a video that browsers play, tables, and an archive to download."""

import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mmvc.apis import VideoResult, VideoSegInferencer
from mmvc.utils.errors import UsageError

from .tables import CLASS_COLUMNS, TRACK_COLUMNS, Rows, class_rows, to_csv, track_rows

#: kind of output -> label on the page, and arguments of the inferencer
OUTPUTS: dict[str, tuple[str, dict]] = {
    'overlay': ('Overlay', {}),
    'side_by_side': ('Side by side', dict(side_by_side=True)),
    'masks': ('Masks', dict(alpha=1.)),
}
#: called with a description, the number of items that are done, and their total or None
ShowProgress = Callable[[str, int, int | None], None]

_INTERVAL = 0.2  # seconds between two reports, which travel to the browser


class Cancelled(Exception):
    """The user has cancelled the job."""


class JobResult(NamedTuple):
    """What a job made.

    Args:
        video (Path): H.264 video to show.
        archive (Path): Zip file with the video, masks, run-length encoded segments and tables.
        classes (list[list]): See :func:`class_rows`.
        tracks (list[list]): See :func:`track_rows`.
        summary (str): The result in a line.
    """
    video: Path
    archive: Path
    classes: Rows
    tracks: Rows
    summary: str


def run_job(inferencer: VideoSegInferencer, source: str | Path, output: str, folder: str | Path,
            show_progress: ShowProgress | None = None, cancelled: threading.Event | None = None,
            max_frames: int | None = None, score_thr: float = 0.3) -> JobResult:
    """Segment a video.

    Args:
        inferencer (VideoSegInferencer): Model.
        source (str | Path): Video file, uploaded or recorded.
        output (str): What the video shows, a key of :data:`OUTPUTS`.
        folder (str | Path): Empty folder for the files.
        show_progress (Callable, optional): Called several times per second. Defaults to None.
        cancelled (Event, optional): Ends the job once it is set. Defaults to None.
        max_frames (int, optional): Segment only so many frames. Defaults to None: all.
        score_thr (float): Instances that score less are neither drawn nor listed (VIS). Defaults to 0.3.

    Returns:
        JobResult: Paths of files in ``folder``, and tables.

    Raises:
        Cancelled: ``cancelled`` was set.
        UsageError: The file cannot be read, is no video, or ``output`` is not known.
        DataError: The video is damaged.
    """
    if output not in OUTPUTS:
        raise UsageError(f'output must be one of {", ".join(OUTPUTS)}, got {output!r}')
    report = _throttled(show_progress or (lambda description, done, total: None), cancelled or threading.Event())
    results = Path(folder, 'results')
    result, = inferencer(str(source), out_dir=results, formats=('overlay', 'masks', 'rle'), max_frames=max_frames,
                         score_thr=score_thr, skip_broken=True, progress=report, **OUTPUTS[output][1])
    video = result.files['overlay']
    if video.suffix != '.mp4':
        raise UsageError(f'"{Path(source).name}" is a picture: choose a video')
    shown = result.above(score_thr)
    classes, tracks = class_rows(shown), track_rows(shown)
    (results / 'classes.csv').write_text(to_csv(CLASS_COLUMNS, classes), encoding='utf-8')
    (results / 'tracks.csv').write_text(to_csv(TRACK_COLUMNS, tracks), encoding='utf-8')
    archive = Path(folder, f'{video.stem}.zip')
    _pack(results, archive, report)
    return JobResult(video, archive, classes, tracks, _summary(result, len(classes), len(tracks), max_frames))


def _throttled(show: ShowProgress, cancelled: threading.Event) -> ShowProgress:
    """Pass on some of many reports: the first of each step, the last, and a few per second."""
    shown: tuple[str, float] = ('', 0.)

    def report(description: str, done: int, total: int | None) -> None:
        nonlocal shown
        if cancelled.is_set():
            raise Cancelled
        now = time.monotonic()
        if description != shown[0] or done == total or now - shown[1] >= _INTERVAL:
            shown = description, now
            show(description, done, total)

    return report


def _pack(folder: Path, archive: Path, report: ShowProgress) -> None:
    """Write all files below a folder to a zip file. Files that are compressed already are only stored."""
    files = sorted(path for path in folder.rglob('*') if path.is_file()
                   and not any(part.startswith('.') for part in path.relative_to(folder).parts))
    with zipfile.ZipFile(archive, 'w') as target:
        for index, path in enumerate(files):
            report('pack the results', index, len(files))
            method = zipfile.ZIP_STORED if path.suffix in ('.mp4', '.png') else zipfile.ZIP_DEFLATED
            target.write(path, Path(archive.stem, path.relative_to(folder)), method)


def _summary(result: VideoResult, classes: int, tracks: int, max_frames: int | None) -> str:
    height, width = result.size
    parts = [f'{result.num_frames} frames of {width}x{height}', f'{classes} classes']
    parts += [f'{tracks} tracks'] if tracks else []
    skipped = sum(frame.count for frame in result.skipped)
    parts += [f'{skipped} damaged frames skipped'] if skipped else []
    parts += [f'stopped after {max_frames} frames (--max-frames)'] if result.num_frames == max_frames else []
    return ', '.join(parts)
