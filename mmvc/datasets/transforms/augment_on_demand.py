# Copyright (c) The mmvc contributors. All rights reserved.
from itertools import product

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvc.registry import TRANSFORMS
from mmvc.utils.augmented_video import AugmentedVideo


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
