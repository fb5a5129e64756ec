# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch

from mmvc.models.utils.pieces import in_pieces


@pytest.mark.parametrize('size, sizes', [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
@pytest.mark.parametrize('dim', [0, 1])
def test_slices_come_in_pieces_and_return_in_their_order(size, sizes, dim):
    x, scale = torch.rand(5, 5, 3), torch.rand(5, 5, 1)
    seen = []

    def scaled(x, scale):
        seen.append(x.shape[dim])
        return (x * scale).sum(-1).double()  # of another shape and type

    with torch.no_grad():
        torch.testing.assert_close(in_pieces(scaled, size, dim, x, scale), (x * scale).sum(-1).double())
    assert seen == sizes


def test_gradients_come_from_one_call():
    x = torch.rand(4, 3, requires_grad=True)
    calls = []
    in_pieces(lambda x: calls.append(x) or x**2, 1, 0, x).sum().backward()
    assert len(calls) == 1
    torch.testing.assert_close(x.grad, 2 * x.detach())
