# Copyright (c) The mmvc contributors. All rights reserved.
import math

import mmcv.ops
import numpy as np
import pytest
import torch

from mmvc.models.cpu import deformable_attention as cpu_module
from mmvc.models.layers import multi_scale_deformable_attention as module
from mmvc.models.layers.multi_scale_deformable_attention import (
    MultiScaleDeformableAttention,
    multi_scale_deformable_attn,
)
from mmvc.registry import MODELS

SHAPES = [(3, 5), (4, 2)]


def _inputs(device='cpu', dtype=torch.float64, batch=2, heads=2, dim=3, queries=4, points=2):
    generator = torch.Generator().manual_seed(1)
    num_values = sum(h * w for h, w in SHAPES)
    value = torch.randn(batch, num_values, heads, dim, generator=generator, dtype=dtype)
    # a little beyond [0, 1]: samples outside a level must count as zero
    locations = torch.rand(batch, queries, heads, len(SHAPES), points, 2, generator=generator, dtype=dtype) * 1.4 - 0.2
    weights = torch.rand(batch, queries, heads, len(SHAPES) * points, generator=generator, dtype=dtype).softmax(-1)
    weights = weights.view(batch, queries, heads, len(SHAPES), points)
    return [x.to(device).requires_grad_() for x in (value, locations, weights)]


def _naive(value, shapes, locations, weights):
    """Deformable DETR, Eq. 3, one sample at a time."""
    batch, queries, heads, _, points, _ = locations.shape
    dim = value.shape[-1]
    output = value.new_zeros(batch, queries, heads, dim)
    for b in range(batch):
        for q in range(queries):
            for m in range(heads):
                start = 0
                for lvl, (h, w) in enumerate(shapes):
                    feature = value[b, start:start + h * w, m].view(h, w, dim)
                    start += h * w
                    for p in range(points):
                        # pixel centres lie at half-integer positions
                        x = locations[b, q, m, lvl, p, 0] * w - 0.5
                        y = locations[b, q, m, lvl, p, 1] * h - 0.5
                        x0, y0 = math.floor(x.item()), math.floor(y.item())
                        for i, j in ((y0, x0), (y0, x0 + 1), (y0 + 1, x0), (y0 + 1, x0 + 1)):
                            if 0 <= i < h and 0 <= j < w:
                                share = (1 - (y - i).abs()) * (1 - (x - j).abs())
                                output[b, q, m] = output[b, q, m] + weights[b, q, m, lvl, p] * share * feature[i, j]
    return output.flatten(2)


def test_equals_naive_loop_in_values_and_gradients(device):
    inputs = _inputs(device)
    expected = _naive(inputs[0], SHAPES, *inputs[1:])
    actual = multi_scale_deformable_attn(inputs[0], torch.tensor(SHAPES, device=device), *inputs[1:])
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)

    direction = torch.randn_like(expected)
    for ours, naive in zip(
            torch.autograd.grad(actual, inputs, direction), torch.autograd.grad(expected, inputs, direction)):
        torch.testing.assert_close(ours, naive, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('max_queries', [1, 3, 4])
def test_both_forms_are_the_same(monkeypatch, max_queries):
    """CPU gathers, other devices without compiled ops sample grids."""
    monkeypatch.setattr(cpu_module, '_MAX_QUERIES', max_queries)
    value, locations, weights = inputs = _inputs()
    outputs = [attend(value, SHAPES, locations, weights) for attend in (cpu_module.attend_by_gather,
                                                                       module._attend_by_grid_sample)]
    torch.testing.assert_close(*outputs, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad(output.square().sum(), inputs) for output in outputs]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


def test_gathers_on_every_device_where_determinism_is_asked_for(monkeypatch):
    """The gradient of a grid sample has no deterministic form on CUDA. The meta device stands for it."""
    value, locations, weights = (x.detach().to('meta') for x in _inputs())

    def refuse(*args):
        raise AssertionError('a grid sample')

    monkeypatch.setattr(module, '_attend_by_grid_sample', refuse)
    with pytest.raises(AssertionError, match='a grid sample'):
        multi_scale_deformable_attn(value, SHAPES, locations, weights)
    torch.use_deterministic_algorithms(True)
    output = multi_scale_deformable_attn(value, SHAPES, locations, weights)
    assert output.shape == (2, 4, 6) and output.device.type == 'meta'


def test_positions_that_are_no_numbers_give_no_numbers(device):
    """A training that explodes must end in NaN losses, not in a read outside of the features."""
    value, locations, weights = (x.detach() for x in _inputs(device))
    locations[0, 1, 0, 0, 0] = torch.tensor([float('nan'), float('inf')])
    output = multi_scale_deformable_attn(value, SHAPES, locations, weights)
    assert output[0, 1, :3].isnan().all() and output[1].isfinite().all()


def test_gradcheck(device):
    assert torch.autograd.gradcheck(lambda v, s, w: multi_scale_deformable_attn(v, SHAPES, s, w), _inputs(device))


def test_half_precision_value_keeps_precise_positions():
    value, locations, weights = (x.detach().float() for x in _inputs())
    exact = multi_scale_deformable_attn(value.bfloat16().float(), SHAPES, locations, weights)
    actual = multi_scale_deformable_attn(value.bfloat16(), SHAPES, locations, weights)
    assert actual.dtype == torch.bfloat16
    torch.testing.assert_close(actual, exact.bfloat16())


def _calls(layer, batch_first, box):
    generator = torch.Generator().manual_seed(2)
    num_values = sum(h * w for h, w in SHAPES)
    query, pos = torch.randn(2, 3, 2, 8, generator=generator)  # (Q, B, C) each
    value = torch.randn(num_values, 2, 8, generator=generator)
    if batch_first:
        query, pos, value = (x.transpose(0, 1) for x in (query, pos, value))
    shapes = torch.tensor(SHAPES)
    return layer(
        query,
        value=value,
        query_pos=pos,
        key_padding_mask=torch.rand(2, num_values, generator=generator) < 0.3,
        reference_points=torch.rand(2, 3, 2, 4 if box else 2, generator=generator),
        spatial_shapes=shapes,
        level_start_index=torch.cat((shapes.new_zeros(1), shapes.prod(1).cumsum(0)[:-1])))


@pytest.mark.parametrize('batch_first', [True, False])
@pytest.mark.parametrize('box', [True, False])
def test_is_interchangeable_with_mmcv(batch_first, box):
    cfg = dict(embed_dims=8, num_heads=2, num_levels=2, num_points=3, batch_first=batch_first)
    layer = MODELS.build(dict(type='mmvc.MultiScaleDeformableAttention', **cfg)).eval()
    assert isinstance(layer, MultiScaleDeformableAttention)
    theirs = mmcv.ops.MultiScaleDeformableAttention(**cfg).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    layer.load_state_dict(theirs.state_dict())  # strict
    torch.testing.assert_close(_calls(layer, batch_first, box), _calls(theirs, batch_first, box))


def test_equals_official(data_dir, device):
    golden = np.load(data_dir / 'goldens/pixel_decoder.npz')
    golden = {key[5:]: torch.from_numpy(golden[key]).to(device) for key in golden if key.startswith('msda/')}
    layer = MultiScaleDeformableAttention(32, num_heads=4, num_levels=3, num_points=4, dropout=0., batch_first=True)
    layer.to(device).load_state_dict({k[3:]: v for k, v in golden.items() if k.startswith('sd/')})
    query = golden['inp/query']
    output = layer(
        query,
        value=golden['inp/input_flatten'],
        identity=torch.zeros_like(query),
        reference_points=golden['inp/reference_points'],
        spatial_shapes=golden['inp/spatial_shapes'],
        level_start_index=golden['inp/level_start_index'])
    assert (output - golden['out']).abs().max() < 1e-5 * golden['out'].abs().max()


def test_trains(device):
    layer = MultiScaleDeformableAttention(8, num_heads=2, num_levels=2, num_points=2, batch_first=True).to(device)
    inputs = torch.randn(2, 23, 8, device=device, requires_grad=True)
    output = layer(
        inputs,
        reference_points=torch.rand(2, 23, 2, 2, device=device),
        spatial_shapes=torch.tensor(SHAPES, device=device),
        level_start_index=torch.tensor([0, 15], device=device))
    output.square().sum().backward()
    for name, parameter in [*layer.named_parameters(), ('input', inputs)]:
        assert parameter.grad.abs().sum() > 0, name


def test_compiled_function_is_used_on_cuda_where_there_is_one(monkeypatch):
    """Without a GPU: a value that claims to be on CUDA, and a compiled function that records its call."""
    steps = []

    class Recorder:

        @staticmethod
        def apply(value, spatial_shapes, level_start_index, locations, weights, step):
            steps.append(step)
            return multi_scale_deformable_attn(value, spatial_shapes, locations, weights)

    class ClaimsCuda(torch.Tensor):
        is_cuda = True

    monkeypatch.setattr(module, 'MultiScaleDeformableAttnFunction', Recorder)
    layer = MultiScaleDeformableAttention(8, num_heads=2, num_levels=2, im2col_step=4, batch_first=True).eval()

    def call(batch, tensor_type):
        query = torch.ones(batch, 23, 8).as_subclass(tensor_type)
        return layer(query, reference_points=torch.rand(batch, 23, 2, 2), spatial_shapes=torch.tensor(SHAPES))

    call(2, ClaimsCuda)
    assert steps == [] or module.has_compiled_ops()
    steps.clear()
    monkeypatch.setattr(module, 'has_compiled_ops', lambda: True)
    call(2, torch.Tensor)
    assert steps == []
    torch.use_deterministic_algorithms(True)
    call(2, ClaimsCuda)
    torch.use_deterministic_algorithms(False)
    assert steps == []  # its gradient is a sum in any order
    for batch in (3, 6):  # the step divides the batch, which mmcv's own 4 would not for 6
        call(batch, ClaimsCuda)
    assert steps == [3, 2]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_compiled_function_samples_in_full_precision(monkeypatch, dtype):
    """It casts positions to the dtype of the value, and half precision merges neighbouring pixels."""
    dtypes = set()

    class Recorder:

        @staticmethod
        def apply(value, spatial_shapes, level_start_index, locations, weights, step):
            dtypes.update((value.dtype, locations.dtype, weights.dtype))
            return multi_scale_deformable_attn(value, spatial_shapes, locations, weights)

    class ClaimsCuda(torch.Tensor):
        is_cuda = True

    monkeypatch.setattr(module, 'MultiScaleDeformableAttnFunction', Recorder)
    monkeypatch.setattr(module, 'has_compiled_ops', lambda: True)
    layer = MultiScaleDeformableAttention(8, num_heads=2, num_levels=2, batch_first=True).eval()
    query, references = torch.rand(1, 23, 8), torch.rand(1, 23, 2, 2)
    with torch.no_grad(), torch.autocast('cpu', dtype=dtype):
        compiled, plain = (
            layer(query.as_subclass(kind), reference_points=references, spatial_shapes=torch.tensor(SHAPES))
            for kind in (ClaimsCuda, torch.Tensor))
    assert dtypes == {torch.float32}
    assert torch.equal(compiled.as_subclass(torch.Tensor), plain)


def test_errors_name_the_remedy():
    layer = MultiScaleDeformableAttention(8, num_heads=2, num_levels=2, batch_first=True)
    query = torch.rand(1, 23, 8)
    with pytest.raises(ValueError, match='do not add up to the 23 positions'):
        layer(query, reference_points=torch.rand(1, 23, 2, 2), spatial_shapes=torch.tensor([[3, 5], [4, 3]]))
    with pytest.raises(ValueError, match='must be 2'):
        layer(query, reference_points=torch.rand(1, 23, 2, 3), spatial_shapes=torch.tensor(SHAPES))
