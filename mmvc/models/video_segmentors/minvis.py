# Copyright (c) The mmvc contributors. All rights reserved.
"""MinVIS: A Minimal Video Instance Segmentation Framework without Video-based Training, arXiv 2208.02245."""

from typing import Dict, List, Optional, Sequence, Tuple, Union

import torch
from mmdet.structures import TrackDataSample
from mmengine.model import BaseModel
from torch import Tensor

from mmvc.datasets.transforms import expand_patch_mask
from mmvc.registry import MODELS, TASK_UTILS

from ..task_modules.postprocessors import VideoPrediction
from ..utils.query_matching import match_queries, reorder_queries
from ..utils.targets import clip_weights, frame_targets


@MODELS.register_module()
class MinVIS(BaseModel):
    """The segmenter: frames are segmented on their own, and matched to each other by their queries' embeddings.

    It is stage 1 of DVIS++ (with the contrastive loss in its head), and a complete video segmenter by itself.

    Args:
        num_classes (int): Number of classes K, handed to all parts.
        backbone (dict): Config of the backbone.
        head (dict): Config of :class:`FrameQueryHead`.
        postprocessor (dict): Config of the task: :class:`VSSPostprocessor`, :class:`VPSPostprocessor` or
            :class:`VISPostprocessor`.
        masked_loss_weight (float): lambda of Masked Video Consistency: weight of the losses of masked clips. Defaults
            to 1.
        window_size (int): Frames that go through the network at once where no gradient is needed: in testing, and in
            training the frozen parts of later stages. Defaults to 3.
        data_preprocessor (dict, optional): Config of :class:`VideoSegDataPreprocessor`.
        init_cfg (dict, optional): Initialisation config.
    """

    #: Names of the parts that are trained by earlier stages and stay as they are: no gradient, evaluation mode.
    frozen_parts: Tuple[str, ...] = ()

    def __init__(self,
                 num_classes: int,
                 backbone: dict,
                 head: dict,
                 postprocessor: dict,
                 masked_loss_weight: float = 1.0,
                 window_size: int = 3,
                 data_preprocessor: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.num_classes = num_classes
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head, default_args=dict(num_classes=num_classes))
        self.postprocessor = TASK_UTILS.build(postprocessor)
        self.masked_loss_weight = masked_loss_weight
        self.window_size = window_size

    def _freeze(self) -> None:
        """Exclude the parts of earlier stages from training."""
        for name in self.frozen_parts:
            getattr(self, name).requires_grad_(False)

    def train(self, mode: bool = True) -> 'MinVIS':
        """Switch to training mode, all but the frozen parts (their dropout, noise and batch norm stay off)."""
        super().train(mode)
        for name in self.frozen_parts:
            getattr(self, name).eval()
        return self

    def forward(self,
                inputs: Union[Tensor, List[Tensor]],
                data_samples: Optional[Sequence[TrackDataSample]] = None,
                mode: str = 'tensor') -> Union[Dict[str, Tensor], Sequence[TrackDataSample]]:
        """Unified entry of mmengine's runner.

        Args:
            inputs (Tensor | list[Tensor]): ``'loss'`` and ``'tensor'``: normalised clips (B, T, 3, H, W);
                ``'predict'``: one uint8 video (T, 3, H, W) per sample, any length.
            data_samples (Sequence[TrackDataSample], optional): The samples that belong to them.
            mode (str): ``'loss'``, ``'predict'`` or ``'tensor'``.

        Returns:
            dict | Sequence[TrackDataSample]: Losses, samples with predictions, or the segmenter's raw output.

        Raises:
            ValueError: If the mode is none of these.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.segment(inputs)
        raise ValueError(f"`mode` is 'loss', 'predict' or 'tensor', got {mode!r}")

    def loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample]) -> Dict[str, Tensor]:
        """Losses of this stage, with Masked Video Consistency.

        A clip that was masked by its transform has its losses weighted by lambda ("switch", arXiv 2408.10627 Eq. 4). A
        clip that only carries its patch mask is used twice, clean and masked ("sum", arXiv 2406.04979 Eq. 4).

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).
            data_samples (Sequence[TrackDataSample]): Their ground truth.

        Returns:
            dict[str, Tensor]: Named losses; those of the second, masked pass are named ``masked.*``.
        """
        weights = clip_weights(data_samples, self.masked_loss_weight, inputs.device)
        losses = self.stage_loss(inputs, data_samples, weights)
        hidden = _pending_patch_masks(data_samples, inputs)
        if hidden is not None:
            masked = self.stage_loss(
                inputs.masked_fill(hidden, 0.0), data_samples, torch.full_like(weights, self.masked_loss_weight))
            losses.update({f'masked.{name}': value for name, value in masked.items()})
        return losses

    def stage_loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample],
                   weights: Tensor) -> Dict[str, Tensor]:
        """Losses of the part that this stage trains.

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).
            data_samples (Sequence[TrackDataSample]): Their ground truth.
            weights (Tensor): Weight of each clip's losses, shape (B,).

        Returns:
            dict[str, Tensor]: Named losses.
        """
        num_frames = inputs.shape[1]
        return self.head.loss(
            self.backbone(inputs.flatten(0, 1)),
            frame_targets(data_samples, inputs.device),
            num_frames,
            sample_weights=weights.repeat_interleave(num_frames))

    def segment(self, inputs: Tensor) -> Dict[str, Tensor]:
        """Segment clips frame by frame, in windows of ``window_size`` frames.

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).

        Returns:
            dict[str, Tensor]: The tensors of :meth:`FrameQueryHead.forward`, each of shape (B, T, ...).
        """
        windows = []
        for frames in inputs.split(self.window_size, dim=1):
            out = self.head(self.backbone(frames.flatten(0, 1)))
            out.pop('aux')
            windows.append({name: value.unflatten(0, frames.shape[:2]) for name, value in out.items()})
        return {name: torch.cat([window[name] for window in windows], dim=1) for name in windows[0]}

    @torch.no_grad()
    def predict(self, inputs: List[Tensor], data_samples: Sequence[TrackDataSample]) -> Sequence[TrackDataSample]:
        """Segment videos.

        Args:
            inputs (list[Tensor]): uint8 videos, each of shape (T, 3, H, W), any length.
            data_samples (Sequence[TrackDataSample]): One per video.

        Returns:
            Sequence[TrackDataSample]: The same samples; their frames carry the task's prediction.
        """
        for video, sample in zip(inputs, data_samples):
            windows = []
            for frames in video.split(self.window_size):
                frames = self.data_preprocessor.prepare_frames(frames)
                windows.append(self.segment(frames))
            padded_shape = tuple(frames.shape[-2:])
            class_probs, mask_embeds, mask_features = self.predict_video(windows)
            self.postprocessor(
                VideoPrediction(class_probs, mask_embeds, mask_features, padded_shape, tuple(video.shape[-2:]),
                                tuple(sample[0].ori_shape[:2])), sample)
        return data_samples

    def predict_video(self, windows: List[Dict[str, Tensor]]) -> Tuple[Tensor, Tensor, List[Tensor]]:
        """Join the segmented windows of a video.

        Args:
            windows (list[dict]): Outputs of :meth:`segment` for the video's consecutive windows, batch size 1.

        Returns:
            tuple[Tensor, Tensor, list[Tensor]]: Class probabilities (Q, K + 1) of the objects, their mask embeddings
            (T, Q, c) and the windows' mask features (t, c, h, w).
        """
        segmented = _concatenate(windows, ('cls_scores', 'mask_embeds', 'query_embeds'))
        query_embeds = segmented['query_embeds'][0]
        order = [torch.arange(query_embeds.shape[1], device=query_embeds.device)[None]]
        reference = query_embeds[:1]
        for embeds in query_embeds[1:]:
            order.append(match_queries(reference, embeds[None]))
            reference = reorder_queries(embeds[None], order[-1])
        order = torch.cat(order)
        class_probs = reorder_queries(segmented['cls_scores'][0], order).float().mean(dim=0).softmax(dim=-1)
        mask_embeds = reorder_queries(segmented['mask_embeds'][0], order)
        return class_probs, mask_embeds, [window['mask_features'][0] for window in windows]


def _concatenate(windows: List[Dict[str, Tensor]], names: Sequence[str]) -> Dict[str, Tensor]:
    """Join the named tensors (1, t, ...) of windows along time."""
    return {name: torch.cat([window[name] for window in windows], dim=1) for name in names}


def _pending_patch_masks(data_samples: Sequence[TrackDataSample], inputs: Tensor) -> Optional[Tensor]:
    """Pixels to hide in the second pass of the "sum" loss: bool (B, T, 1, H, W), or None in "switch" mode."""
    frames = [frame for sample in data_samples for frame in sample]
    masks = [frame.metainfo.get('patch_mask') for frame in frames]
    masked = any(frame.metainfo.get('masked', False) for frame in frames)
    if masked or not any(mask is not None and mask.any() for mask in masks):
        return None
    height, width = inputs.shape[-2:]
    hidden = torch.zeros((len(frames), 1, height, width), dtype=torch.bool)
    for pixels, frame, mask in zip(hidden, frames, masks):
        if mask is not None:  # clips of another dataset may come without one
            h, w = frame.img_shape[:2]
            pixels[0, :h, :w] = torch.from_numpy(expand_patch_mask(mask, frame.patch_size, h, w))
    return hidden.view(*inputs.shape[:2], 1, height, width).to(inputs.device)
