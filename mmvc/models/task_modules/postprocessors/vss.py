# Copyright (c) The mmvc contributors. All rights reserved.
import torch
from mmdet.structures import TrackDataSample
from mmengine.structures import PixelData

from mmvc.registry import TASK_UTILS

from .video_prediction import VideoPrediction


@TASK_UTILS.register_module()
class VSSPostprocessor:
    """Semantic maps: the class with the largest sum over queries of p(class | query) x mask (Mask2Former)."""

    def __call__(self, prediction: VideoPrediction, data_sample: TrackDataSample) -> None:
        """Add ``pred_sem_seg`` to every frame of a sample.

        Args:
            prediction (VideoPrediction): Raw prediction for the video.
            data_sample (TrackDataSample): Its frames get ``pred_sem_seg``, a :class:`PixelData` whose ``sem_seg`` is a
                uint8 tensor (1, H, W) of class indices at the original size (int64 beyond 256 classes).
        """
        class_probs = prediction.class_probs[:, :-1]
        dtype = torch.uint8 if class_probs.shape[1] <= 256 else torch.int64
        for frame, masks in zip(data_sample, prediction.frames()):
            scores = class_probs.T @ masks.flatten(1)
            sem_seg = scores.argmax(dim=0).view(1, *masks.shape[-2:])
            frame.pred_sem_seg = PixelData(sem_seg=sem_seg.to(dtype).cpu())
