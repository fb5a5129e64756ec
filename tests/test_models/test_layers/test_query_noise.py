# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch

from mmvc.models.layers import QueryNoise
from mmvc.models.utils import match_queries, reorder_queries
from tests.helpers.golden_utils import below, load_golden


@pytest.fixture
def golden(data_dir):
    return load_golden(data_dir, 'noiser')


@pytest.mark.parametrize('mode', ['wa', 'cc', 'rs'])
def test_equals_official(golden, monkeypatch, mode):
    expected = below(golden, f'out/{mode}/')
    replayed = dict(perm='randperm', rand='rand', randint='randint')
    for draw, function in replayed.items():
        # a draw that is missing in the recording raises when it is asked for
        monkeypatch.setattr(torch, function,
                            lambda *args, draw=draw, **kwargs: expected[f'draws/{draw}'].flatten())
    noised, indices = QueryNoise(mode)(golden['inp/cur_embeds_no_norm'].transpose(0, 1))
    torch.testing.assert_close(noised, expected['noised_init'].transpose(0, 1))
    assert torch.equal(indices[0], expected['indices'])


def test_without_noise_the_matched_order_equals_official(golden):
    reference, current, embeds = (
        golden[f'inp/{name}'].transpose(0, 1) for name in ('ref_embeds', 'cur_embeds', 'cur_embeds_no_norm'))
    indices = match_queries(reference, current)
    assert torch.equal(indices[0], golden['out/none/indices'])
    assert torch.equal(reorder_queries(embeds, indices), golden['out/none/noised_init'].transpose(0, 1))
    assert not QueryNoise('none', prob=1.0).is_drawn()


@pytest.mark.parametrize('prob', [0.5, 0.8])
def test_probability(prob):
    noise = QueryNoise(prob=prob)
    frequency = sum(noise.is_drawn() for _ in range(2000)) / 2000
    assert abs(frequency - prob) < 0.06


def test_extreme_probabilities_are_exact():
    assert all(QueryNoise(prob=1.0).is_drawn() for _ in range(100))
    assert not any(QueryNoise(prob=0.0).is_drawn() for _ in range(100))


def test_off_in_evaluation():
    noise = QueryNoise(prob=1.0).eval()
    assert not any(noise.is_drawn() for _ in range(10))


@pytest.mark.parametrize('mode', ['wa', 'cc', 'rs'])
def test_index_is_where_most_comes_from(mode):
    embeds = torch.eye(40)[None] + 1
    noised, indices = QueryNoise(mode)(embeds)
    assert noised.shape == embeds.shape and indices.shape == (1, 40)
    if mode == 'rs':
        assert sorted(indices[0].tolist()) == list(range(40))
        assert torch.equal(noised, reorder_queries(embeds, indices))
    elif mode == 'wa':
        assert torch.equal(noised.argmax(-1), indices)
    assert not torch.equal(indices[0], torch.arange(40))


def test_gradients_reach_the_embeddings():
    embeds = torch.randn(1, 6, 8, requires_grad=True)
    QueryNoise('wa')(embeds)[0].sum().backward()
    assert embeds.grad.sum() == pytest.approx(48, rel=1e-4)


def test_argument_errors():
    with pytest.raises(ValueError, match="'wa', 'cc', 'rs', 'none'.*got 'swap'"):
        QueryNoise('swap')
    with pytest.raises(ValueError, match='prob.*got 1.5'):
        QueryNoise(prob=1.5)
