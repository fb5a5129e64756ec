# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
from mmcv.ops import point_sample

from mmvc.models.utils.point_sampling import sample_points


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)  # the next test is without: tests/conftest.py


def _inputs(device, points=50):
    images = torch.rand(3, 2, 4, 5, dtype=torch.float64, device=device, requires_grad=True)
    corners = torch.tensor([[0., 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]], dtype=torch.float64)
    points = torch.cat((torch.rand(3, points, 2, dtype=torch.float64), corners.expand(3, -1, -1)), dim=1)
    return images, points.to(device)


def test_equals_mmcv_in_values_and_gradient(deterministic, device):
    images, points = _inputs(device)
    actual, expected = sample_points(images, points), point_sample(images, points)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    direction = torch.randn_like(expected)
    torch.use_deterministic_algorithms(False)
    gradients = [torch.autograd.grad(sampled, images, direction)[0] for sampled in (actual, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


def test_gradcheck(deterministic, device):
    images, points = _inputs(device, 2)
    assert torch.autograd.gradcheck(lambda x: sample_points(x, points), (images, ))


def test_is_that_of_mmcv_unless_determinism_is_asked_for(device):
    images, points = _inputs(device)
    assert torch.equal(sample_points(images, points), point_sample(images, points))
