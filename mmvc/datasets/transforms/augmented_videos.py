# Copyright (c) The mmvc contributors. All rights reserved.
from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvc.registry import TRANSFORMS


class AugmentedVideo:
    """One augmentation of a video, made frame by frame when it is looked at.

    Args:
        frames (Tensor | list[Tensor]): T images as they were loaded, (H, W, 3); augmentations of a video share them.
        results (dict): What else the pipeline knows, lists of T.
        augment (Callable): Transforms, up to packing: ``results`` of one frame -> ``dict(inputs, data_samples)``.
    """

    def __init__(self, frames: Tensor | list[Tensor], results: dict, augment: Callable[[dict], dict]) -> None:
        self.frames = frames
        self._results = results
        self._augment = augment

    def __len__(self) -> int:
        return len(self.frames)

    def pack(self, index: int) -> dict:
        """Augment and pack a frame: ``inputs``, uint8 (1, 3, h, w), and ``data_samples``, a video of one frame."""
        # transforms may write to what they get, and it belongs to all augmentations
        results = {key: [copy.deepcopy(values[index])] for key, values in self._results.items()}
        return self._augment({**results, 'img': [self.frames[index].numpy().copy()]})

    def split(self, size: int) -> Iterator[Tensor]:
        """Yield windows of ``size`` frames, uint8 (t, 3, h, w); the last one may be shorter."""
        for start in range(0, len(self), size):
            yield torch.cat([self.pack(index)['inputs'] for index in range(start, min(start + size, len(self)))])

    def load(self) -> Tensor:
        """All frames, uint8 (T, 3, h, w)."""
        return next(self.split(len(self)))


@TRANSFORMS.register_module()
class AugmentOnDemand(BaseTransform):
    """``TestTimeAug`` of videos that does not hold them all: frames are kept as loaded, once, and augmented later.

    Frames of one size are taken to be resized and flipped alike.

    Args:
        transforms (list[list[dict]]): As of ``mmcv.TestTimeAug``: every combination is an augmentation. They must
            treat each frame by itself, without chance, and end with packing.

    Returns:
        dict: ``inputs``, an :class:`AugmentedVideo` for each augmentation, and ``data_samples``, a
        ``TrackDataSample`` for each.
    """

    #: Metainfo that tells the frames of a video apart; the rest follows from their size.
    OWN_KEYS = ('video_id', 'frame_id', 'video_length', 'img_path', 'seg_map_path')

    def __init__(self, transforms: list[list[dict]]) -> None:
        built = [[TRANSFORMS.build(transform) for transform in choices] for choices in transforms]
        self.augmentations = [Compose(combination) for combination in product(*built)]

    def transform(self, results: dict) -> dict:
        images = results['img']
        frames: Tensor | list[Tensor] = [torch.from_numpy(np.ascontiguousarray(image)) for image in images]
        if len({image.shape for image in images}) == 1:
            frames = torch.stack(list(frames))  # leaves a worker of the data loader as one piece of shared memory
        others = {key: values for key, values in results.items() if key != 'img'}
        videos = [AugmentedVideo(frames, others, augment) for augment in self.augmentations]
        return dict(inputs=videos, data_samples=[self._sample(video, images, others) for video in videos])

    def _sample(self, video: AugmentedVideo, images: list[np.ndarray], others: dict) -> TrackDataSample:
        """The frames' metainfo, from one augmented frame of each size."""
        packed: dict = {}
        samples = []
        for index, image in enumerate(images):
            if image.shape not in packed:
                packed[image.shape] = video.pack(index)['data_samples'][0]
            sample = packed[image.shape].clone()
            own = {key: others[key][index] for key in self.OWN_KEYS if key in others}
            sample.set_metainfo({key: value for key, value in own.items() if value is not None})
            samples.append(sample)
        track = TrackDataSample()
        track.video_data_samples = samples
        return track

    def __repr__(self) -> str:
        return f'{type(self).__name__}(augmentations={self.augmentations})'
