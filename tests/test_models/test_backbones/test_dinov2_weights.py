# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch

from mmvc.models.backbones import DINOv2ViT, DINOv2ViTAdapter, convert_dinov2_weights

TINY = dict(embed_dims=32, depth=4, num_heads=4)


@pytest.fixture
def raw():
    """Weights as in an official DINOv2 file: patches of 14 pixels, no prefix."""
    state_dict = DINOv2ViT(**TINY, patch_size=14, pretrained_grid=5).state_dict()
    return {key: torch.randn_like(value) for key, value in state_dict.items()}


def build(checkpoint, **kwargs):
    model = DINOv2ViTAdapter(
        arch=TINY,
        spatial_channels=8,
        pretrained_grid=5,
        init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint), **kwargs))
    model.init_weights()
    return model


def test_patch_projection_is_resized_and_the_rest_kept(raw):
    before = {key: value.clone() for key, value in raw.items()}
    converted = convert_dinov2_weights(raw)
    assert set(converted) == {f'vit_module.{key}' for key in raw}
    for key, value in raw.items():
        assert torch.equal(value, before[key]), f'{key} of the input was changed'
        if key != 'patch_embed.proj.weight':
            assert torch.equal(converted[f'vit_module.{key}'], value)
    old, new = raw['patch_embed.proj.weight'], converted['vit_module.patch_embed.proj.weight']
    assert new.shape == (32, 3, 16, 16)
    torch.testing.assert_close(new[..., ::15, ::15], old[..., ::13, ::13])  # corners stay under align_corners=True
    torch.testing.assert_close(new[..., 0, 1], old[..., 0, 0] * 2 / 15 + old[..., 0, 1] * 13 / 15)  # at 13 / 15


@pytest.mark.parametrize('content', ['raw', 'converted', 'backbone'])
def test_pretrained(raw, tmp_path, content):
    path = tmp_path / 'weights.pth'
    converted = convert_dinov2_weights(raw)
    if content == 'raw':
        state_dict = raw
    elif content == 'converted':
        state_dict = dict(state_dict=converted)
    else:
        whole = DINOv2ViTAdapter(arch=TINY, spatial_channels=8, pretrained_grid=5).state_dict()
        state_dict = {key: torch.randn_like(v) if v.is_floating_point() else v for key, v in whole.items()}
    torch.save(state_dict, path)

    loaded = build(path).state_dict()
    expected = state_dict if content == 'backbone' else converted
    for key, value in expected.items():
        assert torch.equal(loaded[key], value), key


def test_pretrained_below_a_prefix(raw, tmp_path):
    converted = convert_dinov2_weights(raw)
    segmenter = {f'backbone.{key}': value for key, value in converted.items()}
    torch.save({**segmenter, 'head.query_feat.weight': torch.zeros(1)}, tmp_path / 'weights.pth')
    loaded = build(tmp_path / 'weights.pth', prefix='backbone.').state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in converted.items())


def test_adapter_is_initialised_beside_pretrained_weights(raw, tmp_path):
    torch.save(raw, tmp_path / 'weights.pth')
    model = build(tmp_path / 'weights.pth')
    assert model.level_embed.std() > 0.5
    assert not model.interactions[0].extractor.attn.attention_weights.weight.any()


@pytest.mark.parametrize('change, message', [
    (lambda s: s.update(register_tokens=torch.zeros(1, 4, 32)), 'unknown: register_tokens'),
    (lambda s: s.update({'blocks.0.mlp.w12.weight': torch.zeros(8, 32)}), 'unknown: blocks.0.mlp.w12.weight'),
    (lambda s: s.pop('blocks.2.ls1.gamma'), 'missing: blocks.2.ls1.gamma'),
    (lambda s: s.pop('patch_embed.proj.weight'), 'missing: patch_embed.proj.weight'),
    (lambda s: s.update({'norm.bias': torch.zeros(5)}), r'norm.bias: shape \(5,\) instead of \(32,\)'),
    (lambda s: s.pop('pos_embed'), "no 'pos_embed' among the keys"),
])
def test_every_key_is_accounted_for(raw, change, message):
    change(raw)
    with pytest.raises(ValueError, match=message):
        convert_dinov2_weights(raw)


def test_checkpoint_of_something_else_is_an_error(raw, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'layer1.0.conv1.weight': torch.zeros(1)}, path)
    with pytest.raises(ValueError, match='weights.pth.*missing.*vit_module.cls_token.*unknown.*layer1.0.conv1.weight'):
        build(path)
    converted = convert_dinov2_weights(raw)
    del converted['vit_module.blocks.1.attn.proj.bias']
    torch.save(converted, path)
    with pytest.raises(ValueError, match='vit_module.blocks.1.attn.proj.bias'):
        build(path)


def test_checkpoint_of_another_size_is_an_error(tmp_path):
    other = DINOv2ViT(embed_dims=48, depth=4, num_heads=4, patch_size=14, pretrained_grid=5).state_dict()
    torch.save(other, tmp_path / 'weights.pth')
    with pytest.raises(RuntimeError, match='size mismatch for vit_module.cls_token'):
        build(tmp_path / 'weights.pth')
