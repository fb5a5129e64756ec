# Copyright (c) The mmvc contributors. All rights reserved.
"""Samples that cannot be loaded: an error, or, up to a limit, a logged replacement."""

from collections.abc import Callable
from typing import Any

import cv2

from mmvc.utils.errors import DataError

#: metainfo of a sample that replaces bad ones: list of (bad sample, reason)
REPLACED_KEY = 'replaced_samples'


class BadSampleError(DataError):
    """A sample cannot be loaded and may not be replaced."""


class BadSamplePolicy:
    """Mixin for datasets: a bad sample stops the training, or is replaced up to a limit.

    A sample is bad if it cannot be read or decoded (``OSError``, ``ValueError``, ``cv2.error``), or if its pipeline
    returns None. Other exceptions are bugs and are never replaced.

    By default the first bad sample is an error. With a limit, the next good sample of the dataset replaces it. The
    replacement is always the same, so that a training can be repeated and resumed. Its metainfo lists what it
    replaces; :class:`BadSampleHook` logs and counts these entries over all workers and ranks. (mmengine silently
    replaces a sample whose pipeline returns None by a random one.)
    """

    # implemented by the dataset
    __len__: Callable[[], int]
    get_data_info: Callable[[int], dict]

    def set_max_bad_samples(self, max_bad_samples: int, test_mode: bool = False) -> None:
        """Set how many different samples may be bad.

        Args:
            max_bad_samples (int): The limit. With 0, the first bad sample is an error.
            test_mode (bool): Whether the dataset is for testing, where no sample may be replaced. Defaults to False.

        Raises:
            DataError: The limit is negative or not an integer, or it is positive in test mode.
        """
        name = type(self).__name__
        if not isinstance(max_bad_samples, int) or max_bad_samples < 0:
            raise DataError(f'{name}: max_bad_samples must be a whole number from 0, got {max_bad_samples!r}')
        if max_bad_samples and test_mode:
            raise DataError(f'{name}: max_bad_samples={max_bad_samples} is not allowed with test_mode=True, because '
                            'numbers over a part of the videos would be reported as those of all; set it to 0 and '
                            'correct the data')
        self.max_bad_samples = max_bad_samples
        self._bad_samples: set[str] = set()

    def prepare_data(self, idx: int) -> Any:
        """Load the ``idx``-th sample and pass it through the pipeline; raises an error if the sample is bad."""
        raise NotImplementedError

    def __getitem__(self, idx: int) -> Any:
        """Return the ``idx``-th sample after the pipeline, or its replacement.

        Raises:
            BadSampleError: The sample is bad, and the limit is exceeded.
            IndexError: There is no such sample. It ends a loop over the dataset.
        """
        if not -len(self) <= idx < len(self):
            raise IndexError(f'{type(self).__name__} has {len(self)} samples, asked for number {idx}')
        replaced: list[tuple[str, str]] = []
        while True:
            position = (idx + len(replaced)) % len(self)
            try:
                sample = self.prepare_data(position)
                if sample is None:
                    raise DataError('its pipeline returned None')
            except (OSError, ValueError, cv2.error) as error:
                replaced.append((self._describe(position), str(error)))
                self._count(replaced)
                continue
            if replaced:
                self._mark(sample, replaced)
            return sample

    def _count(self, replaced: list[tuple[str, str]]) -> None:
        """Raise an error if the last sample in the list exceeds the limit, as this process counts."""
        name, reason = replaced[-1]
        self._bad_samples.add(name)
        if len(self._bad_samples) <= self.max_bad_samples and len(replaced) < len(self):
            return
        what = f'{name} cannot be loaded: {reason}'
        if self.max_bad_samples:
            raise BadSampleError(f'{what}. It is bad sample number {len(self._bad_samples)}, max_bad_samples of the '
                                 f'dataset is {self.max_bad_samples}: correct the data')
        raise BadSampleError(f'{what}. Correct the data, or replace up to N such samples: set max_bad_samples=N of '
                             'the training set')

    def _mark(self, sample: Any, replaced: list[tuple[str, str]]) -> None:
        data_samples = sample.get('data_samples') if isinstance(sample, dict) else None
        if data_samples is None or not hasattr(data_samples, 'set_metainfo'):
            raise BadSampleError(f'{replaced[-1][0]} cannot be loaded: {replaced[-1][1]}. It is not replaced, because '
                                 'the pipeline does not end in PackVideoSegInputs, so the replacement could not be '
                                 'logged; end the pipeline with it, or set max_bad_samples=0')
        data_samples.set_metainfo({REPLACED_KEY: replaced})

    def _describe(self, position: int) -> str:
        info = self.get_data_info(position)
        images = info.get('images') or [info]
        return f'video "{info.get("video_id", position)}" ({images[0].get("img_path", "no frames")})'
