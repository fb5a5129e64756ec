# Copyright (c) The mmvc contributors. All rights reserved.
"""Values and gradients of the forms of one operation: a gather, a grid sample for each level, mmcv's compiled op."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor

from mmvc.models.layers import multi_scale_deformable_attention as attention
from mmvc.models.layers.multi_scale_deformable_attention import (
    MultiScaleDeformableAttention,
    _attend_by_grid_sample,
    multi_scale_deformable_attn,
)
from mmvc.models.utils.point_sampling import sample_points
from mmvc.utils.compiled_ops import has_compiled_ops

from ..recorder import Recorder, Settings

#: heights and widths of the levels, queries, heads, channels of a head, points
SIZES = dict(full=(((60, 108), (30, 54), (15, 27)), 8505, 8, 32, 4), toy=(((6, 10), (3, 5), (2, 3)), 81, 2, 8, 4))
#: largest difference relative to the largest value
TOLERANCE = 1e-4
AMP_TOLERANCE = 2e-3


def run(recorder: Recorder, settings: Settings) -> None:
    """Compare all forms that there are on the device."""
    inputs = attention_inputs(settings)
    expected = values_and_gradients(attend_plainly, inputs)
    name = 'deformable attention, '
    recorder.attempt(f'{name}gather', compare, recorder, f'{name}gather', attend_by_gather, inputs, expected)
    recorder.attempt('point sampling', compare_point_sampling, recorder, settings.device)
    if settings.device != 'cuda':
        recorder.skip('compiled op of mmcv: needs CUDA')
    elif not has_compiled_ops():
        recorder.skip('compiled op of mmcv: this mmcv was installed without compiled ops')
    else:
        form = f'{name}compiled op'
        recorder.attempt(form, compare, recorder, form, attend_compiled, inputs, expected)
        recorder.attempt('layer under AMP', compare_layer, recorder)


def compare_point_sampling(recorder: Recorder, device: str) -> None:
    """Compare the sampling of masks at points with its deterministic form."""
    inputs = torch.randn(4, 3, 32, 48, device=device, requires_grad=True), torch.rand(4, 200, 2, device=device)
    compare(recorder, 'point sampling, by index', by_index(sample_points), inputs,
            values_and_gradients(sample_points, inputs))


def compare_layer(recorder: Recorder) -> None:
    """Compare the layer under autocast with and without the compiled op: positions must stay in full precision."""
    shapes = torch.tensor(SIZES['full'][0], device='cuda')
    torch.manual_seed(0)
    layer = MultiScaleDeformableAttention(num_levels=3, batch_first=True).cuda().eval()
    query = torch.randn(1, int(shapes.prod(1).sum()), 256, device='cuda')
    references = torch.rand(*query.shape[:2], 3, 2, device='cuda')
    starts = shapes.prod(1).cumsum(0) - shapes.prod(1)
    outputs = []
    with torch.no_grad(), torch.autocast('cuda', dtype=torch.float16):
        for compiled in (True, False):
            with mock.patch.object(attention, 'has_compiled_ops', lambda value=compiled: value):
                outputs.append(layer(query, reference_points=references, spatial_shapes=shapes,
                                     level_start_index=starts).float())
    difference = float((outputs[0] - outputs[1]).abs().max() / outputs[1].abs().max())
    name = 'attention layer, fp16, compiled op'
    recorder.row(form=name, values=f'{difference:.1e}', allowed=f'{AMP_TOLERANCE:.0e}')
    recorder.require(difference <= AMP_TOLERANCE, f'{name}: values differ by {difference:.1e} of the largest one')


def attention_inputs(settings: Settings) -> tuple[Tensor, Tensor, Tensor]:
    """Random values, sampling locations (some of them outside) and weights, with gradients."""
    shapes, queries, heads, dims, points = SIZES[settings.size]
    torch.manual_seed(0)
    value = torch.randn(1, sum(h * w for h, w in shapes), heads, dims)
    locations = 1.2 * torch.rand(1, queries, heads, len(shapes), points, 2) - 0.1
    weights = torch.rand(1, queries, heads, len(shapes), points)
    weights /= weights.sum((-2, -1), keepdim=True)
    return tuple(x.to(settings.device).requires_grad_() for x in (value, locations, weights))


def shapes_for(value: Tensor) -> tuple[tuple[int, int], ...]:
    """Heights and widths of the levels of the values of :func:`attention_inputs`."""
    return next(sizes[0] for sizes in SIZES.values() if sum(h * w for h, w in sizes[0]) == value.shape[1])


def attend_plainly(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    """Deformable attention with a grid sample for each level: the form that needs nothing else."""
    return _attend_by_grid_sample(value, shapes_for(value), locations, weights)


def attend_by_gather(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    """Deformable attention as deterministic trainings compute it."""
    with deterministic():
        return multi_scale_deformable_attn(value, shapes_for(value), locations, weights)


def attend_compiled(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    """Deformable attention with the compiled op of mmcv."""
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    shapes = torch.tensor(shapes_for(value), device=value.device)
    areas = shapes.prod(1)
    return MultiScaleDeformableAttnFunction.apply(value, shapes, areas.cumsum(0) - areas, locations, weights, 64)


def by_index(function: Callable) -> Callable:
    """A function in its deterministic form."""

    def call(*args: Tensor) -> Tensor:
        with deterministic():
            return function(*args)

    return call


@contextmanager
def deterministic() -> Iterator[None]:
    """Let a block use the deterministic forms."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def values_and_gradients(function: Callable, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """Result of a function, and the gradients of a fixed weighted sum of it."""
    output = function(*inputs)
    weights = torch.linspace(-1, 1, output.numel(), device=output.device).view(output.shape)
    gradients = torch.autograd.grad((output * weights).sum(), [x for x in inputs if x.requires_grad])
    return [x.detach() for x in (output, *gradients)]


def compare(recorder: Recorder, name: str, function: Callable, inputs: tuple[Tensor, ...],
            expected: list[Tensor]) -> None:
    """Add a row with the largest differences to the plain form, and fail if they are too large."""
    differences = [float((a - b).abs().max() / b.abs().max())
                   for a, b in zip(values_and_gradients(function, inputs), expected)]
    columns = {'values': differences[0], 'gradients': max(differences[1:])}
    recorder.row(form=name, **{key: f'{value:.1e}' for key, value in columns.items()}, allowed=f'{TOLERANCE:.0e}')
    for key, value in columns.items():
        recorder.require(value <= TOLERANCE, f'{name}: {key} differ by {value:.1e} of the largest one')
