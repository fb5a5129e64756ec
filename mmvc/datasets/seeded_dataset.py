# Copyright (c) The mmvc contributors. All rights reserved.
from dataclasses import dataclass
from typing import Any

from mmengine.registry import DATASETS as ALL_DATASETS
from torch.utils.data import Dataset, IterableDataset

from mmvc.registry import DATASETS
from mmvc.utils.random_state import seeded


@dataclass(frozen=True)
class DrawnSample:
    """A sample that a sampler has drawn: which one, and when in the training.

    Attributes:
        index (int): Index of the sample in the dataset.
        position (int): How many samples all ranks together have drawn before it.
    """

    index: int
    position: int


@DATASETS.register_module()
class SeededDataset(Dataset):
    """A dataset whose random transforms depend only on the seed and on the position of a sample in the training.

    Before a sample is loaded, the RNGs of Python, numpy and torch are seeded with (seed, position). Afterwards their
    states are restored. A sample is therefore the same for any number of workers and ranks, for any prefetching, and
    in an interrupted training.

    All other attributes (``metainfo``, ``full_init``, ...) are those of the wrapped dataset.

    Args:
        dataset (dict | Dataset): The dataset to wrap.
        seed (int): Non-negative seed. Defaults to 0.

    Raises:
        TypeError: The dataset is an ``IterableDataset``, so its samples have no index.
    """

    def __init__(self, dataset: dict | Dataset, seed: int = 0) -> None:
        self.dataset: Any = ALL_DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if isinstance(self.dataset, IterableDataset):
            raise TypeError(f'SeededDataset: {type(self.dataset).__name__} is an IterableDataset, so its samples have '
                            'no index; set train_cfg.type="mmengine.IterBasedTrainLoop" to train with it')
        self.seed = seed

    def __getattr__(self, name: str) -> Any:
        # "dataset" is missing while the object is unpickled. A batched __getitems__ would bypass the seeding.
        if name in ('dataset', '__getitems__'):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, sample: int | DrawnSample) -> Any:
        """Load a sample. The position of a plain index is the index itself."""
        if not isinstance(sample, DrawnSample):
            sample = DrawnSample(int(sample), position=int(sample))
        with seeded((self.seed, sample.position)):
            return self.dataset[sample.index]

    def __len__(self) -> int:
        return len(self.dataset)
