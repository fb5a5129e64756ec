# Copyright (c) The mmvc contributors. All rights reserved.
"""Pretrained DINOv2 and DINOv3 transformers in the names of Meta, timm and Hugging Face."""

import re

import pytest
import torch

from mmvc.models.backbones import PlainViT
from mmvc.models.official_weights import OfficialWeightsError, convert_official_weights
from mmvc.models.official_weights.resampling import resample_patch_kernel, resample_position_table
from tests.helpers.encoder_only_models import build_model, features_of

SIZES = dict(small=(384, 12, 6), base=(768, 12, 12), large=(1024, 24, 16))
#: gradient-free stand-in for a file's tensors: zeros without memory
ZERO = torch.zeros((), dtype=torch.half)


def dinov2_shapes(dims, depth, registers, maker):
    """Names and shapes in the files `dinov2_vit*14[_reg4]_pretrain.pth` and timm's `vit_*_patch14_[reg4_]dinov2`."""
    has_class_position = maker == 'meta' or not registers  # timm adds it to the class token if there are registers
    shapes = {
        'cls_token': (1, 1, dims), 'pos_embed': (1, 37 * 37 + has_class_position, dims),
        'patch_embed.proj.weight': (dims, 3, 14, 14), 'patch_embed.proj.bias': (dims, ),
        'norm.weight': (dims, ), 'norm.bias': (dims, )
    }
    if maker == 'meta':
        shapes['mask_token'] = (1, dims)
    if registers:
        shapes['register_tokens' if maker == 'meta' else 'reg_token'] = (1, registers, dims)
    for i in range(depth):
        shapes.update({f'blocks.{i}.{name}': shape for name, shape in block_shapes(dims).items()})
        for name in ('ls1.gamma', 'ls2.gamma'):
            shapes[f'blocks.{i}.{name}'] = (dims, )
    return shapes


def block_shapes(dims):
    """Names and shapes that Meta and timm share."""
    linears = {'attn.qkv': (3 * dims, dims), 'attn.proj': (dims, dims), 'mlp.fc1': (4 * dims, dims),
               'mlp.fc2': (dims, 4 * dims)}
    shapes = {f'{name}.{leaf}': (dims, ) for name in ('norm1', 'norm2') for leaf in ('weight', 'bias')}
    for name, shape in linears.items():
        shapes.update({f'{name}.weight': shape, f'{name}.bias': shape[:1]})
    return shapes


def dinov3_shapes(dims, depth, maker):
    """Names and shapes of `dinov3_vit*16_pretrain_lvd1689m*.pth` and timm's `vit_*_patch16_dinov3[_qkvb]`."""
    tokens, scale = ('storage_tokens', 'ls{}.gamma') if maker == 'meta' else ('reg_token', 'gamma_{}')
    shapes = {
        'cls_token': (1, 1, dims), tokens: (1, 4, dims), 'patch_embed.proj.weight': (dims, 3, 16, 16),
        'patch_embed.proj.bias': (dims, ), 'norm.weight': (dims, ), 'norm.bias': (dims, )
    }
    if maker == 'meta':
        shapes.update({'mask_token': (1, dims), 'rope_embed.periods': (16, )})
    for i in range(depth):
        block = block_shapes(dims)
        if maker == 'meta':
            block['attn.qkv.bias_mask'] = (3 * dims, )
        else:
            del block['attn.qkv.bias']
        if maker == 'timm qkvb':
            block.update({'attn.q_bias': (dims, ), 'attn.v_bias': (dims, )})
        block.update({scale.format(j): (dims, ) for j in (1, 2)})
        shapes.update({f'blocks.{i}.{name}': shape for name, shape in block.items()})
    return shapes


def key_mask(dims):
    """Meta's mask, which hides the bias of the key."""
    mask = torch.ones(3 * dims)
    mask[dims:2 * dims] = 0
    return mask


def placeholders(shapes):
    return {name: key_mask(shape[0] // 3) if name.endswith('bias_mask') else ZERO.expand(shape)
            for name, shape in shapes.items()}


def encoder_of(converted):
    """The state dict of an encoder by itself."""
    assert all(name.startswith('encoder.') for name in converted.state_dict)
    return {name[len('encoder.'):]: value for name, value in converted.state_dict.items()}


def load_full_size(converted, size, position, registers, grid=40):
    with torch.device('meta'):
        model = PlainViT(size, position, position_grid=grid, num_registers=registers)
    model.load_state_dict(encoder_of(converted), assign=True)  # strict


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('maker', ['meta', 'timm'])
@pytest.mark.parametrize('registers', [0, 4])
def test_dinov2_of_meta_and_timm(size, maker, registers):
    weights = placeholders(dinov2_shapes(*SIZES[size][:2], registers, maker))
    converted = convert_official_weights(weights, plain_vit=True)
    load_full_size(converted, size, 'absolute', registers)
    assert converted.kind == dict(meta='DINOv2 of Meta', timm='DINOv2 of timm')[maker]
    assert converted.backbone == f'DINOv2 ViT ({size}), {registers} registers, table of 40 x 40 positions'
    assert converted.renamed.keys() | converted.left_out.keys() == weights.keys()
    assert converted.left_out.keys() == ({'mask_token'} if maker == 'meta' else set())
    larger = convert_official_weights(weights, plain_vit=True, position_grid=80)
    load_full_size(larger, size, 'absolute', registers, 80)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('maker', ['meta', 'timm', 'timm qkvb'])
def test_dinov3_of_meta_and_timm(size, maker):
    weights = placeholders(dinov3_shapes(*SIZES[size][:2], maker))
    converted = convert_official_weights(weights)
    load_full_size(converted, size, 'rope', 4)
    assert converted.kind == f'DINOv3 of {"Meta" if maker == "meta" else "timm"}'
    assert converted.backbone == f'DINOv3 ViT ({size}), 4 registers'
    assert converted.renamed.keys() | converted.left_out.keys() == weights.keys()
    assert converted.left_out.keys() == ({'mask_token', 'rope_embed.periods'} if maker == 'meta' else set())


def hub_names(state_dict, kind):
    """The names in files of Hugging Face's hub, which transformers 5 changes when it loads them."""
    names = [('model.layer.', 'layer.')] if kind == 'DINOv3' else [
        *((f'attention.{part[0]}_proj', f'attention.attention.{part}') for part in ('query', 'key', 'value')),
        ('attention.o_proj', 'attention.output.dense')
    ]
    renamed = {}
    for name, value in state_dict.items():
        for new, old in names:
            name = name.replace(new, old)
        renamed[name] = value
    assert renamed.keys() != state_dict.keys()
    return renamed


@pytest.fixture(scope='module')
def transformers():
    return pytest.importorskip('transformers', minversion='5.0')


def hugging_face_model(transformers, kind, registers=4, **sizes):
    if kind == 'DINOv3':
        config = transformers.DINOv3ViTConfig(num_register_tokens=4, **sizes)
        return transformers.DINOv3ViTModel(config)
    del sizes['intermediate_size']
    name = 'Dinov2WithRegisters' if registers else 'Dinov2'
    return getattr(transformers, f'{name}Model')(getattr(transformers, f'{name}Config')(**sizes))


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('kind, registers', [('DINOv2', 0), ('DINOv2', 4), ('DINOv3', 4)])
def test_hugging_face_full_size(transformers, size, kind, registers):
    dims, depth, heads = SIZES[size]
    patch, image = (14, 518) if kind == 'DINOv2' else (16, 224)
    with torch.device('meta'):
        theirs = hugging_face_model(transformers, kind, registers, hidden_size=dims, num_hidden_layers=depth,
                                    num_attention_heads=heads, patch_size=patch, image_size=image,
                                    intermediate_size=4 * dims).state_dict()
    weights = hub_names(placeholders({name: value.shape for name, value in theirs.items()}), kind)
    converted = convert_official_weights(weights)
    load_full_size(converted, size, 'absolute' if kind == 'DINOv2' else 'rope', registers)
    assert converted.kind == f'{kind} of Hugging Face'
    assert converted.left_out.keys() == {'embeddings.mask_token'}
    assert converted.renamed.keys() | converted.left_out.keys() == weights.keys()


@pytest.mark.parametrize('kind, registers', [('DINOv2', 0), ('DINOv2', 4), ('DINOv3', 4)])
def test_features_are_those_of_hugging_face(transformers, kind, registers):
    """Real outputs; patches of 16 and the table of the images, so that nothing is resampled."""
    theirs = hugging_face_model(transformers, kind, registers, hidden_size=32, num_hidden_layers=3,
                                num_attention_heads=4, patch_size=16, image_size=80, intermediate_size=128).eval()
    for name, parameter in theirs.named_parameters():
        if parameter.ndim == 1 or 'token' in name or 'position' in name:
            torch.nn.init.normal_(parameter, float('norm' in name and 'weight' in name), 0.3)
    position = 'absolute' if kind == 'DINOv2' else 'rope'
    encoder = PlainViT(dict(embed_dims=32, depth=3, num_heads=4), position, position_grid=5, num_registers=registers)
    images = torch.randn(2, 3, 80, 80)
    for weights in (theirs.state_dict(), hub_names(theirs.state_dict(), kind)):
        grid = dict(position_grid=5) if kind == 'DINOv2' else {}
        encoder.load_state_dict(encoder_of(convert_official_weights(weights, **grid)))
        with torch.no_grad():
            expected = theirs(pixel_values=images).last_hidden_state
            torch.testing.assert_close(features_of(encoder, images), expected, rtol=1e-5, atol=2e-5)


@pytest.fixture
def dinov2():
    """Random weights of a small DINOv2 in Meta's names, with registers."""
    shapes = {name: (1, 26, 16) if name == 'pos_embed' else shape
              for name, shape in dinov2_shapes(16, 2, 4, 'meta').items()}
    return {name: torch.randn(shape) for name, shape in shapes.items()}


@pytest.fixture
def dinov3():
    """Random weights of a small DINOv3 in Meta's names; keys have no bias."""
    weights = {name: torch.randn(shape) for name, shape in dinov3_shapes(16, 2, 'meta').items()}
    for i in range(2):
        weights[f'blocks.{i}.attn.qkv.bias_mask'] = key_mask(16)
        weights[f'blocks.{i}.attn.qkv.bias'] *= key_mask(16)
    return weights


def test_table_and_kernel_of_dinov2(dinov2):
    """The position of the class token goes into it; the registers have none."""
    encoder = encoder_of(convert_official_weights(dinov2, plain_vit=True, position_grid=7))
    table = dinov2['pos_embed']
    torch.testing.assert_close(encoder['cls_token'], dinov2['cls_token'] + table[:, :1])
    assert torch.equal(encoder['register_tokens'], dinov2['register_tokens'])
    assert torch.equal(encoder['pos_embed'], resample_position_table(table[:, 1:], 7))
    assert torch.equal(encoder['patch_embed.proj.weight'],
                       resample_patch_kernel(dinov2['patch_embed.proj.weight'], 16))
    for name in ('blocks.1.attn.qkv.bias', 'blocks.0.ls2.gamma', 'norm.bias', 'patch_embed.proj.bias'):
        assert encoder[name] is dinov2[name]
    timm = dict(dinov2, reg_token=dinov2['register_tokens'], pos_embed=table[:, 1:],
                cls_token=dinov2['cls_token'] + table[:, :1])
    del timm['register_tokens'], timm['mask_token']
    same = encoder_of(convert_official_weights(timm, position_grid=7))
    assert same.keys() == encoder.keys() and all(torch.equal(same[name], encoder[name]) for name in encoder)


def test_all_formats_of_dinov3_agree(dinov3, transformers):
    """Meta's, timm's and Hugging Face's names lead to the same encoder."""
    encoder = encoder_of(convert_official_weights(dinov3))
    timm, hugging_face = {}, {}
    for name, value in dinov3.items():
        if name in ('mask_token', 'rope_embed.periods') or name.endswith('bias_mask'):
            continue
        leaf = name.split('.')[-1]
        if name.endswith('attn.qkv.bias'):
            query, _, bias = value.chunk(3)
            timm.update({name.replace('qkv.bias', 'q_bias'): query, name.replace('qkv.bias', 'v_bias'): bias})
        else:
            timm[re.sub(r'ls(\d)\.gamma', r'gamma_\1', name).replace('storage_tokens', 'reg_token')] = value
        name = re.sub(r'^blocks', 'layer', name)
        for old, new in (('ls1.gamma', 'layer_scale1.lambda1'), ('ls2.gamma', 'layer_scale2.lambda1'),
                         ('mlp.fc1', 'mlp.up_proj'), ('mlp.fc2', 'mlp.down_proj'), ('attn.proj', 'attention.o_proj'),
                         ('cls_token', 'embeddings.cls_token'), ('storage_tokens', 'embeddings.register_tokens'),
                         ('patch_embed.proj', 'embeddings.patch_embeddings')):
            name = name.replace(old, new)
        if 'attn.qkv' in name:
            for part, third in zip('qkv', value.chunk(3)):
                if (part, leaf) != ('k', 'bias'):
                    hugging_face[name.replace('attn.qkv', f'attention.{part}_proj')] = third
        else:
            hugging_face[name] = value
    for weights in (timm, hugging_face):
        same = encoder_of(convert_official_weights(weights))
        assert same.keys() == encoder.keys()
        assert all(torch.equal(same[name], value) for name, value in encoder.items())


def test_timm_leaves_out_biases_that_are_zero():
    weights = {name: torch.randn(shape) for name, shape in dinov3_shapes(16, 2, 'timm').items()}
    encoder = encoder_of(convert_official_weights(weights))
    assert not encoder['blocks.1.attn.q_bias'].any() and encoder['blocks.1.attn.v_bias'].shape == (16, )


def test_norm_of_small_crops_is_left_out(dinov3):
    """DINOv3 for satellite images has it; a prediction uses the other norm."""
    expected = convert_official_weights(dinov3)
    dinov3.update({'local_cls_norm.weight': torch.ones(16), 'local_cls_norm.bias': torch.zeros(16)})
    converted = convert_official_weights(dinov3)
    assert converted.state_dict.keys() == expected.state_dict.keys()
    assert converted.left_out.keys() - expected.left_out.keys() == {'local_cls_norm.weight', 'local_cls_norm.bias'}


def test_bias_of_a_key_is_an_error(dinov3):
    name = 'blocks.1.attn.qkv.bias'
    dinov3[name][20] = 1
    masked = convert_official_weights(dinov3)
    torch.testing.assert_close(masked.state_dict['encoder.blocks.1.attn.v_bias'], dinov3[name][32:])
    dinov3[f'{name}_mask'] = torch.ones(48)
    with pytest.raises(OfficialWeightsError, match='1 biases.*\n  blocks.1.attn.qkv.bias: the bias of the key is not'):
        convert_official_weights(dinov3)
    dinov3[f'{name}_mask'] = torch.full((48, ), torch.nan)
    with pytest.raises(OfficialWeightsError, match='blocks.1.attn.qkv.bias_mask: not 1 for all queries and values'):
        convert_official_weights(dinov3)


def test_weights_into_a_model(dinov2):
    """All but the encoder keeps its initialisation; a wrong number of registers is not hidden."""
    converted = convert_official_weights(dinov2, plain_vit=True, position_grid=5)
    model = build_model(dict(embed_dims=16, depth=2, num_heads=2), 'absolute', 'PMT', position_grid=5,
                        decoder=dict(levels=(0, 1), num_blocks=1))
    missing, unexpected = model.load_state_dict(converted.state_dict, strict=False)
    assert not unexpected and all(name.startswith(tuple(converted.absent)) for name in missing)
    assert {name.split('.')[0] + '.' for name in missing} == converted.absent.keys()
    del dinov2['register_tokens']
    with pytest.raises(RuntimeError, match='size mismatch for encoder.register_tokens'):
        model.load_state_dict(convert_official_weights(dinov2, True, plain_vit=True, position_grid=5).state_dict,
                              strict=False)


@pytest.mark.parametrize('change, message', [
    (lambda w: w.pop('blocks.1.attn.qkv.bias'), 'missing: blocks.1.attn.qkv.bias'),
    (lambda w: w.update({'blocks.0.mlp.w12.weight': torch.zeros(1)}), 'unknown: blocks.0.mlp.w12.weight'),
    (lambda w: w.update({'head.weight': torch.zeros(1)}), 'unknown: head.weight'),
    (lambda w: w.update(cls_token=torch.zeros(1, 1, 5)), r'wrong shape: cls_token is \(1, 1, 5\), not \(1, 1, 16\)'),
    (lambda w: w.update({'patch_embed.proj.weight': torch.zeros(16, 3, 14)}),
     r'wrong shape: patch_embed.proj.weight is \(16, 3, 14\), not \(16, 3, P, P\)'),
])
def test_every_key_is_accounted_for(dinov2, dinov3, change, message):
    for weights in (dinov2, dinov3):
        change(weights)
        with pytest.raises(OfficialWeightsError, match=f'1 keys differ from those of DINOv.*\n  {message}'):
            convert_official_weights(weights, plain_vit=True)


def test_tables_that_are_not_square(dinov2):
    dinov2['pos_embed'] = torch.zeros(1, 30, 16)
    with pytest.raises(OfficialWeightsError, match='the table of 30 positions is neither square'):
        convert_official_weights(dinov2, plain_vit=True)


def test_options_for_other_weights_are_errors(dinov2, dinov3):
    with pytest.raises(OfficialWeightsError, match='leave out --position-grid'):
        convert_official_weights(dinov3, position_grid=40)
    with pytest.raises(OfficialWeightsError, match='unknown: register_tokens(.|\n)*--plain-vit'):
        convert_official_weights(dinov2)
    with pytest.raises(OfficialWeightsError, match='for a DINOv2 encoder give --plain-vit'):
        convert_official_weights(dinov2, position_grid=40)
    with pytest.raises(OfficialWeightsError, match='these weights are neither'):
        convert_official_weights({'layer1.0.conv1.weight': torch.zeros(1)}, plain_vit=True)
