# Copyright (c) The mmvc contributors. All rights reserved.
"""The backbone against what the official DVIS++ code computes (``vit_adapter.npz``), and how it trains."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from mmvc.models.backbones import DINOv2ViTAdapter
from mmvc.registry import MODELS

TINY = dict(embed_dims=48, depth=4, num_heads=4)
pytestmark = pytest.mark.filterwarnings("ignore:You'd better set embed_dims")  # 12 channels a head: slow, not wrong


@pytest.fixture
def golden(data_dir):
    with np.load(data_dir / 'modules' / 'vit_adapter.npz') as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files if key != 'meta'}


@pytest.fixture
def meta(data_dir):
    with np.load(data_dir / 'modules' / 'vit_adapter.npz') as arrays:
        return json.loads(str(arrays['meta']))


def build_tiny(golden=None, **kwargs):
    model = DINOv2ViTAdapter(arch=TINY, spatial_channels=8, pretrained_grid=5, **kwargs)
    if golden is not None:
        weights = {key[len('sd/'):]: value for key, value in golden.items() if key.startswith('sd/')}
        model.load_state_dict(weights, strict=True)
    else:
        model.init_weights()
    return model


def assert_near(actual, expected, tolerance=1e-5):
    assert actual.shape == expected.shape
    deviation = (actual - expected).abs().max() / expected.abs().max()
    assert deviation < tolerance, f'relative deviation {deviation:.2e}'


def square_mean(outputs):
    return sum(output.square().mean() for output in outputs)


@pytest.mark.parametrize('image, outputs', [('image', 'out'), ('image2', 'out2')])
def test_outputs_are_the_official_ones(golden, image, outputs, device):
    model = build_tiny(golden).eval().to(device)
    with torch.no_grad():
        maps = model(golden[f'inp/{image}'].to(device))
    for i, actual in enumerate(maps):
        assert_near(actual.cpu(), golden[f'eval/{outputs}/{i}'], 1e-5 if device == 'cpu' else 1e-4)


def test_parts_are_the_official_ones(golden):
    model, image = build_tiny(golden).eval(), golden['inp/image']
    vit = model.vit_module
    with torch.no_grad():
        tokens = vit.embed(image)
        assert_near(tokens, golden['eval/vit_tokens'])
        assert_near(vit.blocks[0](tokens), golden['eval/vit_block0'])
        assert_near(vit(image), golden['eval/vit_x_norm_patchtokens'])
        for i, prior in enumerate(model.spm(image)):
            assert_near(prior, golden[f'eval/spm/{i}'])
        assert_near(vit.interpolate_pos_embed((4, 6)), golden['eval/pos_embed_64x96'])
        assert_near(vit.interpolate_pos_embed((10, 6)), golden['eval/pos_embed_160x96'])


def test_position_embedding_is_untouched_at_its_own_size(golden):
    vit = build_tiny(golden).vit_module
    assert vit.interpolate_pos_embed((5, 5)) is vit.pos_embed


def test_training_step_is_the_official_one(golden):
    maps = build_tiny(golden).train()(golden['inp/image'])
    for i, actual in enumerate(maps):
        assert_near(actual, golden[f'train/out/{i}'])
    assert_near(square_mean(maps), golden['train/loss'])


def test_gradients_are_the_official_ones(golden, meta):
    # The loss hardly depends on anything before the last batch normalisations: their output has the same mean square
    # whatever comes in. What is left of the gradients is small differences; float32 gets them to 5 %, the official
    # numbers among them. In float64 only the error of the official ones remains.
    model = build_tiny(golden).train().double()
    square_mean(model(golden['inp/image'].double())).backward()
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    expected = {key: value for key, value in golden.items() if key.startswith('train/grad_abs_mean/')}
    assert {f'train/grad_abs_mean/{name}' for name in trainable} == set(expected)
    for name, parameter in trainable.items():
        value = expected[f'train/grad_abs_mean/{name}']
        tolerance = 1e-5 if value > 1e-4 else 0.02  # above 1e-4: those of the last normalisations themselves
        assert (parameter.grad.abs().mean() - value).abs() < tolerance * value + 1e-9, name  # 0 before a norm

    frozen = [p for p in model.parameters() if not p.requires_grad]
    assert len(frozen) == meta['n_frozen']
    assert all(p.grad is None for p in frozen)


def test_frozen_vit_stays_in_evaluation_mode():
    model = build_tiny()
    model.train()
    assert model.spm.training and model.norm1.training
    assert not any(module.training for module in model.vit_module.modules())
    assert not any(p.requires_grad for p in model.vit_module.parameters())


def test_optimiser_step_moves_the_adapter_only(golden):
    model = build_tiny(golden).train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    square_mean(model(torch.randn(2, 3, 64, 64))).backward()
    optimiser.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if not name.startswith('vit_module.')}


def test_unfrozen_vit_is_trained():
    model = build_tiny(frozen_vit=False).train()
    assert model.vit_module.training
    square_mean(model(torch.randn(2, 3, 64, 96))).backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    assert without == {'vit_module.mask_token', 'vit_module.norm.weight', 'vit_module.norm.bias'}
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == without


@pytest.mark.parametrize('frozen_vit', [True, False])
def test_checkpointing_gives_the_same_gradients(golden, frozen_vit):
    gradients = []
    for with_cp in (False, True):
        model = build_tiny(golden, frozen_vit=frozen_vit, with_cp=with_cp).train()
        square_mean(model(golden['inp/image'])).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    plain, recomputed = gradients
    assert plain.keys() == recomputed.keys()
    for name in plain:
        torch.testing.assert_close(recomputed[name], plain[name], rtol=1e-6, atol=1e-9)


def test_checkpointing_stores_less(golden):

    def stored_numbers(with_cp):
        sizes = []
        model = build_tiny(golden, frozen_vit=False, with_cp=with_cp).train()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            model(golden['inp/image'])
        return sum(sizes)

    assert stored_numbers(with_cp=True) < 0.5 * stored_numbers(with_cp=False)


@pytest.mark.parametrize('height, width', [(64, 96), (65, 97), (50, 70), (33, 31), (1, 7)])
def test_any_size(golden, height, width):
    model = build_tiny(golden).eval()
    image = torch.randn(1, 3, height, width)
    with torch.no_grad():
        maps = model(image)
        padded = torch.zeros(1, 3, -(-height // 32) * 32, -(-width // 32) * 32)
        padded[..., :height, :width] = image
        maps_of_padded = model(padded)
    for stride, actual, whole in zip((4, 8, 16, 32), maps, maps_of_padded):
        assert actual.shape == (1, 48, -(-height // stride), -(-width // stride))
        torch.testing.assert_close(actual, whole[..., :actual.shape[-2], :actual.shape[-1]])


def test_images_of_a_batch_do_not_mix(golden):
    model = build_tiny(golden).eval()
    images = golden['inp/image']
    with torch.no_grad():
        for together, alone in zip(model(images), model(images[1:])):
            torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast(golden, device, dtype):
    if device == 'cpu' and dtype == torch.float16:
        pytest.skip('training in float16 is for CUDA')
    model = build_tiny(golden).train().to(device)
    image = golden['inp/image'].to(device)
    with torch.autocast(device, dtype=dtype):
        maps = model(image)
    square_mean(maps).backward()
    for i, actual in enumerate(maps):
        assert_near(actual.float().cpu(), golden[f'train/out/{i}'], 0.05)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


def test_full_size_model_has_the_official_parameters(data_dir):
    keys = json.loads((data_dir / 'modules' / 'keys_vitl.json').read_text())
    expected = {key[len('backbone.'):]: tuple(shape) for key, shape in keys.items() if key.startswith('backbone.')}
    with torch.device('meta'):
        model = MODELS.build(dict(type='DINOv2ViTAdapter', arch='large'))
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == expected

    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(model) == 327_501_760
    assert count(model.vit_module) == 304_552_960
    assert count(model.spm) == 1_760_576
    assert count(model.interactions) == 16_981_632


@pytest.mark.parametrize('arch, channels, vit_parameters', [('small', 384, 22_056_576), ('base', 768, 86_580_480)])
def test_smaller_architectures(arch, channels, vit_parameters):
    with torch.device('meta'):
        model = DINOv2ViTAdapter(arch=arch, norm_cfg=dict(type='SyncBN'))
    # the published 14-pixel models, and 3 x (16 x 16 - 14 x 14) more weights a channel in the patch projection
    published = vit_parameters + channels * 3 * (16**2 - 14**2)
    assert sum(p.numel() for p in model.vit_module.parameters()) == published
    assert isinstance(model.norm4, nn.SyncBatchNorm) and isinstance(model.spm.stem[1], nn.SyncBatchNorm)


def test_small_model_runs():
    model = DINOv2ViTAdapter(arch='small').eval()
    with torch.no_grad():
        maps = model(torch.randn(1, 3, 64, 96))
    assert [tuple(output.shape) for output in maps] == [(1, 384, 64 // s, 96 // s) for s in (4, 8, 16, 32)]


def test_initialisation():
    model = build_tiny()
    attention = model.interactions[3].extra_extractors[1].attn
    assert not attention.sampling_offsets.weight.any() and attention.sampling_offsets.bias.any()
    assert not attention.attention_weights.weight.any()
    assert model.level_embed.std() > 0.5
    ffn = model.interactions[0].extractor.ffn
    assert 0.01 < ffn.fc1.weight.std() < 0.03 and not ffn.fc1.bias.any()
    assert 0.3 < ffn.dwconv.dwconv.weight.std() < 0.6  # sqrt(2 / 9): one channel, 3 x 3
    assert 0.01 < model.vit_module.pos_embed.std() < 0.03


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="'huge'.*small.*base.*large"):
        DINOv2ViTAdapter(arch='huge')
    with pytest.raises(ValueError, match='depth=6'):
        DINOv2ViTAdapter(arch=dict(TINY, depth=6))
    with pytest.raises(ValueError, match='num_heads=5.*embed_dims=48'):
        DINOv2ViTAdapter(arch=dict(TINY, num_heads=5))
