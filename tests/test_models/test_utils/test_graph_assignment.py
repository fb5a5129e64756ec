# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from mmvc.models.utils import graph_assignment, queries
from mmvc.models.utils.graph_assignment import assign_in_graph

pytest.importorskip('torch._higher_order_ops.while_loop')


@pytest.mark.parametrize('size', [1, 2, 7, 40])
def test_the_assignment_is_that_of_scipy(size):
    torch.manual_seed(size)
    for _ in range(3):
        cost = torch.randn(size, size, dtype=torch.float64)
        assert assign_in_graph(cost).tolist() == linear_sum_assignment(cost.numpy())[1].tolist()


def test_rows_that_want_the_same_column():
    cost = torch.tensor([[0., 1., 9.], [0., 5., 9.], [0., 9., 2.]], dtype=torch.float64)
    assert assign_in_graph(cost).tolist() == [1, 0, 2]


def test_equal_costs_give_a_permutation():
    for cost in (torch.zeros(9, 9), torch.ones(9, 9).tril()):
        columns = assign_in_graph(cost.double())
        assert sorted(columns.tolist()) == list(range(9))
        assert cost[range(9), columns].sum() == cost.numpy()[linear_sum_assignment(cost.numpy())].sum()


def test_similar_embeddings():
    torch.manual_seed(0)
    embeds = F.normalize(torch.randn(30, 16), dim=1)
    moved = F.normalize(embeds + 0.8 * torch.randn(30, 16), dim=1)[torch.randperm(30)]
    cost = -(embeds @ moved.T).double()
    assert assign_in_graph(cost).tolist() == linear_sum_assignment(cost.numpy())[1].tolist()


def test_nan_does_not_enter_the_loop(monkeypatch):
    """It would not end: no path is shorter than another one."""
    def assign(cost):
        assert cost.isfinite().all()
        return assign_in_graph(cost)

    monkeypatch.setattr(queries, 'is_exporting', lambda: True)
    monkeypatch.setattr(graph_assignment, 'assign_in_graph', assign)
    current = torch.eye(4)[[1, 0, 3, 2]]
    current[1] = torch.nan
    assert sorted(queries.match_queries(torch.eye(4)[None], current[None])[0].tolist()) == [0, 1, 2, 3]
