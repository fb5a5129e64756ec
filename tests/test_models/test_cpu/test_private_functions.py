# Copyright (c) The mmvc contributors. All rights reserved.
"""Functions of torch and mmengine without a promise to stay: what to do when one of them goes.

Without oneDNN's ops the package still works, only slower, which no other test would notice.
"""

import inspect

import mmengine
import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import nn

from mmvc.models.cpu import inference, packed_weights

needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason='this PyTorch has no oneDNN')
ONEDNN_ADVICE = (
    'CPUInference now runs in the form of PyTorch, with the same results and up to twice the time. Look up which op '
    'torch.compile calls instead (torch/_inductor/mkldnn_ir.py), use it in mmvc/models/cpu/inference.py, and measure '
    'with benchmarks/inference.py. If there is none, delete the kernel there and its row in docs/en/performance.md.')


@needs_onednn
@pytest.mark.parametrize('name', [
    '_linear_pointwise', '_convolution_pointwise', '_reorder_linear_weight', '_reorder_convolution_weight'])
def test_onednn_ops_exist(name):
    assert hasattr(torch.ops.mkldnn, name), (
        f'torch {torch.__version__} has no torch.ops.mkldnn.{name}. {ONEDNN_ADVICE}')


@needs_onednn
def test_onednn_ops_take_the_arguments_that_they_get():
    assert inference._ONEDNN_LINEAR is not None and inference.can_pack(), (
        f'torch {torch.__version__} has the ops of oneDNN, but they refuse their arguments or give other results. '
        f'{ONEDNN_ADVICE}')


def test_attention_has_the_arguments_that_are_read_by_name():
    used = {'query', 'key', 'value', 'embed_dim_to_check', 'num_heads', 'in_proj_weight', 'in_proj_bias', 'bias_k',
            'bias_v', 'add_zero_attn', 'dropout_p', 'out_proj_weight', 'out_proj_bias', 'training', 'key_padding_mask',
            'attn_mask', 'use_separate_proj_weight', 'static_k', 'static_v', 'average_attn_weights', 'is_causal'}
    known = {'need_weights', 'q_proj_weight', 'k_proj_weight', 'v_proj_weight'}
    arguments = set(inference._ATTENTION_SIGNATURE.parameters)
    assert arguments == used | known, (
        f'F.multi_head_attention_forward of torch {torch.__version__} has other arguments: '
        f'{sorted(arguments ^ (used | known))}. Adapt _is_plain_attention and _attention in '
        'mmvc/models/cpu/inference.py: a new argument that changes the result must leave the call to PyTorch.')


def test_attention_module_calls_the_public_function(monkeypatch):
    calls = []

    class Recorder(torch.overrides.TorchFunctionMode):

        def __torch_function__(self, func, types, args=(), kwargs=None):
            calls.append(func)
            return func(*args, **(kwargs or {}))

    query = torch.randn(3, 2, 8)
    with torch.no_grad(), Recorder():
        nn.MultiheadAttention(8, 2).eval()(query, query.clone(), query.clone())
    assert F.multi_head_attention_forward in calls, (
        f'nn.MultiheadAttention of torch {torch.__version__} no longer calls F.multi_head_attention_forward, so '
        'CPUInference does not reach it: attention is right, but slower. Find the function that it calls now, and '
        'intercept that one in mmvc/models/cpu/inference.py.')


def test_a_tensor_counts_its_versions():
    weight = nn.Parameter(torch.ones(2, 2))
    before = getattr(weight, '_version', None)
    with torch.no_grad():
        weight.add_(1)
    assert before is not None and weight._version > before, (
        f'Tensor._version of torch {torch.__version__} does not count writes. packed_weights and SegmenterCache would '
        'miss changed weights: compare a digest of the values instead (mmvc/models/cpu/packed_weights.py, '
        'mmvc/models/utils/segmenter_cache.py).')


def test_a_weak_dictionary_tells_tensors_apart():
    first, second = torch.ones(2), torch.ones(2)
    kept = type(packed_weights._PACKED)()
    kept[first] = 'first'
    assert first in kept and second not in kept, (
        f'torch.utils.weak.WeakTensorKeyDictionary of torch {torch.__version__} compares values, not identities. Use '
        'weakref.WeakKeyDictionary over id(), or an attribute of the module, in mmvc/models/cpu/packed_weights.py.')


def test_autocast_on_cpu_is_seen():
    advice = (f'torch {torch.__version__} reports autocast on CPU in another way. Adapt _autocast_enabled in '
              'mmvc/models/cpu/inference.py: float32 kernels must not run under autocast.')
    assert not inference._autocast_enabled(), advice
    with torch.autocast('cpu', torch.bfloat16):
        assert inference._autocast_enabled(), advice


def test_the_optimizer_wrapper_counts_in_backward():
    weight = nn.Parameter(torch.ones(1))
    wrapper = OptimWrapper(torch.optim.SGD([weight], lr=1.0), accumulative_counts=3)
    counts = [getattr(wrapper, '_inner_count', None)]
    wrapper.backward(weight.sum())
    counts.append(getattr(wrapper, '_inner_count', None))
    assert counts == [0, 1], (
        f'OptimWrapper of mmengine {mmengine.__version__} no longer counts iterations in _inner_count. Two passes '
        'would count twice in gradient accumulation: adapt _uncounted in mmvc/models/video_segmentors/two_passes.py.')


def test_a_model_and_its_wrapper_pass_a_batch_to_forward():
    for kind in (BaseModel, MMDistributedDataParallel):
        method = getattr(kind, '_run_forward', lambda: None)
        assert list(inspect.signature(method).parameters) == ['self', 'data', 'mode'], (
            f'{kind.__name__}._run_forward of mmengine {mmengine.__version__} is gone or has other arguments. It '
            'calls forward(**data, mode=mode): write that call out in train_pass_by_pass '
            '(mmvc/models/video_segmentors/two_passes.py).')


def test_a_number_stands_for_both_sides():
    from torch.nn.modules.utils import _pair
    assert _pair(3) == (3, 3) and tuple(_pair((1, 2))) == (1, 2), (
        f'torch.nn.modules.utils._pair of torch {torch.__version__} does something else: write it out in '
        'mmvc/models/cpu/inference.py.')


def test_batch_norm_has_one_base_class():
    from torch.nn.modules.batchnorm import _BatchNorm
    for kind in (nn.BatchNorm2d, nn.SyncBatchNorm):
        assert issubclass(kind, _BatchNorm), (
            f'{kind.__name__} of torch {torch.__version__} is no _BatchNorm: name the classes one by one in '
            'mmvc/models/cpu/batch_norm_folding.py.')
