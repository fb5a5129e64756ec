# Copyright (c) The mmvc contributors. All rights reserved.
"""One video after the other: from its frames to its files and its result."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from mmengine.logging import print_log

from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.tasks import VIS

from .frame_reader import FrameReader
from .passes import ended_by_interrupt, warn_of_skipped
from .results import FrameResult, InstanceFrame, SkippedFrame
from .run_records import RunRecords
from .sources import BrokenSource
from .video_result import VideoResult
from .writer import VideoInfo, Writer


@dataclass(frozen=True)
class VideoRun:
    """Segments the videos of one call, and writes their files.

    Args:
        frames (Callable): Yields the segmented frames of a reader.
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``.
        dataset_meta (dict): ``classes`` and ``palette``.
        writers (dict[str, Writer]): Writer by format.
        records (RunRecords, optional): Records of finished videos; None if nothing is written.
        return_frames (bool): Whether results have the segments of the frames.
        keep_going (bool): Whether a video that cannot be read gets a result with an error.
        skip_existing (bool): Whether finished videos are left out.
    """

    frames: Callable[[FrameReader], Iterator[FrameResult]]
    task: str
    dataset_meta: dict
    writers: dict[str, Writer]
    records: RunRecords | None
    return_frames: bool
    keep_going: bool
    skip_existing: bool

    def segment(self, reader: FrameReader, video: VideoInfo) -> VideoResult:
        """Segment a video and write its files.

        Args:
            reader (FrameReader): Reads its frames.
            video (VideoInfo): What is known of it.

        Returns:
            VideoResult: Its result; or, with ``keep_going``, what is wrong with it.

        Raises:
            UsageError: It cannot be read.
            DataError: As before.
        """
        result = VideoResult(video.name, video.source, self.task, self.dataset_meta['classes'],
                             self.dataset_meta['palette'], fps=reader.fps)
        try:
            if not self._is_finished(result, reader, video):
                self._segment(result, reader, video)
        except (DataError, UsageError) as error:
            if not self.keep_going:
                raise
            result.error, result.frames = str(error), []
        return result

    def _is_finished(self, result: VideoResult, reader: FrameReader, video: VideoInfo) -> bool:
        """Whether an earlier run has completed a video; if so, its result is filled in."""
        if not self.skip_existing or self.records is None or isinstance(reader.source, BrokenSource):
            return False
        found = self.records.find(video, reader.source.files, self.writers)
        if isinstance(found, str):
            print_log(f'{video.name} is segmented again: {found}', logger='current')
        if not isinstance(found, dict):
            return False
        result.size, result.num_frames = tuple(found['size']), found['num_frames']
        result.skipped = [SkippedFrame(*frame) for frame in found['skipped']]
        result.files = {name: writer.target(video) for name, writer in self.writers.items()}
        result.is_earlier = True
        return True

    def _segment(self, result: VideoResult, reader: FrameReader, video: VideoInfo) -> None:
        best = -1.  # score of an instance
        with ExitStack() as files:
            files.enter_context(ended_by_interrupt(reader))
            add_frame = [files.enter_context(writer.open(video)) for writer in self.writers.values()]
            for frame in self.frames(reader):
                result.size = frame.image.shape[:2]
                for add in add_frame:
                    add(frame)
                if isinstance(frame, InstanceFrame):
                    best = max(best, frame.best_score)
                if self.return_frames:
                    result.frames.append(frame.encode())
                    result.preview.add(frame.image)
            if self.records is not None:
                self.records.forget(video)  # it describes the files that are now replaced
        result.num_frames, result.skipped = reader.num_frames, reader.skipped
        result.files = {name: writer.target(video) for name, writer in self.writers.items()}
        if self.records is not None:
            self.records.write(video, reader.source.files, self.writers, dict(
                size=result.size, num_frames=result.num_frames,
                skipped=[(frame.index, frame.name, frame.reason, frame.count) for frame in result.skipped]))
        warn_of_skipped(reader)
        if self.task == VIS:
            self._warn_of_nothing(video, best)

    def _warn_of_nothing(self, video: VideoInfo, best: float) -> None:
        """Say so if no instance was sure enough to be drawn, which otherwise looks like a fault."""
        drawing = [self.writers[name] for name in ('overlay', 'masks') if name in self.writers]
        if drawing and best < (score_thr := drawing[0].settings.score_thr):
            found = 'no instance was found' if best < 0 else f'the best score of an instance is {best:.2f}'
            print_log(f'{video.name}: nothing is drawn, since {found} and those below {score_thr:g} are left out '
                      '(score_thr, --score-thr)', logger='current', level=30)
