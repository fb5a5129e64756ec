# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable, Iterator

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from mmvc.registry import TASK_UTILS

from .base_postprocessor import VideoPostprocessor
from .video_prediction import VideoPrediction, require_no_nan


@TASK_UTILS.register_module()
class VISPostprocessor(VideoPostprocessor):
    """Instance tracks: the best (query, class) pairs of the video.

    Args:
        max_per_video (int): Number of tracks kept. Defaults to 10 (YouTube-VIS); 20 is used on OVIS.
    """

    def __init__(self, max_per_video: int = 10) -> None:
        self.max_per_video = max_per_video

    def frames(self, prediction: VideoPrediction) -> Iterator[DetDataSample]:
        """Segment a video.

        Args:
            prediction (VideoPrediction): Raw prediction for the video.

        Yields:
            DetDataSample: ``pred_track_instances``, an :class:`InstanceData` with the same n tracks in every frame,
            best first: ``labels`` (n,), ``scores`` (n,), ``instances_ids`` (n,) and ``masks`` (n, H, W), bool, at the
            original size.
        """
        scores, queries, labels = self._best_pairs(prediction.class_probs)
        return self._tracks(prediction, scores, queries, labels, torch.arange(len(scores)))

    def start_stream(self) -> Callable[[VideoPrediction], DetDataSample]:
        """Begin a video without a known end. Frames may have different tracks.

        Returns:
            Callable: Returns a frame's prediction. The id of a track is its query index; if a query is among the best
            with a second, third, ... class, Q, 2 Q, ... are added.
        """

        def segment(prediction: VideoPrediction) -> DetDataSample:
            scores, queries, labels = self._best_pairs(prediction.class_probs)
            earlier = (queries[:, None] == queries).tril(-1).sum(dim=1)
            ids = queries + len(prediction.class_probs) * earlier
            return next(self._tracks(prediction, scores, queries, labels, ids.cpu()))

        return segment

    def _best_pairs(self, class_probs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, queries and labels of the tracks to keep, best first."""
        require_no_nan(class_probs=class_probs)
        num_classes = class_probs.shape[1] - 1
        scores, pairs = class_probs[:, :-1].flatten().topk(min(self.max_per_video, len(class_probs) * num_classes))
        return scores, pairs // num_classes, pairs % num_classes

    @staticmethod
    def _tracks(prediction: VideoPrediction, scores: Tensor, queries: Tensor, labels: Tensor,
                ids: Tensor) -> Iterator[DetDataSample]:
        decoded, rows = queries.unique(return_inverse=True)  # decode each query once, also with several classes
        for frame_strips in prediction.strips(decoded, probabilities=False):
            masks = torch.cat([strip > 0 for strip in frame_strips], dim=1)
            instances = InstanceData(
                labels=labels.cpu(), scores=scores.cpu(), instances_ids=ids, masks=masks[rows].cpu())
            yield DetDataSample(pred_track_instances=instances)
