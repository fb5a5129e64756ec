# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch

from mmvc.deployment.online_graph import OnlineGraph
from mmvc.deployment.tracing import exportable, trace
from mmvc.models.cpu import cpu_kernels_enabled
from mmvc.utils.errors import UsageError
from tests.helpers import tiny_encoder_only
from tests.helpers.tiny_graphs import build, graph_config

KINDS = ['MinVIS', 'DVISOnline', 'grouped norm', 'videomt', 'lvmt', 'image']
SLOW = [pytest.param(kind, marks=[pytest.mark.slow] * (kind in ('MinVIS', 'DVISOnline', 'videomt'))) for kind in KINDS]


def model_of(kind):
    if kind == 'image':
        return tiny_encoder_only.build_model(tiny_encoder_only.image_stage('videomt')).eval()
    if kind == 'grouped norm':  # as in the small configs
        cfg = graph_config('DVISOnline')
        cfg.model.tracker.update(norm_groups=2)
        return build(cfg)
    return build(graph_config(kind))


@torch.no_grad()
def assert_steps_are_those_of_the_model(step, graph, size):
    """Three frames, each with the state that the step before returned; the first with zeros."""
    torch.manual_seed(0)
    state, state_of_model = [torch.zeros(shape) for _, shape in graph.state], None
    for _ in range(3):
        frame = torch.randn(1, 3, *size)
        cls_scores, masks, embeds, *state = step(frame, *state)
        output, state_of_model = graph.model.process_window(frame[None], state_of_model)
        torch.testing.assert_close(cls_scores, output['cls_scores'][0, 0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(masks, output['mask_features'][0, 0], rtol=1e-4, atol=1e-4)
        assert len(embeds) == len(cls_scores)
        assert [tuple(tensor.shape) for tensor in state] == [shape for _, shape in graph.state]


@pytest.mark.parametrize('kind', SLOW)
def test_a_traced_step_is_that_of_the_model(kind):
    pytest.importorskip('torch._higher_order_ops.while_loop')
    with exportable(model_of(kind)) as graph:
        assert_steps_are_those_of_the_model(trace(graph, 32, (64, 96)).module(), graph, (64, 96))


def test_the_stride_of_masks():
    for kind in KINDS:
        graph = OnlineGraph(model_of(kind))
        with torch.no_grad():
            output, _ = graph.model.process_window(torch.zeros(1, 1, 3, 64, 96))
        assert tuple(64 // graph.mask_stride * side for side in (2, 3)) == \
            tuple(2 * side for side in output['mask_features'].shape[-2:])


def test_a_model_stays_as_it_was():
    model = model_of('videomt').train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with exportable(model):
        assert not model.training and not cpu_kernels_enabled()
    assert model.training and cpu_kernels_enabled()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_offline_model_is_refused():
    with pytest.raises(UsageError, match='DVISOffline refines a video as a whole.*--stage online'):
        OnlineGraph(build(graph_config('DVISOffline')))


def test_a_fixed_size_is_divisible():
    with exportable(model_of('videomt')) as graph, pytest.raises(UsageError, match='use 128x64'):
        trace(graph, 32, (60, 100))
