# Copyright (c) The mmvc contributors. All rights reserved.
"""Writers of the submission formats of the benchmarks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmvc.formats import vipseg_results, vspw, youtube_vis_results
from mmvc.formats.label_maps import require_label_map
from mmvc.utils.atomic import atomic_folder
from mmvc.utils.files import PREDICTION_SUFFIXES
from mmvc.utils.names import output_path

from .results import FrameResult, InstanceFrame, PanopticFrame, SemanticFrame
from .writer import AddFrame, VideoInfo, Writer, WriterSettings


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

    Its JSON lists the videos that this run has finished, or found finished.
    """

    def __init__(self, settings: WriterSettings) -> None:
        super().__init__(settings)
        self._folder = settings.out_dir / 'vipseg'
        self._finished: list[dict] = []

    def target(self, video: VideoInfo) -> Path:
        """See :meth:`Writer.target`."""
        return vipseg_results.predicted_masks(self._folder, video.name)

    @contextmanager
    def open(self, video: VideoInfo) -> Iterator[AddFrame]:
        """See :meth:`Writer.open`."""
        with atomic_folder(self.target(video), replaces=PREDICTION_SUFFIXES) as folder:
            writer = vipseg_results.PredictionWriter(folder, video.name)

            def add(result: FrameResult) -> None:
                assert isinstance(result, PanopticFrame)
                writer.add(result.name, result.panoptic_seg, result.segments_info)

            yield add
        self.restore(video, writer.entry)

    def entry(self, video: VideoInfo) -> Any:
        """See :meth:`Writer.entry`."""
        return next(entry for entry in self._finished if entry['video_id'] == video.name)

    def restore(self, video: VideoInfo, entry: Any) -> None:
        """See :meth:`Writer.restore`."""
        self._finished.append(entry)
        vipseg_results.write_predicted_segments(self._folder, self._finished)


class YouTubeVISWriter(Writer):
    """Tracks as the servers of YouTube-VIS and OVIS take them, in ``youtube_vis/``.

    ``videos.json`` says what their ``video_id`` and ``category_id`` mean, in the format of the annotations. Both files
    list the videos that this run has finished, or found finished.
    """

    def __init__(self, settings: WriterSettings) -> None:
        super().__init__(settings)
        self._folder = settings.out_dir / 'youtube_vis'
        self._detections: list[dict] = []
        self._videos: list[dict] = []
        self._categories = dict(enumerate(settings.classes, 1))

    def target(self, video: VideoInfo) -> Path:
        """See :meth:`Writer.target`."""
        return self._folder / youtube_vis_results.RESULTS

    @contextmanager
    def open(self, video: VideoInfo) -> Iterator[AddFrame]:
        """See :meth:`Writer.open`."""
        described: dict = dict(id=len(self._videos) + 1, name=video.name, height=0, width=0, file_names=[])
        tracks = youtube_vis_results.TrackCollector(described['id'], list(self._categories))

        def add(result: FrameResult) -> None:
            assert isinstance(result, InstanceFrame)
            described['height'], described['width'] = result.image.shape[:2]
            described['file_names'].append(result.name)
            tracks.add(result.masks, *(values.tolist()
                                       for values in (result.instances_ids, result.labels, result.scores)))

        yield add
        self._add(described, tracks.detections())

    def entry(self, video: VideoInfo) -> Any:
        """See :meth:`Writer.entry`."""
        described = next(described for described in self._videos if described['name'] == video.name)
        tracks = [track for track in self._detections if track['video_id'] == described['id']]
        return dict(video=described, tracks=[_with_counts(track, bytes.decode) for track in tracks])

    def restore(self, video: VideoInfo, entry: Any) -> None:
        """See :meth:`Writer.restore`."""
        number = len(self._videos) + 1
        tracks = [dict(_with_counts(track, str.encode), video_id=number) for track in entry['tracks']]
        self._add(dict(entry['video'], id=number), tracks)

    def _add(self, described: dict, tracks: list[dict]) -> None:
        self._videos.append(described)
        self._detections += tracks
        youtube_vis_results.write_results(self._folder, self._detections)
        youtube_vis_results.write_result_videos(self._folder, self._videos, self._categories)


def _with_counts(track: dict, convert: Callable) -> dict:
    """A track whose counts are converted: JSON holds text, the other functions take bytes."""
    masks = [rle and dict(rle, counts=convert(rle['counts'])) for rle in track['segmentations']]
    return dict(track, segmentations=masks)


#: writer of the format ``official`` for each task
OFFICIAL_WRITERS = dict(vss=VSPWWriter, vps=VIPSegWriter, vis=YouTubeVISWriter)
