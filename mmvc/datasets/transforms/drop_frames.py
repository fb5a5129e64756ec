# Copyright (c) The mmvc contributors. All rights reserved.
import zlib

import numpy as np
from mmcv.transforms import BaseTransform

from mmvc.registry import TRANSFORMS


@TRANSFORMS.register_module()
class DropFrames(BaseTransform):
    """Lose frames of a video, as a bad connection does: the picture freezes. For testing how robust a model is.

    A lost frame shows the last frame that arrived. The first frame of a video always arrives. The ground truth stays
    as it is, so a frozen picture is compared with what a viewer should see. Which frames are lost depends only on the
    video and ``seed``: all models lose the same ones.

    Place it directly before packing, outside ``TransformBroadcaster``, in a pipeline with whole videos
    (``SampleAllFrames``).

    Required keys: ``img``, a list of T arrays (H, W, 3), and ``video_id``, a list of length T.

    Modified keys: ``img``.

    Args:
        prob (float): Probability of losing a frame, in [0, 1]. Defaults to 0.2.
        seed (int): Another number loses other frames, at least 0. Defaults to 0.

    Raises:
        ValueError: An argument is out of range, or the input is a single frame.
    """

    def __init__(self, prob: float = 0.2, seed: int = 0) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'DropFrames: prob must be in [0, 1], got {prob}')
        if seed < 0:
            raise ValueError(f'DropFrames: seed must be at least 0, got {seed}')
        self.prob = prob
        self.seed = seed

    def transform(self, results: dict) -> dict:
        if not isinstance(results['img'], (list, tuple)):
            raise ValueError('DropFrames needs the whole video: take it out of TransformBroadcaster')
        frames = list(results['img'])
        rng = np.random.default_rng([self.seed, zlib.crc32(str(results['video_id'][0]).encode())])
        lost = rng.random(len(frames)) < self.prob
        for index in range(1, len(frames)):
            if lost[index]:
                frames[index] = frames[index - 1]
        results['img'] = frames
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(prob={self.prob}, seed={self.seed})'
