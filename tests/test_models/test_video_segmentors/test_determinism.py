# Copyright (c) The mmvc contributors. All rights reserved.
"""A training step under ``torch.use_deterministic_algorithms`` has no operation that has no deterministic form."""

import pytest
import torch
from mmengine.logging import MessageHub
from torch.utils._python_dispatch import TorchDispatchMode

from tests.helpers import tiny_encoder_only, tiny_models

# Those that PyTorch says raise an error on CUDA. The gradient of bilinear resizing is among them, but F.interpolate
# takes another form there.
WITHOUT_DETERMINISTIC_FORM = {
    'grid_sampler_2d_backward', 'grid_sampler_3d_backward', 'nll_loss2d_forward', 'histc', 'median', 'put',
    'upsample_bicubic2d_backward', '_upsample_bicubic2d_aa_backward', '_adaptive_avg_pool2d_backward',
    'adaptive_max_pool2d_backward', 'reflection_pad2d_backward', 'fractional_max_pool2d_backward', 'max_unpool2d',
    '_ctc_loss_backward'
}


class Recorder(TorchDispatchMode):
    """Collects the names of all operations."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        is_float_sum = name == 'cumsum' and out.is_floating_point()
        self.names.add('cumsum of floats' if is_float_sum else name)
        return out


def _build(name):
    if name in tiny_models.STAGES:
        return tiny_models.randomize_constants(tiny_models.build_model(name))
    return tiny_encoder_only.build_model(name)


def _operations(name):
    MessageHub.get_current_instance().update_info('iter', 0)
    MessageHub.get_current_instance().update_info('max_iters', 10)
    model = _build(name).train()
    batch = model.data_preprocessor(tiny_models.make_batch(2, 3, (40, 56)), training=True)
    with Recorder() as recorder:
        losses = model(**batch, mode='loss')
        model.parse_losses(losses)[0].backward()
    return recorder.names


@pytest.mark.parametrize('name', [*tiny_models.STAGES, *tiny_encoder_only.KINDS])
def test_no_operation_without_a_deterministic_form(name):
    torch.use_deterministic_algorithms(True)
    names = _operations(name)
    assert 'convolution_backward' in names or name != 'MinVIS'
    assert not names & {*WITHOUT_DETERMINISTIC_FORM, 'cumsum of floats'}


def test_the_recorder_sees_such_operations():
    # where determinism is not asked for
    assert 'grid_sampler_2d_backward' in _operations('MinVIS')
    assert '_upsample_bicubic2d_aa_backward' in _operations('videomt')
