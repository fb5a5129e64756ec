# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from mmvc.models import MinVIS
from mmvc.models.utils import FeatureStore

from .sources import Frame


class KeptFrames:
    """Frames of a source that cannot be read twice: in memory up to a limit, on disk beyond it.

    Args:
        feature_store (dict): Arguments of :class:`FeatureStore`; a ``dtype`` does not touch images.
    """

    def __init__(self, feature_store: dict) -> None:
        self._images = FeatureStore(**feature_store)
        self._names: list[tuple[int, str]] = []

    def keep(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Pass frames on, and keep them."""
        for frame in frames:
            self._images.extend(torch.from_numpy(np.ascontiguousarray(frame.image))[None])
            self._names.append((frame.index, frame.name))
            yield frame

    @contextmanager
    def share_limit(self, model: MinVIS) -> Iterator[None]:
        """Let the features that a model keeps here and the frames stay within one limit together."""
        before = model.feature_store
        model.feature_store = dict(before, shared_with=self._images)
        try:
            yield
        finally:
            model.feature_store = before

    def __iter__(self) -> Iterator[Frame]:
        return (Frame(*name, image.numpy()) for name, image in zip(self._names, self._images))
