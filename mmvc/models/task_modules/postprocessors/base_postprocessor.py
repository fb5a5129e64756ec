# Copyright (c) The mmvc contributors. All rights reserved.
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from mmdet.structures import DetDataSample, TrackDataSample

from .video_prediction import VideoPrediction


class VideoPostprocessor(ABC):
    """What a task makes of a raw prediction, frame by frame."""

    #: Name of the task: ``'vss'``, ``'vps'`` or ``'vis'``.
    task: str

    @abstractmethod
    def frames(self, prediction: VideoPrediction) -> Iterator[DetDataSample]:
        """Yield a sample per frame with the task's prediction, from the knowledge of the whole video.

        Args:
            prediction (VideoPrediction): Raw prediction for the video.
        """

    @abstractmethod
    def start_stream(self) -> Callable[[VideoPrediction], DetDataSample]:
        """Begin a video whose end is not known.

        Returns:
            Callable: Takes the raw prediction for one frame after the other (its class distributions may change from
            frame to frame) and returns the frame's sample. Ids follow the queries, so they are stable over time.
        """

    def __call__(self, prediction: VideoPrediction, data_sample: TrackDataSample) -> None:
        """Add the task's prediction to the frames of a sample.

        Args:
            prediction (VideoPrediction): Raw prediction for the video.
            data_sample (TrackDataSample): Its frames get what :meth:`frames` yields.
        """
        for frame, result in zip(data_sample, self.frames(prediction)):
            frame.update(result)
