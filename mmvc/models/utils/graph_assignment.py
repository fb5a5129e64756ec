# Copyright (c) The mmvc contributors. All rights reserved.
"""The assignment of queries as part of an exported graph, where scipy cannot be called.

Method: shortest augmenting paths with potentials, Crouse, "On implementing 2D rectangular assignment algorithms", IEEE
Transactions on Aerospace and Electronic Systems 52(4), 2016. It is exact, as that of scipy.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class _Search(NamedTuple):
    """What one step of the loop hands to the next one; all of n rows and n columns."""

    root: Tensor
    """Row that is to be assigned, int64 (1,); -1 when all are."""
    row: Tensor
    """Row whose edges the step looks at, int64 (1,)."""
    sink: Tensor
    """Column whose path back to the root is being flipped, int64 (1,); -1 while a path is searched."""
    low: Tensor
    """Length of the path to ``row``, shape (1,)."""
    dist: Tensor
    """Length of the shortest path to each column so far, shape (n,)."""
    way: Tensor
    """Row before each column on that path, int64 (n,)."""
    done: Tensor
    """Columns whose path is final, bool (n,)."""
    row_prices: Tensor
    column_prices: Tensor
    row_of: Tensor
    """Row that each column is assigned to, int64 (n,); -1 if it is free."""
    assigned: Tensor
    """Rows that have a column, bool (n,)."""
    cost: Tensor


def assign_in_graph(cost: Tensor) -> Tensor:
    """Assign each row of a matrix to a column of its own, so that the sum of the costs is least.

    It consists of tensor operations and one loop, so it can be traced for any costs. Most rows have a cheapest column
    that no other row wants; the loop is for the others.

    Args:
        cost (Tensor): Finite costs, float64, shape (n, n).

    Returns:
        Tensor: Column of each row, int64, shape (n,).
    """
    from torch._higher_order_ops.while_loop import while_loop  # a loop of any length has no public name in torch yet
    index = torch.arange(len(cost), device=cost.device)
    wanted = cost.argmin(dim=1)[:, None] == index
    row_of = torch.where(wanted.any(dim=0), wanted.to(torch.int64).argmax(dim=0), -1)
    assigned = (row_of == index[:, None]).any(dim=1)
    row_prices = cost.amin(dim=1)
    nothing = torch.zeros_like(row_prices)
    root = _first_unassigned(assigned)
    start = _Search(root, root.clone(), torch.full_like(root, -1), nothing[:1].clone(),
                    torch.full_like(nothing, torch.inf), torch.zeros_like(index), torch.zeros_like(assigned),
                    row_prices, nothing, row_of, assigned, cost)
    row_of = while_loop(lambda *state: (state[0] >= 0).all(), lambda *state: _step(_Search(*state)), tuple(start))[9]
    return (row_of == index[:, None]).to(torch.int64).argmax(dim=1)


def _first_unassigned(assigned: Tensor) -> Tensor:
    """First row without a column, int64 (1,); -1 if there is none."""
    return torch.where(assigned.all(), -1, (~assigned).to(torch.int64).argmax(dim=0, keepdim=True))


def _step(s: _Search) -> tuple[Tensor, ...]:
    """Make a path one column longer, or flip one column of a path that has reached a free one."""
    index = torch.arange(len(s.cost), device=s.cost.device)
    searching = s.sink < 0

    through = s.low + s.cost[s.row][0] - s.row_prices[s.row] - s.column_prices
    closer = searching & ~s.done & (through < s.dist)
    dist = torch.where(closer, through, s.dist)
    way = torch.where(closer, s.row, s.way)
    open_dist = torch.where(s.done, torch.inf, dist)
    column = open_dist.argmin(dim=0, keepdim=True)
    owner = s.row_of[column]
    done = s.done | (searching & (index == column))
    low = torch.where(searching, open_dist.amin(dim=0, keepdim=True), s.low)
    reached = searching & (owner < 0)
    change = torch.where(reached & done, low - dist, 0.)
    column_prices = s.column_prices - change
    row_prices = s.row_prices.scatter_add(0, s.row_of.clamp(min=0), torch.where(s.row_of < 0, 0., change))
    row_prices = row_prices + torch.where(reached & (index == s.root), low, 0.)

    flipped = way[s.sink]
    column_before = (s.row_of == flipped).to(torch.int64).argmax(dim=0, keepdim=True)
    row_of = torch.where(~searching & (index == s.sink), flipped, s.row_of)
    finished = ~searching & (flipped == s.root)
    assigned = s.assigned | (finished & (index == s.root))
    following = _first_unassigned(assigned)
    sink = torch.where(searching, torch.where(reached, column, s.sink), torch.where(finished, -1, column_before))
    row = torch.where(finished, following, torch.where(searching, owner, s.row))
    return (torch.where(finished, following, s.root), row, sink, torch.where(finished, 0., low),
            torch.where(finished, torch.inf, dist), way, done & ~finished, row_prices, column_prices, row_of, assigned,
            s.cost.clone())
