# Copyright (c) The mmvc contributors. All rights reserved.
"""Writers of predictions: frame by frame under hidden names, which are renamed when a video is complete."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from mmvc.utils.atomic import atomic_folder, atomic_path, require_writable
from mmvc.utils.choices import OUTPUT_FORMATS
from mmvc.utils.errors import UsageError
from mmvc.utils.files import PREDICTION_SUFFIXES
from mmvc.utils.names import output_path
from mmvc.visualization import stable_colors

from .official_writers import OFFICIAL_WRITERS
from .overlay_writer import OverlayWriter
from .results import FrameResult
from .writer import AddFrame, VideoInfo, Writer, WriterSettings


class MaskWriter(Writer):
    """Maps of one number per pixel, :meth:`FrameResult.id_map`, as PNG: ``masks/<video>/<frame>.png``.

    8-bit with a palette, so that they can be looked at; 16-bit grey where a number exceeds 255.
    """

    def target(self, video: VideoInfo) -> Path:
        """See :meth:`Writer.target`."""
        return output_path(self.settings.out_dir, 'masks', video.name)

    @contextmanager
    def open(self, video: VideoInfo) -> Iterator[AddFrame]:
        """See :meth:`Writer.open`."""
        with atomic_folder(self.target(video), replaces=PREDICTION_SUFFIXES) as folder:
            if self.settings.task == 'vss':
                colors = np.asarray(self.settings.palette, np.uint8)[:256]
            else:
                first = 0 if self.settings.task == 'vis' else 1  # the id that id_map() gives the value 1
                colors = np.concatenate([np.zeros((1, 3), np.uint8), stable_colors(range(first, first + 255))])

            def add(result: FrameResult) -> None:
                ids = result.above(self.settings.score_thr).id_map()
                if ids.max(initial=0) > 65535:
                    raise UsageError(f'frame "{result.name}" has the id {ids.max()}, masks hold ids up to 65535: ask '
                                     'for the format rle or official')
                if ids.max(initial=0) > 255:
                    image = Image.fromarray(ids.astype(np.uint16))
                else:
                    image = Image.fromarray(ids.astype(np.uint8))
                    image.putpalette(colors.tobytes())
                image.save(output_path(folder, result.name, suffix='.png'))

            yield add


class RLEWriter(Writer):
    """One JSON per video with run-length encoded masks: ``<video>.json``.

    ``dict(video, source, task, fps, classes, frames)``; a frame is ``dict(index, name, segments)``, and a segment as
    :meth:`Segment.to_json` says.
    """

    def target(self, video: VideoInfo) -> Path:
        """See :meth:`Writer.target`."""
        return output_path(self.settings.out_dir, video.name, suffix='.json')

    @contextmanager
    def open(self, video: VideoInfo) -> Iterator[AddFrame]:
        """See :meth:`Writer.open`."""
        with atomic_path(self.target(video)) as draft, open(draft, 'w', encoding='utf-8') as file:
            head = dict(video=video.name, source=video.source, task=self.settings.task, fps=video.fps,
                        classes=list(self.settings.classes))
            file.write(json.dumps(head)[:-1] + ', "frames": [')
            separator = '\n'

            def add(result: FrameResult) -> None:
                nonlocal separator
                segments = [segment.to_json() for segment in result.segments()]
                file.write(separator + json.dumps(dict(index=result.index, name=result.name, segments=segments)))
                separator = ',\n'

            yield add
            file.write('\n]}\n')


def build_writers(formats: str | Sequence[str], settings: WriterSettings) -> dict[str, Writer]:
    """Make the writers of a run, and check that their folder can be written to.

    Args:
        formats (str | Sequence[str]): One or several of ``OUTPUT_FORMATS``.
        settings (WriterSettings): Settings of all writers.

    Returns:
        dict[str, Writer]: Writer by format.

    Raises:
        UsageError: A format is unknown, or the folder cannot be written to.
    """
    formats = [formats] if isinstance(formats, str) else formats
    kinds = dict(overlay=OverlayWriter, masks=MaskWriter, rle=RLEWriter, official=OFFICIAL_WRITERS[settings.task])
    unknown = sorted(set(formats) - kinds.keys())
    if unknown or not formats:
        raise UsageError(f'formats are {", ".join(OUTPUT_FORMATS)}; got {", ".join(unknown) or "none"}')
    try:
        require_writable(settings.out_dir)
    except OSError as error:
        raise UsageError(f'cannot write to folder "{settings.out_dir}" ({error.strerror or error}): choose another '
                         'one (--out-dir)') from error
    return {name: kinds[name](settings) for name in dict.fromkeys(formats)}
