# Copyright (c) The mmvc contributors. All rights reserved.
"""Writers of predictions: frame by frame under hidden names, which are renamed when a video is complete."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import mmcv
import numpy as np
from PIL import Image

from mmvc.formats import vipseg, vspw, youtube_vis
from mmvc.formats.label_maps import require_label_map
from mmvc.utils.atomic import atomic_folder, atomic_path, atomic_write, require_writable
from mmvc.utils.errors import UsageError
from mmvc.utils.files import PREDICTION_SUFFIXES
from mmvc.utils.names import output_path
from mmvc.visualization import PanelDrawer, SegmentMap, VideoWriter, legend_strip, stable_colors

from .results import FrameResult, InstanceFrame, PanopticFrame, SemanticFrame

AddFrame = Callable[[FrameResult], None]
# A legend of all classes must not cover more than a few lines under the video.
_MAX_LEGEND = 24


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video that are known before its first frame.

    Attributes:
        name (str): Its name, unique in a run.
        source (str): Where it came from.
        fps (float): Frames per second to write.
        is_image (bool): Whether it is a single image.
    """

    name: str
    source: str
    fps: float
    is_image: bool


@dataclass(frozen=True)
class WriterSettings:
    """Settings that all writers share.

    Attributes:
        out_dir (Path): Folder to write to.
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``.
        classes (Sequence[str]): Names of the classes.
        palette (Sequence[Sequence[int]]): RGB colour of each class.
        alpha (float): Opacity of the colours over the frames, from 0 to 1.
        score_thr (float): Instances that score less are not drawn.
    """

    out_dir: Path
    task: str
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    alpha: float = 0.6
    score_thr: float = 0.3


class Writer:
    """Writes one kind of file.

    Args:
        settings (WriterSettings): Settings of all writers.
    """

    def __init__(self, settings: WriterSettings) -> None:
        self.settings = settings

    def target(self, video: VideoInfo) -> Path:
        """The file or folder that the video's predictions end up in."""
        raise NotImplementedError

    def open(self, video: VideoInfo) -> AbstractContextManager[AddFrame]:
        """Begin a video; the function that is returned takes one frame after the other."""
        raise NotImplementedError


class OverlayWriter(Writer):
    """Frames with the prediction drawn over them: ``<video>.mp4``, or ``<image>.png`` for a single image."""

    def target(self, video: VideoInfo) -> Path:
        """See :meth:`Writer.target`."""
        return output_path(self.settings.out_dir, video.name, suffix='.png' if video.is_image else '.mp4')

    @contextmanager
    def open(self, video: VideoInfo) -> Iterator[AddFrame]:
        """See :meth:`Writer.open`."""
        if video.is_image:
            yield lambda result: atomic_write(
                self.target(video), cv2.imencode('.png', self.draw(result)[..., ::-1])[1].tobytes())
            return
        with VideoWriter(self.target(video), video.fps) as writer:
            yield lambda result: writer.write(self.draw(result))

    def draw(self, result: FrameResult) -> np.ndarray:
        """Draw a frame.

        Args:
            result (FrameResult): The prediction.

        Returns:
            ndarray: RGB, uint8, as wide as the frame; semantic maps with a legend below, if the classes are few.
        """
        settings, width = self.settings, result.image.shape[1]
        drawer = PanelDrawer(settings.classes, settings.palette, settings.alpha, min_width=width, max_width=width)
        segments = SegmentMap.of_prediction(result.above(settings.score_thr).data_sample, len(settings.classes))
        picture = drawer.draw(mmcv.bgr2rgb(result.image), segments)
        if settings.task != 'vss' or len(settings.classes) > _MAX_LEGEND:
            return picture
        legend = legend_strip(width, settings.classes, np.asarray(settings.palette, np.uint8))
        return np.concatenate([picture, legend])


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


class VSPWWriter(Writer):
    """Semantic maps as the server of VSPW takes them, in ``vspw/``.

    Raises:
        UsageError: There are too many classes for its files.
    """

    def __init__(self, settings: WriterSettings) -> None:
        super().__init__(settings)
        require_label_map(len(settings.classes))

    def target(self, video: VideoInfo) -> Path:
        """See :meth:`Writer.target`."""
        return output_path(self.settings.out_dir, 'vspw', video.name)

    @contextmanager
    def open(self, video: VideoInfo) -> Iterator[AddFrame]:
        """See :meth:`Writer.open`."""
        with atomic_folder(self.target(video), replaces=PREDICTION_SUFFIXES) as folder:
            writer = vspw.PredictionWriter(folder)

            def add(result: FrameResult) -> None:
                assert isinstance(result, SemanticFrame)
                writer.add(result.name, result.sem_seg)

            yield add


class VIPSegWriter(Writer):
    """Panoptic maps as VIPSeg's script takes them, in ``vipseg/``.

    Its JSON lists the videos that this run has finished.
    """

    def __init__(self, settings: WriterSettings) -> None:
        super().__init__(settings)
        self._folder = settings.out_dir / 'vipseg'
        self._finished: list[dict] = []

    def target(self, video: VideoInfo) -> Path:
        """See :meth:`Writer.target`."""
        return vipseg.predicted_masks(self._folder, video.name)

    @contextmanager
    def open(self, video: VideoInfo) -> Iterator[AddFrame]:
        """See :meth:`Writer.open`."""
        with atomic_folder(self.target(video), replaces=PREDICTION_SUFFIXES) as folder:
            writer = vipseg.PredictionWriter(folder, video.name)

            def add(result: FrameResult) -> None:
                assert isinstance(result, PanopticFrame)
                writer.add(result.name, result.panoptic_seg, result.segments_info)

            yield add
        self._finished.append(writer.entry)
        vipseg.write_predicted_segments(self._folder, self._finished)


class YouTubeVISWriter(Writer):
    """Tracks as the servers of YouTube-VIS and OVIS take them, in ``youtube_vis/``.

    ``videos.json`` says what their ``video_id`` and ``category_id`` mean, in the format of the annotations. Both files
    list the videos that this run has finished.
    """

    def __init__(self, settings: WriterSettings) -> None:
        super().__init__(settings)
        self._folder = settings.out_dir / 'youtube_vis'
        self._detections: list[dict] = []
        self._videos: list[dict] = []
        self._categories = dict(enumerate(settings.classes, 1))

    def target(self, video: VideoInfo) -> Path:
        """See :meth:`Writer.target`."""
        return self._folder / youtube_vis.RESULTS

    @contextmanager
    def open(self, video: VideoInfo) -> Iterator[AddFrame]:
        """See :meth:`Writer.open`."""
        described: dict = dict(id=len(self._videos) + 1, name=video.name, height=0, width=0, file_names=[])
        tracks = youtube_vis.TrackCollector(described['id'], list(self._categories))

        def add(result: FrameResult) -> None:
            assert isinstance(result, InstanceFrame)
            described['height'], described['width'] = result.image.shape[:2]
            described['file_names'].append(result.name)
            tracks.add(result.masks, *(values.tolist()
                                       for values in (result.instances_ids, result.labels, result.scores)))

        yield add
        self._detections += tracks.detections()
        self._videos.append(described)
        youtube_vis.write_results(self._folder, self._detections)
        youtube_vis.write_result_videos(self._folder, self._videos, self._categories)


#: writer of the format ``official`` for each task
OFFICIAL_WRITERS = dict(vss=VSPWWriter, vps=VIPSegWriter, vis=YouTubeVISWriter)
FORMATS = ('overlay', 'masks', 'rle', 'official')


def build_writers(formats: str | Sequence[str], settings: WriterSettings) -> dict[str, Writer]:
    """Make the writers of a run, and check that their folder can be written to.

    Args:
        formats (str | Sequence[str]): One or several of ``FORMATS``.
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
        raise UsageError(f'formats are {", ".join(FORMATS)}; got {", ".join(unknown) or "none"}')
    try:
        require_writable(settings.out_dir)
    except OSError as error:
        raise UsageError(f'cannot write to folder "{settings.out_dir}" ({error.strerror or error}): choose another '
                         'one (--out-dir)') from error
    return {name: kinds[name](settings) for name in dict.fromkeys(formats)}
