# Copyright (c) The mmvc contributors. All rights reserved.
import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, Subset

from mmvc.datasets import ResumableBatchSampler, SeededDataset
from mmvc.datasets.seeded_dataset import DrawnSample
from mmvc.registry import DATA_SAMPLERS

SIZE = 7


class Noise(Dataset):
    metainfo = dict(classes=('a', ))

    def __len__(self):
        return SIZE

    def __getitem__(self, index):
        assert type(index) is int
        return index, random.random(), np.random.rand(), torch.rand(()).item()


def batches(start=0, count=12, sampler=InfiniteSampler, **kwargs):
    resumable = ResumableBatchSampler(sampler(Noise(), seed=3), 2, **kwargs)
    resumable.start = start
    return list(itertools.islice(resumable, count))


def indices(found):
    return [[sample.index for sample in batch] for batch in found]


def positions(found):
    return [[sample.position for sample in batch] for batch in found]


class TestResumableBatchSampler:

    @pytest.mark.parametrize('sampler', [InfiniteSampler, DefaultSampler])
    @pytest.mark.parametrize('drop_last', [False, True])
    def test_starts_anywhere(self, sampler, drop_last):
        """For DefaultSampler, over several epochs with a smaller batch at the end of each."""
        whole = batches(sampler=sampler, drop_last=drop_last)
        rest = batches(5, 7, sampler=sampler, drop_last=drop_last)
        assert indices(rest) == indices(whole)[5:] and positions(rest) == positions(whole)[5:]
        assert sum(positions(whole), []) == list(range(sum(map(len, whole))))

    def test_order_is_that_of_the_sampler(self):
        expected = BatchSampler(InfiniteSampler(Noise(), seed=3), 2, drop_last=False)
        assert indices(batches()) == list(itertools.islice(expected, 12))

    def test_epochs_of_a_finite_sampler_are_shuffled_anew(self):
        first, second = np.array(sum(indices(batches(count=8, sampler=DefaultSampler)), [])).reshape(2, SIZE)
        assert sorted(first) == sorted(second) == list(range(SIZE)) and first.tolist() != second.tolist()

    def test_another_batch_sampler(self):

        @DATA_SAMPLERS.register_module(force=True)
        class EvenFirst(BatchSampler):

            def __init__(self, sampler, batch_size):
                super().__init__(sampler, batch_size, drop_last=False)

            def __iter__(self):
                for batch in super().__iter__():
                    yield sorted(batch, key=lambda index: index % 2)

        options = dict(batch_sampler=dict(type='mmvc.EvenFirst'))
        whole = batches(**options)
        assert indices(whole) == [sorted(batch, key=lambda index: index % 2) for batch in indices(batches())]
        assert positions(batches(3, 4, **options)) == positions(whole)[3:7]

    def test_ranks_take_turns(self, monkeypatch):
        """The samples of an iteration and their positions are those of one process with the whole batch."""
        alone = ResumableBatchSampler(InfiniteSampler(Noise(), seed=3), 4)
        parts = []
        for rank in range(2):
            monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
            module = 'mmvc.datasets.samplers.resumable_batch_sampler'
            monkeypatch.setattr(f'{module}.get_dist_info', lambda rank=rank: (rank, 2))
            parts.append(list(itertools.islice(ResumableBatchSampler(InfiniteSampler(Noise(), seed=3), 2), 5)))
        for whole, *shares in zip(alone, *parts):
            together = [(sample.index, sample.position) for share in shares for sample in share]
            assert sorted(together) == sorted((sample.index, sample.position) for sample in whole)

    def test_nothing_to_draw(self):
        with pytest.raises(ValueError, match='smaller than batch_size'):
            next(iter(ResumableBatchSampler(DefaultSampler(Noise()), 100, drop_last=True)))


class TestSeededDataset:

    def test_a_sample_depends_on_seed_and_position(self):
        dataset, index = SeededDataset(Noise(), 1), DrawnSample(2, 40)
        sample = dataset[index]
        random.random(), np.random.rand(), torch.rand(3)
        assert dataset[index] == sample and sample[0] == 2
        for other in (dataset[DrawnSample(2, 41)], SeededDataset(Noise(), 2)[index]):
            assert all(a != b for a, b in zip(other[1:], sample[1:]))

    def test_generators_of_the_process_are_left_alone(self):
        def draw(between):
            random.seed(0)
            np.random.seed(0)
            torch.manual_seed(0)
            values = [random.gauss(0, 1), np.random.standard_normal(), torch.randn(2).tolist()]
            between()
            return [*values, random.gauss(0, 1), np.random.standard_normal(), torch.randn(2).tolist()]

        assert draw(lambda: SeededDataset(Noise())[0]) == draw(lambda: None)

    def test_a_plain_index_is_its_own_position(self):
        dataset = SeededDataset(Noise(), 1)
        assert dataset[2] == dataset[DrawnSample(2, 2)] != dataset[DrawnSample(2, 3)]

    def test_a_batched_access_of_the_dataset_is_not_used(self):
        """A DataLoader would load whole batches by it, without seeding each sample."""
        dataset = SeededDataset(Subset(Noise(), range(SIZE)), 1)
        loader = DataLoader(dataset, batch_size=2, collate_fn=list)
        assert next(iter(loader)) == [dataset[0], dataset[1]]

    @pytest.mark.parametrize('options', [dict(num_workers=1), dict(num_workers=2),
                                         dict(num_workers=2, persistent_workers=True, prefetch_factor=4)])
    def test_workers_change_nothing(self, options):
        def first(**options):
            loader = DataLoader(SeededDataset(Noise()), collate_fn=list, **options,
                                batch_sampler=ResumableBatchSampler(InfiniteSampler(Noise(), seed=3), 2))
            return list(itertools.islice(loader, 5))

        assert first(**options) == first()

    def test_it_looks_like_the_dataset(self):
        dataset = pickle.loads(pickle.dumps(SeededDataset(Noise())))
        assert dataset.metainfo == Noise.metainfo and len(dataset) == SIZE
        assert not hasattr(dataset, 'full_init')

    def test_iterable_datasets_are_refused(self):

        class Stream(IterableDataset):

            def __iter__(self):
                return iter(())

        with pytest.raises(TypeError, match='Stream is an IterableDataset.*mmengine.IterBasedTrainLoop'):
            SeededDataset(Stream())
