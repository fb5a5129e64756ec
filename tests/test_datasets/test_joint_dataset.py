# Copyright (c) The mmvc contributors. All rights reserved.
import itertools
from collections import Counter
from unittest import mock

import pytest
from mmengine.dataset import BaseDataset, DefaultSampler, InfiniteSampler

from mmvc.datasets import JointDataset
from mmvc.registry import DATASETS


class Named(BaseDataset):
    """Items (name, index)."""

    def __init__(self, name, length, classes=('a', ), **kwargs):
        self.name, self.length = name, length
        super().__init__(metainfo=dict(classes=classes), pipeline=[], **kwargs)

    def load_data_list(self):
        return [dict(name=self.name, index=index) for index in range(self.length)]


def joint(lengths, ratio, **kwargs):
    return JointDataset([Named(str(i), length) for i, length in enumerate(lengths)], ratio,
                        [lambda item: (item['name'], item['index'])], **kwargs)


@pytest.mark.parametrize('lengths, ratio, total', [
    ((3, 11), (1, 1), 22),
    ((11, 3), (1, 1), 22),
    ((5, 20), (1, 4), 25),
    ((6, 9), (2, 1), 27),
    ((4, 4, 10), (1, 1, 2), 20),
])
def test_ratio_and_even_repetition(lengths, ratio, total):
    dataset = joint(lengths, ratio)
    assert len(dataset) == total
    seen = Counter(dataset[index] for index in range(len(dataset)))
    for i, (length, share) in enumerate(zip(lengths, ratio)):
        times = [count for (name, _), count in seen.items() if name == str(i)]
        assert len(times) == length, 'every item is shown'
        assert max(times) - min(times) <= 1
        assert sum(times) == total * share / sum(ratio)
    assert dataset.get_data_info(0)['name'] == '0' and dataset[-1][0] == str(len(lengths) - 1)


def test_infinite_sampler_mixes_by_the_ratio_on_every_rank():
    dataset = joint((7, 90), (1, 1))
    order = []
    for rank in range(2):
        with mock.patch('mmengine.dataset.sampler.get_dist_info', return_value=(rank, 2)):
            draws = [list(itertools.islice(InfiniteSampler(dataset, seed=5), 900)) for _ in range(2)]
        assert draws[0] == draws[1], 'the seed decides the order'
        order.append([dataset[index] for index in draws[0]])
        assert Counter(name for name, _ in order[-1])['0'] == pytest.approx(450, abs=60)
    epoch = list(itertools.chain(*zip(*order)))[:len(dataset)]
    assert Counter(name for name, _ in epoch) == {'0': 90, '1': 90}, 'exact over one pass of all ranks'
    assert order[0] != order[1]
    assert sorted(DefaultSampler(dataset, shuffle=True, seed=0)) == list(range(180))


def test_lazy():
    dataset = joint((1, 2), (1, 1), lazy_init=True)
    assert len(dataset) == 4 and dataset.metainfo['classes'] == ('a', )


@pytest.mark.parametrize('lengths, ratio, message', [
    ((1, 1), (1, ), 'one positive number for each of the 2'),
    ((1, 1), (1, 0), 'positive'),
])
def test_wrong_arguments(lengths, ratio, message):
    with pytest.raises(ValueError, match=message):
        joint(lengths, ratio)


def test_classes_must_agree():
    with pytest.raises(ValueError, match='differ in their classes'):
        JointDataset([Named('a', 1), Named('b', 1, classes=('b', ))], (1, 1), [])


def test_is_built_from_a_config():
    with mock.patch.dict(DATASETS.module_dict, Named=Named):
        dataset = DATASETS.build(
            dict(
                type='JointDataset',
                datasets=[dict(type='mmvc.Named', name='a', length=2), dict(type='mmvc.Named', name='b', length=1)],
                ratio=(1, 1),
                pipeline=[]))
    assert len(dataset) == 4 and dataset[3]['name'] == 'b'
