# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Iterator

from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS as ALL_DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler

from mmvc.registry import DATA_SAMPLERS
from mmvc.utils.errors import UsageError

from ..seeded_dataset import SampleIndex


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(Sampler):
    """Batches without end that can start anywhere, as if those before had been drawn.

    Nothing is loaded to get there: a million indices take a fraction of a second. A finite sampler begins its next
    epoch (``set_epoch``) when it is through, without a restart of the workers.

    Args:
        sampler (Sampler): Indices of this rank, in an order that depends on its seed (and epoch) only.
        batch_size (int): Samples in a batch.
        drop_last (bool): Whether to leave out the smaller batch at the end of an epoch. Defaults to False.
        batch_sampler (dict, optional): Another batch sampler to take the batches from. Defaults to None.

    Attributes:
        start (int): Number of batches to pass over; read when an iteration begins.
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

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        """Batches from number ``start`` on."""
        drawn = 0  # by this rank; the ranks take turns
        for number, batch in enumerate(self._endless()):
            if number >= self.start:
                yield [SampleIndex(index, (drawn + place) * self.world_size + self.rank)
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
                raise UsageError('ResumableBatchSampler: the sampler gives no batch; is the dataset empty, or smaller '
                                 'than batch_size with drop_last=True?')
            epoch += 1
            for part in (self.sampler, self.batch_sampler):
                if hasattr(part, 'set_epoch'):
                    part.set_epoch(epoch)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.batch_sampler)
