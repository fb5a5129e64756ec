# Copyright (c) The mmvc contributors. All rights reserved.
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from mmvc.registry import MODELS

from ..cpu.batch_norm_folding import fold_batch_norm
from ..cpu.inference import CPUInference
from .base_video_segmentor import BaseVideoSegmentor
from .windows import join_windows, max_frames_at_once


class DecoupledVideoSegmentor(BaseVideoSegmentor):
    """A segmenter of single frames, and a tracking of its queries that children define in :meth:`track`.

    Args:
        num_classes (int): Number of classes K, passed on to all modules.
        backbone (dict): Config of the backbone.
        head (dict): Config of :class:`FrameQueryHead`.
        **kwargs: Arguments of :class:`BaseVideoSegmentor`.
    """

    def __init__(self, num_classes: int, backbone: dict, head: dict, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head, default_args=dict(num_classes=num_classes))

    @abstractmethod
    def track(self, segmented: dict[str, Tensor], state: Any = None) -> tuple[dict[str, Tensor], Any]:
        """Track the objects of a video through its next window.

        Args:
            segmented (dict[str, Tensor]): Output of :meth:`segment` for the window, batch size 1.
            state (Any): State returned for the window before. Defaults to None: the video begins.

        Returns:
            tuple[dict[str, Tensor], Any]: See :meth:`BaseVideoSegmentor.process_window`; queries are in the order of
            the objects.
        """

    def process_window(self, frames: Tensor, state: Any = None) -> tuple[dict[str, Tensor], Any]:
        """Segment the next frames of a video and track its objects; see the base class."""
        return self.track(self._segment_window(frames), state)

    def segment(self, inputs: Tensor) -> dict[str, Tensor]:
        """Segment clips frame by frame, in windows of ``window_size`` frames.

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).

        Returns:
            dict[str, Tensor]: The tensors of :meth:`FrameQueryHead.forward`, each of shape (B, T, ...).
        """
        size = max_frames_at_once(inputs, self.window_size)
        with CPUInference():
            return join_windows([self._segment_window(frames) for frames in inputs.split(size, dim=1)])

    def _segment_window(self, frames: Tensor) -> dict[str, Tensor]:
        """Segment all frames (B, t, 3, H, W) at once; see :meth:`segment`."""
        out = self.head(self.backbone(frames.flatten(0, 1)))
        out.pop('aux')
        return {name: value.unflatten(0, frames.shape[:2]) for name, value in out.items()}

    def optimize_for_inference(self, compile: bool = False) -> None:
        """Fold the backbone's batch norms on CPU, and compile backbone and head if asked to; see the base class."""
        if next(self.parameters()).device.type == 'cpu':
            self.backbone = fold_batch_norm(self.backbone)
        if compile:
            self.backbone = torch.compile(self.backbone)
            self.head = torch.compile(self.head)
