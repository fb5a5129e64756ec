# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from mmvc.models.utils import FeatureStore

from .sources import Frame


class FrameBuffer:
    """Frames of a source that cannot be read twice: in memory up to a limit, on disk beyond it.

    Args:
        features (FeatureStore): Store of the features of the same video. Frames and features together stay within its
            memory limit.
    """

    def __init__(self, features: FeatureStore) -> None:
        self._images = FeatureStore(share_limit_with=features)
        self._names: list[tuple[int, str]] = []

    def keep(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Store frames, and pass them on."""
        for frame in frames:
            self._images.extend(torch.from_numpy(np.ascontiguousarray(frame.image))[None])
            self._names.append((frame.index, frame.name))
            yield frame

    def __iter__(self) -> Iterator[Frame]:
        return (Frame(*name, image.numpy()) for name, image in zip(self._names, self._images))
