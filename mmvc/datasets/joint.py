# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, Compose, ConcatDataset

from mmvc.registry import DATASETS
from mmvc.utils.errors import DataError

from .bad_samples import BadSamplePolicy


@DATASETS.register_module()
class JointDataset(BadSamplePolicy, ConcatDataset):
    """Datasets with the same classes, concatenated by ratio, with one pipeline.

    The items of every dataset but the one that is longest relative to its share are repeated until the shares are
    right. Repetition counts within a dataset differ by at most one. Any sampler that visits all indices
    (``InfiniteSampler``, ``DefaultSampler``), on any number of ranks, therefore mixes by the ratio. Its seed decides
    the order.

    Args:
        datasets (sequence[dict | BaseDataset]): The datasets. Their own pipelines are not used.
        ratio (sequence[float]): Share of each dataset, relative to the others.
        pipeline (sequence[dict | callable]): Transforms for the items of all datasets.
        max_bad_samples (int): How many different items may be unreadable, as in :class:`BaseVideoDataset`. The limits
            of the datasets themselves are not used. Defaults to 0.
        lazy_init (bool): Whether to read the annotations only in ``full_init``. Defaults to False.

    Raises:
        DataError: The ratio is not one positive number per dataset, or the classes of the datasets differ.

    Example:
        >>> dataset = dict(
        ...     type='JointDataset',
        ...     datasets=[dict(type='OVISDataset', ...), dict(type='COCOPseudoVideoDataset', target='ovis', ...)],
        ...     ratio=(1, 1),
        ...     pipeline=train_pipeline)
    """

    def __init__(self,
                 datasets: Sequence[dict | BaseDataset],
                 ratio: Sequence[float],
                 pipeline: Sequence[dict | Callable],
                 max_bad_samples: int = 0,
                 lazy_init: bool = False) -> None:
        if len(ratio) != len(datasets) or not all(share > 0 for share in ratio):
            raise DataError(f'JointDataset: ratio must have one positive number for each of the {len(datasets)} '
                            f'datasets, got {ratio}')
        built = [DATASETS.build(dataset) if isinstance(dataset, dict) else dataset for dataset in datasets]
        for dataset in built[1:]:
            if tuple(dataset.metainfo['classes']) != tuple(built[0].metainfo['classes']):
                raise DataError(f'JointDataset: {type(dataset).__name__} and {type(built[0]).__name__} differ in '
                                'their classes; set version (YouTube-VIS) or target (COCO) to match, or pass the '
                                'same metainfo to both')
        self.set_max_bad_samples(max_bad_samples)
        self.ratio = tuple(ratio)
        self.pipeline = Compose(pipeline)
        super().__init__(built, lazy_init=lazy_init, ignore_keys=sorted({
            key for dataset in built for key in dataset.metainfo}))

    def full_init(self) -> None:
        """Read the annotations, and compute how many items of the mix belong to each dataset."""
        if self._fully_initialized:
            return
        super().full_init()
        lengths = [len(dataset) for dataset in self.datasets]
        unit = max(length / share for length, share in zip(lengths, self.ratio))
        shown = [max(length, round(unit * share)) for length, share in zip(lengths, self.ratio)]
        self.cumulative_sizes = np.cumsum(shown).tolist()

    def _get_ori_dataset_idx(self, idx: int) -> tuple[int, int]:
        dataset_idx, position = super()._get_ori_dataset_idx(idx)
        start = self.cumulative_sizes[dataset_idx - 1] if dataset_idx else 0
        shown = self.cumulative_sizes[dataset_idx] - start
        return dataset_idx, position * len(self.datasets[dataset_idx]) // shown

    def prepare_data(self, idx: int) -> Any:
        """Load the item at an index of the mix, and pass it through the pipeline."""
        return self.pipeline(self.get_data_info(idx))
