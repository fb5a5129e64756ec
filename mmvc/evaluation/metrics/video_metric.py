# Copyright (c) The mmvc contributors. All rights reserved.
"""Base class of the registered metrics. It collects the counts of each video, exactly over all ranks."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import NonFiniteError, UsageError, named
from mmvc.utils.outputs import protect_inputs

from .frames import as_dict, meta

#: how metrics write the many files of a video: each of them is complete or absent
write_file = partial(atomic_write, sync=False)


class VideoEntry(NamedTuple):
    """Result of a complete video, which ranks exchange.

    Attributes:
        video_id (str): Its name.
        num_frames (int): Number of frames.
        counts (Any): Result of the metric's ``finish_video``.
    """
    video_id: str
    num_frames: int
    counts: Any


class VideoMetric(BaseMetric):
    """Base class of metrics that get frame after frame and keep one entry per video.

    A data sample is either a whole video (:class:`mmdet.structures.TrackDataSample`) or a single frame (the sample of
    an image model). Single frames need the metainfo ``video_id``, ``frame_id`` (from 0) and ``video_length``, and must
    arrive in order, all frames of a video on the same rank.

    The entries of all ranks are merged by ``video_id``: a sampler may give the ranks different numbers of videos, and
    a video that it repeats to fill up the last batch counts once.

    Args:
        output_dir (str, optional): Folder to write the predictions to, in the format of the benchmark's server.
            Defaults to None: nothing is written.
        format_only (bool): Whether to write predictions without scoring them, for data without public ground truth.
            Needs ``output_dir``. Defaults to False.
        backend_args (dict, optional): Where the ground truth lies. Defaults to None (local disk).
        prefix (str, optional): Put before the names of the numbers. Defaults to None (``default_prefix``).
    """

    WRITES_PREDICTIONS = True  # whether it takes output_dir and format_only

    def __init__(self,
                 output_dir: str | None = None,
                 format_only: bool = False,
                 backend_args: dict | None = None,
                 prefix: str | None = None) -> None:
        super().__init__(collect_device='cpu', prefix=prefix)
        if format_only and output_dir is None:
            raise UsageError(f'{type(self).__name__}: format_only=True needs output_dir, the folder to write to')
        self.output_dir = output_dir
        self.format_only = format_only
        self.backend_args = backend_args
        self._open: dict[str, _OpenVideo] = {}  # videos that come frame by frame, by video_id
        self._expected: set[str] | None = None

    def check_data(self, videos: Sequence[dict]) -> None:
        """Check a dataset before anything is predicted; later, a video of it that was not predicted is an error.

        Args:
            videos (Sequence[dict]): The items of the dataset: ``video_id`` and, if it is a video, ``images``.

        Raises:
            UsageError: Two videos have one name: predictions are told apart by it.
            Exception: What :meth:`check_video` raises.
        """
        names = [str(video.get('video_id')) for video in videos if 'images' in video]
        twice = sorted(name for name, times in Counter(names).items() if times > 1)
        if twice:
            raise UsageError(f'{len(twice)} names of videos occur twice in the dataset: {named(twice)}. Rename them, '
                             'or test the datasets one after the other')
        for video in videos:
            self.check_video(video)
        names = [str(video.get('video_id')) for video in videos]
        self._expected = None if 'None' in names else set(names)

    def check_video(self, video: dict) -> None:  # noqa: B027  most metrics need only the prediction
        """Raise an error if a video, or frame, of the dataset cannot be scored. Called before the inference.

        Args:
            video (dict): An item of the dataset: ``video_id`` and, if it is a video, ``images``.
        """

    @abstractmethod
    def start_video(self, video_id: str) -> Any:
        """Return the state that collects one video's counts."""

    @abstractmethod
    def add_frame(self, state: Any, frame: dict) -> None:
        """Add one frame (data sample as a dict: metainfo and predictions) to the state of its video."""

    @abstractmethod
    def finish_video(self, state: Any) -> Any:
        """Return the counts of a complete video. They are kept, and exchanged between ranks."""

    def process(self, data_batch: Any, data_samples: Sequence) -> None:
        """Add the predictions of a batch.

        Args:
            data_batch (Any): Unused.
            data_samples (Sequence[dict | BaseDataElement]): Whole videos or single frames.
        """
        for sample in data_samples:
            sample = as_dict(sample)
            if 'video_data_samples' in sample:
                self._process_video(sample['video_data_samples'])
            else:
                self._process_frame(sample)

    def _process_video(self, frames: Sequence) -> None:
        if not len(frames):
            raise UsageError(f'{type(self).__name__} got a video without frames: remove it from the list of videos')
        video_id = str(meta(as_dict(frames[0]), 'video_id'))
        self._protect_inputs(as_dict(frames[0]))
        state = self.start_video(video_id)
        for frame in map(as_dict, frames):
            _require_no_nan(frame, video_id)
            self.add_frame(state, frame)
        self.results.append(VideoEntry(video_id, len(frames), self.finish_video(state)))

    def _process_frame(self, frame: dict) -> None:
        video_id = str(meta(frame, 'video_id'))
        if video_id not in self._open:
            self._protect_inputs(frame)
            self._open[video_id] = _OpenVideo(self.start_video(video_id))
        video = self._open[video_id]
        if meta(frame, 'frame_id') != video.num_frames:
            raise UsageError(
                f'video "{video_id}": frame {meta(frame, "frame_id")} came where frame {video.num_frames} was '
                'expected. Frames must come in order and all on one rank: test with a sampler that does not shuffle '
                'and keeps videos whole')
        _require_no_nan(frame, video_id)
        self.add_frame(video.state, frame)
        video.num_frames += 1
        if video.num_frames == meta(frame, 'video_length'):
            self.results.append(VideoEntry(video_id, video.num_frames, self.finish_video(video.state)))
            del self._open[video_id]

    def _protect_inputs(self, frame: dict) -> None:
        """Raise an error if the predictions would be written over the images or the ground truth."""
        if self.output_dir is not None:
            files = (frame.get(key) for key in ('img_path', 'seg_map_path'))
            protect_inputs([self.output_dir], [*files, getattr(self, 'ann_file', None)])

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute the numbers over the videos of all ranks.

        Args:
            size (int): Number of samples of the dataset; not used, since the names show which videos are repeated.

        Returns:
            dict[str, float]: Numbers by name, the same on every rank.
        """
        if self._open:
            raise UsageError(f'{type(self).__name__}: the last frames of video(s) {sorted(self._open)} are missing: '
                             'all frames of a video must be tested, on one rank')
        videos = gather_videos(self.results)
        missing = sorted((self._expected or set()) - {video.video_id for video in videos})
        if missing:
            raise UsageError(f'{type(self).__name__}: {len(missing)} of {len(self._expected or ())} videos were not '
                             f'predicted: {named(missing)}. Test all videos of the dataset: without drop_last, and '
                             'with a sampler that leaves none out')
        metrics = self.compute_metrics(videos)
        self.results.clear()
        return {f'{self.prefix}/{name}': value for name, value in metrics.items()} if self.prefix else metrics


def _require_no_nan(frame: dict, video_id: str) -> None:
    """Raise an error if a prediction has NaN; labels do not show it, the scores that they come from do."""
    for field, name in (('pred_track_instances', 'scores'), ('pred_instances', 'scores'), ('seg_logits', 'data')):
        prediction = frame.get(field)
        scores = prediction.get(name) if prediction is not None else None
        if isinstance(scores, Tensor) and scores.is_floating_point() and bool(scores.isnan().any()):
            raise NonFiniteError(f'video "{video_id}": the model predicts NaN ({field}.{name}): its weights are '
                                 'damaged or diverged in training. Check the checkpoint')


@dataclass
class _OpenVideo:
    """A video some of whose frames are still missing."""
    state: Any
    num_frames: int = 0


def gather_videos(results: list[VideoEntry]) -> list[VideoEntry]:
    """Collect the entries of all ranks, each video once.

    Args:
        results (list[VideoEntry]): This rank's entries.

    Returns:
        list[VideoEntry]: All entries, sorted by ``video_id``.
    """
    videos = {entry.video_id: entry for part in all_gather_object(results) for entry in part}
    return [videos[video_id] for video_id in sorted(videos)]
