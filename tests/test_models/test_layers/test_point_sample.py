# Copyright (c) The mmvc contributors. All rights reserved.
"""mmcv's point sampling is used as it is: these tests hold it to needing no compiled op."""

import sys

import pytest
import torch
from mmcv.ops import point_sample

import mmvc.utils.compiled_ops as compiled_ops


@pytest.fixture
def no_compiled_ops(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', compiled_ops._MissingExtension('mmcv._ext'))


def test_samples_bilinearly_without_compiled_ops(no_compiled_ops, device):
    # a plane is reproduced exactly by bilinear sampling, away from the border
    rows, columns = torch.meshgrid(torch.arange(6.), torch.arange(8.), indexing='ij')
    plane = (2 * rows - 3 * columns + 1).double().to(device)
    points = (torch.rand(1, 50, 2, dtype=torch.float64) * 0.7 + 0.15).to(device)
    sampled = point_sample(plane[None, None], points)
    x, y = points[..., 0] * 8 - 0.5, points[..., 1] * 6 - 0.5
    torch.testing.assert_close(sampled[:, 0], 2 * y - 3 * x + 1)


def test_gradcheck(no_compiled_ops, device):
    inputs = torch.rand(2, 3, 4, 5, dtype=torch.float64, device=device, requires_grad=True)
    points = (torch.rand(2, 7, 2, dtype=torch.float64, device=device) * 1.2 - 0.1).requires_grad_()
    assert torch.autograd.gradcheck(point_sample, (inputs, points))
