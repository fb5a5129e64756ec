# Copyright (c) The mmvc contributors. All rights reserved.
import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor


class AugmentedVideo:
    """One augmentation of a video; each frame is augmented when it is accessed.

    Args:
        frames (Tensor | list[Tensor]): T images as loaded, (H, W, 3), shared by all augmentations of the video.
        results (dict): Other entries of the pipeline, each a list of length T.
        augment (Callable): Transforms including packing, from ``results`` of one frame to
            ``dict(inputs, data_samples)``.
    """

    def __init__(self, frames: Tensor | list[Tensor], results: dict, augment: Callable[[dict], dict]) -> None:
        self.frames = frames
        self._results = results
        self._augment = augment

    def __len__(self) -> int:
        return len(self.frames)

    def pack(self, index: int) -> dict:
        """Augment and pack a frame: ``inputs``, uint8 (1, 3, h, w), and ``data_samples``, a video of one frame."""
        # transforms may modify their input, which all augmentations share
        results = {key: [copy.deepcopy(values[index])] for key, values in self._results.items()}
        return self._augment({**results, 'img': [self.frames[index].numpy().copy()]})

    def split(self, size: int) -> Iterator[Tensor]:
        """Yield windows of ``size`` frames, uint8 (t, 3, h, w); the last one may be shorter."""
        for start in range(0, len(self), size):
            yield torch.cat([self.pack(index)['inputs'] for index in range(start, min(start + size, len(self)))])

    def load(self) -> Tensor:
        """Return all frames, uint8 (T, 3, h, w)."""
        return next(self.split(len(self)))
