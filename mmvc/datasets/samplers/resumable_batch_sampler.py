# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Iterator

from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS as ALL_DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler

from mmvc.registry import DATA_SAMPLERS
from mmvc.utils.errors import UsageError

from ..seeded_dataset import DrawnSample


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(Sampler):
    """Endless batches that can start at any iteration, as if all batches before it had been drawn.

    Skipped batches are not loaded: a million indices take a fraction of a second. When a finite sampler ends, its
    next epoch begins (``set_epoch``) without a restart of the workers.

    Args:
        sampler (Sampler): Indices of this rank. Their order must depend only on the seed and the epoch.
        batch_size (int): Samples in a batch.
        drop_last (bool): Whether to drop a smaller last batch of an epoch. Defaults to False.
        batch_sampler (dict, optional): Config of the batch sampler that forms the batches. Defaults to None:
            ``torch.utils.data.BatchSampler``.

    Attributes:
        start (int): Number of batches to skip. It is read when an iteration over the batches begins.
    """

    def __init__(self, sampler: Sampler, batch_size: int, drop_last: bool = False,
                 batch_sampler: dict | None = None) -> None:
        if batch_sampler is None:
            self.batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        else:
            self.batch_sampler = ALL_DATA_SAMPLERS.build(
                batch_sampler, default_args=dict(sampler=sampler, batch_size=batch_size))
        self.sampler = sampler
        self.batch_size = batch_size
        self.start = 0
        self.rank, self.world_size = get_dist_info()

    def __iter__(self) -> Iterator[list[DrawnSample]]:
        """Yield the batches from number ``start`` on."""
        drawn = 0  # samples of this rank; positions are dealt to the ranks in turn
        for number, batch in enumerate(self._endless()):
            if number >= self.start:
                yield [DrawnSample(int(index), (drawn + place) * self.world_size + self.rank)
                       for place, index in enumerate(batch)]
            drawn += len(batch)

    def _endless(self) -> Iterator[list[int]]:
        epoch = 0
        while True:
            empty = True
            for batch in self.batch_sampler:
                empty = False
                yield batch
            if empty:
                raise UsageError('ResumableBatchSampler: the sampler yields no batch: the dataset is empty, or '
                                 'smaller than batch_size with drop_last=True; add data, or lower '
                                 'train_dataloader.batch_size')
            epoch += 1
            for part in (self.sampler, self.batch_sampler):
                if hasattr(part, 'set_epoch'):
                    part.set_epoch(epoch)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return len(self.batch_sampler)
