# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmdet.models.data_preprocessors.track_data_preprocessor import stack_track_batch
from torch import Tensor

from mmvc.registry import MODELS
from mmvc.utils.errors import UsageError


@MODELS.register_module()
class VideoSegDataPreprocessor(TrackDataPreprocessor):
    """Normalise and pad clips: whole batches in training, windows on demand in testing.

    In training it works as ``mmdet.TrackDataPreprocessor``: uint8 clips become float (B, T, 3, H', W') on the device,
    padded with zeros after normalisation; the masks of ``gt_instances`` are padded alike. In testing, videos may be
    long: they stay uint8 in host memory, and the model calls :meth:`prepare_frames` for one window after the other.

    Args:
        mean (sequence[float], optional): Mean of R, G, B. Defaults to None.
        std (sequence[float], optional): Standard deviation of R, G, B. Defaults to None.
        pad_size_divisor (int): Padded height and width are multiples of it. Defaults to 32.
        bgr_to_rgb (bool): Whether to swap the channels of the BGR inputs. Defaults to True.
        pad_mask (bool): Whether to pad the masks in training. Defaults to True.
        **kwargs: Other arguments of ``mmdet.TrackDataPreprocessor``.
    """

    def __init__(self,
                 mean: Sequence[float] | None = None,
                 std: Sequence[float] | None = None,
                 pad_size_divisor: int = 32,
                 bgr_to_rgb: bool = True,
                 pad_mask: bool = True,
                 **kwargs: Any) -> None:
        super().__init__(
            mean=mean,
            std=std,
            pad_size_divisor=pad_size_divisor,
            bgr_to_rgb=bgr_to_rgb,
            pad_mask=pad_mask,
            **kwargs)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare a batch.

        Args:
            data (dict): ``inputs``, list of B uint8 tensors (T, 3, H, W) in BGR, and ``data_samples``, list of B
                ``TrackDataSample``.
            training (bool): Defaults to False.

        Returns:
            dict: ``inputs``, float (B, T, 3, H', W') in training, the unchanged list in testing, and
            ``data_samples``, whose frames have ``pad_shape`` and ``batch_input_shape``, (H', W'), in their metainfo.

        Raises:
            UsageError: A training frame has no ``gt_instances``, or no frame of a training clip is labelled.
            TypeError: A test video is not uint8 (T, 3, H, W).
        """
        if training:
            if any('gt_instances' not in frame for sample in data['data_samples'] for frame in sample):
                raise UsageError('training frames have no gt_instances: add LoadVideoSegAnnotations or '
                                 'mmdet.LoadTrackAnnotations to train_pipeline')
            for sample in data['data_samples']:
                if not any(frame.metainfo.get('labelled', True) for frame in sample):
                    raise UsageError(f'a training clip of video "{sample[0].get("video_id")}" has no labelled frame: '
                                     'draw clips with SampleClip, which takes one of them into each clip')
            return super().forward(data, training=True)
        data_samples = self.cast_data(data['data_samples'])
        for video, sample, pad_shapes in zip(data['inputs'], data_samples, self._get_track_pad_shape(data)):
            if video.ndim != 4 or video.dtype != torch.uint8:
                raise TypeError(f'a test video must be uint8 (T, 3, H, W), got {video.dtype} {tuple(video.shape)}: '
                                'remove transforms that change the type or the layout of frames from test_pipeline')
            for frame, pad_shape in zip(sample, pad_shapes):
                frame.set_metainfo(dict(pad_shape=pad_shape, batch_input_shape=pad_shape))
        return dict(inputs=data['inputs'], data_samples=data_samples)

    def prepare_frames(self, frames: Tensor) -> Tensor:
        """Normalise and pad one window of a video.

        Args:
            frames (Tensor): uint8 (t, 3, H, W) in BGR, on any device.

        Returns:
            Tensor: float (1, t, 3, H', W') on the model's device; the same values as in training.
        """
        frames = frames.to(self.device)
        if self._channel_conversion:
            frames = frames[:, [2, 1, 0]]
        frames = frames.float()
        if self._enable_normalize:
            frames = (frames - self.mean) / self.std
        return stack_track_batch([frames], self.pad_size_divisor, self.pad_value)
