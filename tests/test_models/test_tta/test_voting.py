# Copyright (c) The mmvc contributors. All rights reserved.
import itertools

import pytest
import torch

from mmvc.models.tta import majority_vote, soft_vote, vote_margin


def maps(*rows):
    return [torch.tensor([row], dtype=torch.uint8) for row in rows]


def direct_vote(predictions):
    """The definition, pixel by pixel; predictions stand from the highest resolution to the lowest."""
    stacked = torch.stack(predictions).flatten(1)
    winners = []
    for column in stacked.T.tolist():
        most = max(column.count(value) for value in column)
        winners.append(next(value for value in column if column.count(value) == most))
    return torch.tensor(winners, dtype=predictions[0].dtype).view_as(predictions[0])


def test_majority_and_ties_by_hand():
    predictions = maps(
        # majority, tie of two, tie of all, 255 wins, highest resolution outvoted, tie without the highest
        [7, 1, 4, 255, 9, 5],
        [7, 2, 3, 255, 8, 2],
        [1, 2, 2, 0, 8, 3],
        [7, 1, 1, 255, 8, 3],
        [0, 9, 0, 0, 8, 2],
    )
    assert majority_vote(predictions).tolist() == [[7, 1, 4, 255, 8, 2]]


def test_resolutions_decide_ties_and_their_order_does_not():
    predictions = maps([1, 1, 1], [2, 2, 3], [3, 2, 1], [4, 1, 3])
    resolutions = [100, 400, 300, 200]
    expected = [[2, 2, 3]]
    for order in itertools.permutations(range(4)):
        result = majority_vote([predictions[i] for i in order], [resolutions[i] for i in order])
        assert result.tolist() == expected


def test_of_equal_resolutions_the_first_decides():
    assert majority_vote(maps([5], [6], [7]), [10, 20, 20]).item() == 6


def test_margins_by_hand():
    predictions = maps(
        # all agree, 3 against 1, tie, 2 against 1 and 1, four different ones
        [7, 7, 7, 7, 1],
        [7, 7, 7, 7, 2],
        [7, 7, 9, 8, 3],
        [7, 9, 9, 9, 4],
    )
    before = [prediction.clone() for prediction in predictions]
    margin = vote_margin(predictions, majority_vote(predictions))
    assert margin.dtype == torch.uint8 and margin.tolist() == [[255, 128, 0, 64, 0]]
    assert all(torch.equal(*pair) for pair in zip(predictions, before))


@pytest.mark.parametrize('count', [1, 2, 3, 8, 9])
@pytest.mark.parametrize('size', [(1, 1), (3, 5), (31, 17)])
def test_equals_the_definition(count, size):
    # values with holes, few of the 256 classes present
    values = torch.tensor([0, 3, 77, 123, 255], dtype=torch.uint8)
    predictions = [values[torch.randint(5, size)] for _ in range(count)]
    before = [prediction.clone() for prediction in predictions]
    result = majority_vote(predictions)
    assert result.dtype == torch.uint8
    assert torch.equal(result, direct_vote(predictions))
    result.fill_(1)
    assert all(torch.equal(*pair) for pair in zip(predictions, before)), 'inputs were changed'


def test_255_voters_do_not_overflow_the_counters():
    predictions = maps(*[[1]] * 127, *[[2]] * 128)
    assert majority_vote(predictions).item() == 2


def test_more_than_256_classes():
    predictions = [torch.tensor([[value]]) for value in (1, 257, 257)]  # equal in their last 8 bits
    assert majority_vote(predictions).item() == 257


@pytest.mark.parametrize('predictions, resolutions, message', [
    ([], None, '0 predictions'),
    (maps(*[[0]] * 256), None, '256 predictions'),
    (maps([1], [1, 2]), None, 'different shapes'),
    ([torch.zeros(1, 1, dtype=torch.uint8), torch.zeros(1, 1, dtype=torch.int64)], None, 'different shapes or types'),
    (maps([1], [2]), [3], '1 resolutions for 2'),
])
def test_what_cannot_vote_together(predictions, resolutions, message):
    with pytest.raises(ValueError, match=message):
        majority_vote(predictions, resolutions)


def test_soft_vote_is_the_mean_of_distributions():
    # one pixel: 0.9 / 0.1, 0.2 / 0.8, 0.3 / 0.7 -> means 0.467 / 0.533; a majority of sure votes would differ
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])[..., None, None]
    assert soft_vote(scores).item() == 1
    # a prediction of small scores has the same vote: scaled by 1e-3 the two still outweigh the first
    scores[1:] *= 1e-3
    before = scores.clone()
    assert soft_vote(iter(scores)).item() == 1
    assert torch.equal(scores, before)


def test_soft_vote_without_any_score():
    scores = [torch.zeros(3, 2, 2), torch.zeros(3, 2, 2)]
    scores[1][2, 0, 0] = 1e-6
    assert soft_vote(scores).tolist() == [[2, 0], [0, 0]]


def test_soft_vote_refuses():
    with pytest.raises(ValueError, match='no predictions'):
        soft_vote([])
    with pytest.raises(ValueError, match=r'\(2, 1, 1\) and \(3, 1, 1\)'):
        soft_vote([torch.ones(2, 1, 1), torch.ones(3, 1, 1)])
