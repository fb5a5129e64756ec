# Copyright (c) The mmvc contributors. All rights reserved.
"""What happens when a sample cannot be loaded: it is an error, or, if allowed, it is replaced for all to see."""

from collections.abc import Callable
from typing import Any

import cv2

from mmvc.utils.errors import DataError

#: metainfo of a sample that stands for others: list of (sample, reason)
REPLACED_KEY = 'replaced_samples'


class BadSampleError(DataError):
    """A sample cannot be loaded, or more of them than allowed.

    From a worker of a data loader it arrives with the worker's traceback, of which only the message is kept.
    """

    def __init__(self, message: str) -> None:
        if message.startswith('Caught '):
            message = message.rpartition(f'{type(self).__name__}: ')[2].rstrip()
        super().__init__(message)


class BadSamplePolicy:
    """Mixin of datasets: a sample that cannot be loaded ends the training, or is replaced up to a limit.

    mmengine replaces a sample without a result by a random one, and says nothing. Here, by default, the first one is
    an error. With a limit, the next sample of the dataset that can be loaded takes its place (always the same one, so
    that a training can be repeated and resumed) and carries in its metainfo what it stands for, by which
    :class:`BadSampleHook` logs and counts it over all workers and ranks.

    A sample is bad if reading or decoding it fails (``OSError``, ``ValueError``, ``cv2.error``) or its pipeline
    returns None. Other errors are mistakes in the code and are not replaced.
    """

    __len__: Callable[[], int]  # these two are the dataset's
    get_data_info: Callable[[int], dict]

    def set_max_bad_samples(self, max_bad_samples: int, test_mode: bool = False) -> None:
        """Set how many different samples may be bad.

        Args:
            max_bad_samples (int): The limit; 0 makes the first one an error.
            test_mode (bool): Whether the dataset is for testing, where every sample counts. Defaults to False.

        Raises:
            DataError: The limit is negative, or there is one for testing.
        """
        name = type(self).__name__
        if not isinstance(max_bad_samples, int) or max_bad_samples < 0:
            raise DataError(f'{name}: max_bad_samples must be a whole number from 0, got {max_bad_samples!r}')
        if max_bad_samples and test_mode:
            raise DataError(f'{name}: max_bad_samples={max_bad_samples} with test_mode=True: numbers over a part of '
                            'the videos would pass for those of all; correct the data instead')
        self.max_bad_samples = max_bad_samples
        self._bad_samples: set[str] = set()

    def prepare_data(self, idx: int) -> Any:
        """The ``idx``-th sample through the pipeline; fails if it cannot be loaded."""
        raise NotImplementedError

    def __getitem__(self, idx: int) -> Any:
        """The ``idx``-th sample through the pipeline, or what replaces it.

        Raises:
            BadSampleError: It cannot be loaded, and more samples than allowed cannot.
            IndexError: There is no such sample; by this, a loop over the dataset ends.
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
        """Raise an error if the last sample in the list is one too many, as far as this process knows."""
        name, reason = replaced[-1]
        self._bad_samples.add(name)
        if len(self._bad_samples) <= self.max_bad_samples and len(replaced) < len(self):
            return
        what = f'{name} cannot be loaded: {reason}'
        if self.max_bad_samples:
            raise BadSampleError(f'{what}. That is number {len(self._bad_samples)}, max_bad_samples of the dataset is '
                                 f'{self.max_bad_samples}: correct the data')
        raise BadSampleError(f'{what}. Correct the data, or go on past a few such samples with max_bad_samples=N of '
                             f'the training set')

    def _mark(self, sample: Any, replaced: list[tuple[str, str]]) -> None:
        data_samples = sample.get('data_samples') if isinstance(sample, dict) else None
        if data_samples is None or not hasattr(data_samples, 'set_metainfo'):
            raise BadSampleError(f'{replaced[-1][0]} cannot be loaded: {replaced[-1][1]}. It is not replaced, because '
                                 'the pipeline does not end in PackVideoSegInputs, so nobody would learn of it')
        data_samples.set_metainfo({REPLACED_KEY: replaced})

    def _describe(self, position: int) -> str:
        info = self.get_data_info(position)
        images = info.get('images') or [info]
        return f'video "{info.get("video_id", position)}" ({images[0].get("img_path", "no frames")})'
