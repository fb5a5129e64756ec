# Copyright (c) The mmvc contributors. All rights reserved.
from typing import Any

from mmengine.registry import DATASETS as ALL_DATASETS
from torch.utils.data import Dataset, IterableDataset

from mmvc.registry import DATASETS
from mmvc.utils.random_state import seeded


class SampleIndex(int):
    """Index of a sample that knows its place in the training.

    Attributes:
        position (int): How many samples all ranks together have drawn before it.
    """

    position: int

    def __new__(cls, index: int, position: int) -> 'SampleIndex':
        self = super().__new__(cls, index)
        self.position = position
        return self

    def __reduce__(self) -> tuple:  # it travels to the workers
        return SampleIndex, (int(self), self.position)


@DATASETS.register_module()
class SeededDataset(Dataset):
    """A dataset whose random transforms depend on the seed and the sample's place in the training, on nothing else.

    Before a sample is loaded, the generators of Python, numpy and torch are seeded with (seed, position); afterwards
    they are put back. So a sample is the same whatever the number of workers and of ranks, how far they loaded ahead,
    and whether the training was interrupted before.

    Everything else (``metainfo``, ``full_init``, ...) is that of the dataset inside.

    Args:
        dataset (dict | Dataset): The dataset.
        seed (int): Non-negative seed. Defaults to 0.

    Raises:
        TypeError: The dataset is iterable only: its samples have no index.
    """

    def __init__(self, dataset: dict | Dataset, seed: int = 0) -> None:
        self.dataset: Any = ALL_DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if isinstance(self.dataset, IterableDataset):
            raise TypeError(f'SeededDataset: {type(self.dataset).__name__} is an IterableDataset, whose samples have '
                            'no index; train with type="mmengine.IterBasedTrainLoop" instead')
        self.seed = seed

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset':  # while it is being unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, index: int) -> Any:
        """The sample at an index; a plain ``int`` is its own position."""
        with seeded((self.seed, getattr(index, 'position', index))):
            return self.dataset[int(index)]

    def __len__(self) -> int:
        return len(self.dataset)
