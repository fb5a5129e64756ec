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
    """``TestTimeAug`` for videos: keeps each loaded frame once, and augments it when the model asks for it.

    Frames of equal size must be resized and flipped alike.

    Args:
        transforms (list[list[dict]]): As for ``mmcv.TestTimeAug``: every combination is one augmentation. The
            transforms must be deterministic, handle each frame on its own, and end with packing.

    Returns:
        dict: ``inputs``, an :class:`AugmentedVideo` for each augmentation, and ``data_samples``, a
        ``TrackDataSample`` for each.
    """

    #: metainfo that differs between the frames of a video; the rest depends only on their size
    OWN_KEYS = ('video_id', 'frame_id', 'video_length', 'img_path', 'seg_map_path', 'labelled')

    def __init__(self, transforms: list[list[dict]]) -> None:
        built = [[TRANSFORMS.build(transform) for transform in choices] for choices in transforms]
        self.augmentations = [Compose(combination) for combination in product(*built)]

    def transform(self, results: dict) -> dict:
        images = results['img']
        frames: Tensor | list[Tensor] = [torch.from_numpy(np.ascontiguousarray(image)) for image in images]
        if len({image.shape for image in images}) == 1:
            frames = torch.stack(list(frames))  # one block of shared memory on the way from a data worker
        others = {key: values for key, values in results.items() if key != 'img'}
        videos = [AugmentedVideo(frames, others, augment) for augment in self.augmentations]
        return dict(inputs=videos, data_samples=[self._sample(video, images, others) for video in videos])

    def _sample(self, video: AugmentedVideo, images: list[np.ndarray], others: dict) -> TrackDataSample:
        """Metainfo of all frames. One frame of each size is augmented to get it."""
        packed: dict = {}
        samples = []
        for index, image in enumerate(images):
            if image.shape not in packed:
                packed[image.shape] = video.pack(index)['data_samples'][0]
            sample = packed[image.shape].clone()
            own = {key: others[key][index] for key in self.OWN_KEYS if key in others}
            sample.set_metainfo({key: value for key, value in own.items() if value is not None})
            for key in [key for key, value in own.items() if value is None and key in sample]:
                sample.pop(key)  # another frame of this size has it
            samples.append(sample)
        track = TrackDataSample()
        track.video_data_samples = samples
        return track

    def __repr__(self) -> str:
        return f'{type(self).__name__}(augmentations={self.augmentations})'
