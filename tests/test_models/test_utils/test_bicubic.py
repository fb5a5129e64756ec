# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
import torch.nn.functional as F

from mmvc.models.utils.bicubic import resize_bicubic

SHAPES = dict(
    larger=dict(size=(9, 14), antialias=True),
    smaller=dict(size=(3, 2), antialias=True),
    one_axis=dict(size=(6, 3), antialias=True),
    scale=dict(scale_factor=(9.1 / 6, 4.1 / 7)))


@pytest.mark.parametrize('kwargs', SHAPES.values(), ids=SHAPES)
def test_deterministic_form_equals_interpolation_in_values_and_gradient(kwargs, device):
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64, device=device, requires_grad=True)
    expected = F.interpolate(x, mode='bicubic', align_corners=False, **kwargs)
    torch.use_deterministic_algorithms(True)  # the next test is without: tests/conftest.py
    actual = resize_bicubic(x, **kwargs)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
    direction = torch.randn_like(expected)
    gradient, = torch.autograd.grad(actual, x, direction)
    torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(gradient, *torch.autograd.grad(expected, x, direction), rtol=1e-10, atol=1e-10)


def test_is_that_of_torch_without_determinism_or_gradient():
    x = torch.randn(1, 2, 4, 5, requires_grad=True)
    expected = F.interpolate(x, (7, 3), mode='bicubic', align_corners=False, antialias=True)
    assert torch.equal(resize_bicubic(x, size=(7, 3), antialias=True), expected)
    torch.use_deterministic_algorithms(True)
    assert torch.equal(resize_bicubic(x.detach(), size=(7, 3), antialias=True), expected)
    with torch.no_grad():
        assert torch.equal(resize_bicubic(x, size=(7, 3), antialias=True), expected)


def test_deterministic_gradient_does_not_pass_the_interpolation(monkeypatch):
    """On CUDA it would raise an error."""
    x = torch.randn(1, 2, 4, 5, requires_grad=True)
    torch.use_deterministic_algorithms(True)
    real = F.interpolate
    inputs = []
    monkeypatch.setattr(F, 'interpolate', lambda x, **kwargs: inputs.append(x) or real(x, **kwargs))
    resize_bicubic(x, size=(7, 3)).sum().backward()
    assert len(inputs) == 2 and not any(image.requires_grad for image in inputs) and x.grad is not None
