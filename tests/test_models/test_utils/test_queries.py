# Copyright (c) The mmvc contributors. All rights reserved.
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F

from mmvc.models.utils import decode_masks, match_queries, reorder_queries


def test_finds_a_permutation_per_batch_element():
    current = torch.randn(3, 20, 16)
    orders = torch.stack([torch.randperm(20) for _ in range(3)])
    # cosine similarity: lengths do not count
    reference = reorder_queries(current, orders) * torch.rand(3, 20, 1).add(0.1) + 0.01 * torch.randn(3, 20, 16)
    indices = match_queries(reference, current)
    assert indices.dtype == torch.int64 and torch.equal(indices, orders)


def test_assignment_maximises_the_sum_of_cosines():
    reference, current = torch.randn(2, 10, 5, 4) * 100**torch.randn(2, 10, 5, 1)
    cosine = F.cosine_similarity(reference[:, :, None], current[:, None], dim=-1)
    orders = torch.tensor(list(permutations(range(5))))
    sums = torch.stack([cosine[:, range(5), order].sum(1) for order in orders])
    assert torch.equal(match_queries(reference, current), orders[sums.argmax(0)])


def test_assignment_is_one_to_one_and_globally_best():
    """Both references prefer the first query; the second gives way, since it loses less."""
    reference = torch.tensor([[[1.0, 0.0], [0.8, 0.6]]])
    current = torch.tensor([[[1.0, 0.1], [0.0, 1.0]]])
    assert match_queries(reference, current).tolist() == [[0, 1]]
    assert match_queries(reference.flip(1), current).tolist() == [[1, 0]]


def test_matching_survives_an_exploding_training():
    current = torch.randn(1, 4, 8)
    current[0, 2] = torch.nan
    assert sorted(match_queries(torch.randn(1, 4, 8), current)[0].tolist()) == [0, 1, 2, 3]


def test_matching_is_outside_of_the_graph():
    embeds = torch.randn(1, 5, 8, requires_grad=True)
    indices = match_queries(embeds, embeds)
    assert indices.tolist() == [[0, 1, 2, 3, 4]] and not indices.requires_grad


@pytest.mark.parametrize('tail', [(), (7, ), (2, 3)])
def test_reorder(tail):
    x = torch.randn(2, 4, *tail, requires_grad=True)
    indices = torch.tensor([[3, 1, 0, 2], [0, 0, 1, 2]])
    out = reorder_queries(x, indices)
    for b in range(2):
        for q in range(4):
            assert torch.equal(out[b, q], x[b, indices[b, q]])
    out.sum().backward()
    assert x.grad[1, 0].flatten()[0] == 2 and not x.grad[1, 3].any()


def test_decode_masks():
    embeds, features = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 4, 6, 7)
    masks = decode_masks(embeds, features)
    torch.testing.assert_close(masks, torch.einsum('btqc,btchw->btqhw', embeds, features))
    torch.testing.assert_close(decode_masks(embeds[0, 0], features[0, 0]), masks[0, 0])
