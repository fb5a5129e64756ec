# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
from mmengine.logging import MessageHub

from mmvc.models.utils.mask_annealing import MaskAnnealing
from mmvc.utils.errors import UsageError

EPOCH = 7391  # iterations of COCO with 16 images each


@pytest.mark.parametrize('num_blocks, epochs, starts, ends', [
    (4, 12, (14782, 29564, 44346, 59128), (29564, 44346, 59128, 73910)),
    (3, 24, (29564, 73910, 118256), (59128, 103474, 147820)),
])
def test_defaults_are_those_of_eomt_on_coco(num_blocks, epochs, starts, ends):
    annealing, total = MaskAnnealing(num_blocks), epochs * EPOCH
    assert [start * total for start in annealing.starts] == pytest.approx(starts)
    assert [end * total for end in annealing.ends] == pytest.approx(ends)


def test_probability():
    annealing = MaskAnnealing(2, starts=(0.2, 0.5), ends=(0.6, 0.5), power=2)
    assert [annealing.probability(0, x) for x in (0, 0.2, 0.3, 0.6, 1)] == pytest.approx([1, 1, 0.75**2, 0, 0])
    assert [annealing.probability(1, x) for x in (0.49, 0.5)] == [1, 0]
    assert MaskAnnealing(4).probability(0, 0.25) == pytest.approx(0.5**0.9)


def test_follows_the_iterations():
    annealing = MaskAnnealing(1, starts=(0.5, ))
    assert annealing.ends == pytest.approx((2 / 3, ))
    assert annealing(0) == 0.0  # no training
    hub = MessageHub.get_current_instance()
    hub.update_info('max_iters', 60)
    for iteration, expected in ((0, 1), (30, 1), (35, 0.5**0.9), (40, 0), (59, 0)):
        hub.update_info('iter', iteration)
        assert annealing(0) == pytest.approx(expected)


@pytest.mark.parametrize('arguments, message', [
    (dict(starts=(0, 0.5, 0.6)), '3 starts and 3 ends do not fit 2 blocks'),
    (dict(ends=(0.5, )), '2 starts and 1 ends do not fit'),
    (dict(starts=(0.5, 0.5), ends=(0.6, 0.4)), 'start 0.5 and end 0.4 of a block'),
    (dict(starts=(0, 14782)), 'fractions of the training'),
    (dict(starts=(0, float('nan'))), 'start nan and end nan'),
])
def test_wrong_arguments(arguments, message):
    with pytest.raises(UsageError, match=message):
        MaskAnnealing(2, **arguments)
