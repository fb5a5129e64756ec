# Copyright (c) The mmvc contributors. All rights reserved.
import torch
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData

from mmvc.registry import TASK_UTILS

from .video_prediction import VideoPrediction


@TASK_UTILS.register_module()
class VISPostprocessor:
    """Instance tracks: the best (query, class) pairs of the video.

    Args:
        max_per_video (int): Number of tracks kept. Defaults to 10 (YouTube-VIS); 20 is used on OVIS.
    """

    def __init__(self, max_per_video: int = 10) -> None:
        self.max_per_video = max_per_video

    def __call__(self, prediction: VideoPrediction, data_sample: TrackDataSample) -> None:
        """Add ``pred_track_instances`` to every frame of a sample.

        Args:
            prediction (VideoPrediction): Raw prediction for the video.
            data_sample (TrackDataSample): Its frames get ``pred_track_instances``, an :class:`InstanceData` with the
                same n tracks in every frame, best first: ``labels`` (n,), ``scores`` (n,), ``instances_ids`` (n,) and
                ``masks`` (n, H, W), bool, at the original size.
        """
        class_probs = prediction.class_probs[:, :-1]
        scores, pairs = class_probs.flatten().topk(min(self.max_per_video, class_probs.numel()))
        queries, labels = pairs // class_probs.shape[1], pairs % class_probs.shape[1]
        decoded, rows = queries.unique(return_inverse=True)  # a query is decoded once, however many classes it has
        for frame, masks in zip(data_sample, prediction.frames(decoded, probabilities=False)):
            frame.pred_track_instances = InstanceData(
                labels=labels.cpu(),
                scores=scores.cpu(),
                instances_ids=torch.arange(len(scores)),
                masks=(masks > 0)[rows].cpu())
