# Copyright (c) The mmvc contributors. All rights reserved.
"""One switch turns all CPU kernels off; the results stay."""

import pytest
import torch

from mmvc.models.cpu import chunking, cpu_kernels_enabled, inference, use_cpu_kernels
from mmvc.models.layers import multi_scale_deformable_attention
from tests.helpers.tiny_models import build_model, randomize_constants


@pytest.fixture(autouse=True)
def _restore():
    yield
    use_cpu_kernels(True)


@pytest.fixture
def kernel_calls(monkeypatch):
    """Names of the kernels that ran, and the number of frames that the backbone got at once."""
    calls = []

    def watch(module, name):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, **kwargs: calls.append(name) or original(*args, **kwargs))

    watch(inference, 'linear')
    watch(inference, '_convolution')
    watch(multi_scale_deformable_attention, 'attend_by_gather')
    monkeypatch.setattr(chunking, '_MAX_TOKENS', 7)
    return calls


def segment_video(kernel_calls):
    """Masks, kernels that ran, tokens of the largest chunk, frames at once, and whether batch norm is left."""
    torch.manual_seed(0)
    model = randomize_constants(build_model('DVISOffline')).eval()
    tokens, frames = [], []
    for layer in model.head.pixel_decoder.encoder.layers:
        layer.ffn.layers.register_forward_pre_hook(lambda module, args: tokens.append(args[0].shape[1]))
    model.optimize_for_inference()
    has_batch_norm = any(isinstance(module, torch.nn.BatchNorm2d) for module in model.backbone.modules())
    model.backbone.register_forward_pre_hook(lambda module, args: frames.append(len(args[0])))
    kernel_calls.clear()
    video = torch.randint(256, (3, 3, 50, 70), dtype=torch.uint8)
    prediction = model.predict_video([video], (50, 70))
    return torch.stack(list(prediction.frames())), set(kernel_calls), max(tokens), max(frames), has_batch_norm


def test_all_kernels_are_on_by_default_and_off_together(kernel_calls):
    assert cpu_kernels_enabled()
    expected, kernels, chunk, frames, has_batch_norm = segment_video(kernel_calls)
    if inference._ONEDNN_LINEAR is not None:
        assert kernels == {'linear', '_convolution', 'attend_by_gather'}
    assert (chunk, frames, has_batch_norm) == (7, 1, False)

    use_cpu_kernels(False)
    actual, kernels, chunk, frames, has_batch_norm = segment_video(kernel_calls)
    assert kernels == set()
    assert chunk > 7 and frames == 3 and has_batch_norm
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-3)


def test_deterministic_training_does_not_depend_on_the_switch(kernel_calls):
    """The gather form is a CPU kernel, and also the only deterministic form."""
    use_cpu_kernels(False)
    torch.use_deterministic_algorithms(True)
    segment_video(kernel_calls)
    assert set(kernel_calls) == {'attend_by_gather'}
