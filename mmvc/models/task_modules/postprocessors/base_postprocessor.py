# Copyright (c) The mmvc contributors. All rights reserved.
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from mmdet.structures import DetDataSample, TrackDataSample

from .video_prediction import VideoPrediction


class VideoPostprocessor(ABC):
    """Turns a model's raw prediction into the prediction of a task, frame by frame.

    :mod:`mmvc.utils.tasks` lists which post-processor belongs to which task.
    """

    @abstractmethod
    def frames(self, prediction: VideoPrediction) -> Iterator[DetDataSample]:
        """Segment a whole video.

        Args:
            prediction (VideoPrediction): Raw prediction for the video.

        Yields:
            DetDataSample: The next frame's prediction.
        """

    @abstractmethod
    def start_stream(self) -> Callable[[VideoPrediction], DetDataSample]:
        """Begin a video without a known end.

        Returns:
            Callable: Takes the raw prediction for the next frame (class distributions may change from frame to frame)
            and returns the frame's prediction. Track ids follow from query indices, so they are stable over time.
        """

    def __call__(self, prediction: VideoPrediction, data_sample: TrackDataSample) -> None:
        """Add the task's prediction to the frames of a sample.

        Args:
            prediction (VideoPrediction): Raw prediction for the video.
            data_sample (TrackDataSample): Its frames are updated with those of :meth:`frames`.
        """
        for frame, result in zip(data_sample, self.frames(prediction)):
            frame.update(result)
