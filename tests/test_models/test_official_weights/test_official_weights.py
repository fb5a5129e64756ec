# Copyright (c) The mmvc contributors. All rights reserved.
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.models.backbones import SwinTransformer
from mmdet.models.layers import PatchMerging
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from torch.nn import functional as F

from mmvc.models.backbones import DINOv2ViT
from mmvc.models.official_weights import OfficialWeightsError, convert_official_weights
from mmvc.models.official_weights.rules import unfold_order
from mmvc.registry import MODELS

#: trainable parameters of the official models; its frozen batch norm has buffers, ours has parameters without gradient
OFFICIAL_PARAMETERS = dict(
    r50={
        'backbone': 23_454_912,
        'head.pixel_decoder': 6_035_904,
        'head': 20_724_029,
        'head.reid_embed': 197_376,
        'tracker': 26_863_741,
        'refiner': 44_851_582,
        '': 115_894_264
    },
    vitl={
        'backbone': 327_501_760,
        'backbone.vit_module': 304_552_960,
        'backbone.spm': 1_760_576,
        'backbone.interactions': 16_981_632,
        'head.pixel_decoder': 6_101_440,
        'head': 20_840_765,
        'tracker': 26_863_741,
        'refiner': 44_851_582,
        '': 420_057_848
    })


@pytest.fixture
def config(data_dir):
    return Config.fromfile(data_dir / 'modules/e2e_tiny_config.py').model


@pytest.fixture(scope='module')
def golden():
    with np.load(Path(__file__).parents[2] / 'data/modules/e2e_tiny.npz') as arrays:
        return {key[3:]: torch.from_numpy(arrays[key]) for key in arrays if key.startswith('sd/')}


@pytest.fixture
def official(golden):
    """State dict of the official code's tiny DVIS++ offline model."""
    return dict(golden)


def build(cfg, **changes):
    init_default_scope('mmvc')
    return MODELS.build(ConfigDict(cfg, **changes))


def without(state_dict, *parts):
    return {name: value for name, value in state_dict.items() if not any(part in name for part in parts)}


def segmenter_of(state_dict):
    return without(state_dict, 'tracker.', 'refiner.')


def with_backbone(state_dict, backbone):
    return {**without(state_dict, 'backbone.'), **{f'backbone.{name}': value for name, value in backbone.items()}}


def swin_weights(dims=8, depths=(1, 2, 1, 1), heads=(1, 2, 2, 4), window=3):
    """Random weights with the official Swin Transformer's names and shapes."""
    shapes = {'patch_embed.proj': (dims, 3, 4, 4), 'patch_embed.norm': (dims, )}
    weights = {}
    for s, depth in enumerate(depths):
        c = dims * 2**s
        shapes[f'norm{s}'] = (c, )
        for i in range(depth):
            block = f'layers.{s}.blocks.{i}'
            shapes.update({
                f'{block}.norm1': (c, ), f'{block}.norm2': (c, ), f'{block}.attn.qkv': (3 * c, c),
                f'{block}.attn.proj': (c, c), f'{block}.mlp.fc1': (4 * c, c), f'{block}.mlp.fc2': (c, 4 * c)})
            weights[f'{block}.attn.relative_position_bias_table'] = torch.randn((2 * window - 1)**2, heads[s])
            weights[f'{block}.attn.relative_position_index'] = official_position_index(window)
        if s < 3:
            shapes[f'layers.{s}.downsample.norm'] = (4 * c, )
            weights[f'layers.{s}.downsample.reduction.weight'] = torch.randn(2 * c, 4 * c)
    for name, shape in shapes.items():
        weights.update({f'{name}.weight': torch.randn(shape), f'{name}.bias': torch.randn(shape[0])})
    return weights


def official_position_index(window):
    """Row of the bias table for each pair of positions: their distance along y, then along x."""
    y, x = np.divmod(np.arange(window * window), window)
    return torch.from_numpy((y[:, None] - y + window - 1) * (2 * window - 1) + (x[:, None] - x + window - 1))


def test_golden_model_loads_strictly(official, config):
    converted = convert_official_weights(official)
    build(config).load_state_dict(converted.state_dict)
    assert (converted.kind, converted.backbone) == ('DVIS++ offline', 'ResNet-50')
    assert (converted.num_classes, converted.num_queries) == (10, 12)
    assert converted.renamed.keys() == official.keys() and not converted.left_out and not converted.absent
    for name, ours in converted.renamed.items():
        assert converted.state_dict[ours] is official[name]


@pytest.mark.parametrize('stage, parts, kind', [
    ('DVISOnline', ['refiner'], 'DVIS++ online'),
    ('MinVIS', ['refiner', 'tracker'], 'CTVIS or DVIS++ segmenter'),
])
def test_earlier_stages_load_strictly(official, config, stage, parts, kind):
    converted = convert_official_weights(without(official, *(f'{part}.' for part in parts)))
    assert converted.kind == kind
    for part in parts:
        config.pop(part)
    build(config, type=stage).load_state_dict(converted.state_dict)


@pytest.mark.parametrize('name, queries', [('r50', 100), ('vitl', 200)])
def test_full_size_models(data_dir, name, queries):
    """The names and shapes of two official models load strictly; parameters are as many as theirs."""
    keys = json.loads((data_dir / f'modules/keys_{name}.json').read_text())
    with torch.device('meta'):
        converted = convert_official_weights({key: torch.empty(shape) for key, shape in keys.items()})
        model = build_full_size(name)
    model.load_state_dict(converted.state_dict, assign=True)  # strict
    assert (converted.kind, converted.num_classes, converted.num_queries) == ('DVIS++ offline', 124, queries)
    assert converted.left_out.keys() == {'criterion.empty_weight'}
    assert converted.backbone == dict(r50='ResNet-50', vitl='ViT-Adapter on DINOv2 (large)')[name]
    norms = sum(parameter.numel() for key, parameter in model.backbone.named_parameters()
                if 'bn' in key or 'downsample.1' in key) if name == 'r50' else 0
    for part, expected in OFFICIAL_PARAMETERS[name].items():
        found = sum(parameter.numel() for key, parameter in model.named_parameters() if f'{key}.'.startswith(part))
        assert found - (norms if part in ('', 'backbone') else 0) == expected, part


def build_full_size(name):
    path = Path(__file__).parents[3] / f'configs/dvispp/dvispp_{name}_vspw.py'
    return build(Config.fromfile(path).model)


@pytest.mark.parametrize('removed', [
    'backbone.stem.conv1.norm.running_var',
    'backbone.res4.5.conv3.weight',
    'sem_seg_head.pixel_decoder.adapter_1.weight',
    'sem_seg_head.predictor.class_embed.bias',
    'sem_seg_head.predictor.reid_embed.layers.1.bias',
    'sem_seg_head.predictor.transformer_ffn_layers.2.linear2.weight',
    'tracker.mask_feature_proj.weight',
    'tracker.transformer_self_attention_layers.1.norm.bias',
    'refiner.conv_short_aggregate_layers.0.2.bias',
    'refiner.activation_proj.weight',
])
def test_missing_keys_are_listed(official, removed):
    del official[removed], official['tracker.decoder_norm.weight']
    with pytest.raises(OfficialWeightsError, match='2 keys') as error:
        convert_official_weights(official)
    assert str(error.value).count('missing: ') == 2 and f'missing: {removed}' in str(error.value)


def test_unknown_keys_are_listed(official):
    added = ['backbone.res2.0.conv9.weight', 'tracker.decoder_norm.scale', 'slot_attention.weight', 'criterion.weight',
             'sem_seg_head.predictor.input_proj.0.weight', 'sem_seg_head.pixel_decoder.adapter_2.weight']
    official.update({name: torch.zeros(1) for name in added})
    with pytest.raises(OfficialWeightsError, match='6 keys') as error:
        convert_official_weights(official)
    assert all(f'unknown: {name}\n' in f'{error.value}\n' for name in added)


def test_names_of_older_versions(official, config):
    old = {name.replace('query_feat', 'static_query').replace('refiner.', 'offline_tracker.'): value
           for name, value in official.items()}
    converted, expected = (convert_official_weights(weights).state_dict for weights in (old, official))
    assert converted.keys() == expected.keys()
    assert all(torch.equal(converted[name], expected[name]) for name in expected)
    build(config).load_state_dict(converted)


def test_parts_of_different_models(official):
    official['tracker.class_embed.bias'] = torch.zeros(26)
    with pytest.raises(OfficialWeightsError, match=r'head has 10 classes, tracker has 25 \(OVIS\) classes'):
        convert_official_weights(official)


def test_class_head_is_dropped_on_request(official, config):
    converted = convert_official_weights(official, drop_class_head=True)
    assert not any('cls_embed' in name for name in converted.state_dict) and converted.num_classes == 10
    assert set(converted.absent) == {'head.cls_embed.', 'tracker.cls_embed.', 'refiner.cls_embed.'}
    assert len(converted.left_out) == 6
    model = build(config, num_classes=17)
    missing, unexpected = model.load_state_dict(converted.state_dict, strict=False)
    assert len(missing) == 6 and all('cls_embed' in name for name in missing) and not unexpected


def test_segmenter_without_reid_branch(official):
    converted = convert_official_weights(without(segmenter_of(official), 'reid_embed'))
    assert converted.kind == 'Mask2Former or MinVIS' and set(converted.absent) == {'head.reid_embed.'}


def test_dvis_v1(official):
    """Its tracker does not exist here; its segmenter does."""
    v1 = without(official, 'ref_proj', 'mask_feature_proj', 'reid_embed')
    with pytest.raises(OfficialWeightsError, match=r'DVIS \(v1\) offline.*--segmenter-only'):
        convert_official_weights(v1)
    converted = convert_official_weights(v1, segmenter_only=True)
    assert converted.kind == 'segmenter of DVIS (v1) offline'
    assert converted.renamed.keys() == segmenter_of(v1).keys()
    assert converted.left_out.keys() == v1.keys() - segmenter_of(v1).keys()


def test_swin(official):
    swin = swin_weights()
    converted = convert_official_weights(with_backbone(official, swin))
    assert converted.backbone == 'Swin-?'
    ours = {name[len('backbone.'):]: value for name, value in converted.state_dict.items() if 'backbone' in name}
    model = SwinTransformer(embed_dims=8, depths=(1, 2, 1, 1), num_heads=(1, 2, 2, 4), window_size=3)
    expected_index = model.stages[0].blocks[0].attn.w_msa.relative_position_index
    assert torch.equal(expected_index, official_position_index(3))
    model.load_state_dict(ours)  # strict
    assert torch.equal(ours['stages.1.blocks.1.attn.w_msa.qkv.bias'], swin['layers.1.blocks.1.attn.qkv.bias'])
    del swin['layers.2.downsample.norm.bias']
    with pytest.raises(OfficialWeightsError, match='missing: backbone.layers.2.downsample.norm.bias'):
        convert_official_weights(with_backbone(official, swin))


@pytest.mark.parametrize('dims, depths, name', [(96, (2, 2, 6, 2), 'Swin-T'), (192, (2, 2, 18, 2), 'Swin-L')])
def test_swin_is_named(official, dims, depths, name):
    with torch.device('meta'):
        weights = swin_weights(dims, depths)
    assert convert_official_weights(with_backbone(official, weights)).backbone == name


def test_swin_patch_merging_computes_the_same():
    """The official order of the four patches against mmdet's Unfold, on an odd height as well."""
    channels, height, width = 6, 5, 8
    norm_weight, norm_bias = torch.randn(4 * channels), torch.randn(4 * channels)
    reduction = torch.randn(2 * channels, 4 * channels)
    x = torch.randn(2, height * width, channels)

    image = F.pad(x.view(2, height, width, channels), (0, 0, 0, 0, 0, 1))
    patches = torch.cat([image[:, row::2, column::2] for column in (0, 1) for row in (0, 1)], dim=-1)
    expected = F.linear(F.layer_norm(patches, (4 * channels, ), norm_weight, norm_bias), reduction).flatten(1, 2)

    merging = PatchMerging(channels, 2 * channels)
    merging.load_state_dict({
        'norm.weight': unfold_order(norm_weight),
        'norm.bias': unfold_order(norm_bias),
        'reduction.weight': unfold_order(reduction)
    })
    actual, size = merging(x, (height, width))
    assert size == (3, 4)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize('backbone', [
    dict(type='mmdet.ResNet', depth=50, stem_channels=8, base_channels=4, norm_cfg=dict(type='BN')),
    dict(type='mmdet.SwinTransformer', embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2), window_size=3),
])
def test_mmdet_mask2former(config, backbone):
    """A real mmdet model initialises a segmenter: all is taken but the class head, which is dropped on request."""
    head = Config(dict(config.head, type='mmdet.Mask2FormerHead', num_things_classes=80, num_stuff_classes=53))
    loss = dict(type='mmdet.CrossEntropyLoss', class_weight=None)
    head.update(loss_cls=loss, loss_mask=loss, loss_dice=loss)
    head.pixel_decoder.update(type='mmdet.MSDeformAttnPixelDecoder')
    for name in ('criterion', 'matcher', 'reid_loss'):
        head.pop(name)
    fusion = dict(type='mmdet.MaskFormerFusionHead', num_things_classes=80, num_stuff_classes=53)
    theirs = build(dict(
        type='mmdet.Mask2Former',
        backbone=backbone,
        panoptic_head=head.to_dict(),
        panoptic_fusion_head=fusion,
        test_cfg=dict())).state_dict()

    converted = convert_official_weights(theirs, drop_class_head=True)
    assert converted.kind == 'Mask2Former of mmdet' and converted.num_classes == 133
    assert converted.renamed.keys() | converted.left_out.keys() == theirs.keys()
    for part in ('tracker', 'refiner'):
        config.pop(part)
    model = build(config, type='MinVIS', backbone=backbone)
    missing, unexpected = model.load_state_dict(converted.state_dict, strict=False)
    assert not unexpected and missing
    assert all(name.startswith(tuple(converted.absent)) for name in missing)
    assert torch.equal(model.head.query_feat.weight, theirs['panoptic_head.query_feat.weight'])

    del theirs['panoptic_head.mask_embed.2.bias']
    with pytest.raises(OfficialWeightsError, match='1 keys.*\n.*missing: panoptic_head.mask_embed.2.bias'):
        convert_official_weights(theirs)


def test_dinov2():
    raw = DINOv2ViT(embed_dims=32, depth=4, num_heads=4, patch_size=14, pretrained_grid=5).state_dict()
    converted = convert_official_weights(raw)
    assert (converted.kind, converted.backbone, converted.num_classes) == ('DINOv2', 'ViT (?)', None)
    assert converted.state_dict.keys() == {f'backbone.vit_module.{name}' for name in raw}
    with pytest.raises(OfficialWeightsError, match='unknown: register_tokens'):
        convert_official_weights(dict(raw, register_tokens=torch.zeros(1, 4, 32)))


@pytest.mark.parametrize('change, message', [
    (lambda s: {'layer1.0.conv1.weight': torch.zeros(1)}, 'unknown kind.*layer1.0.conv1.weight'),
    (lambda s: convert_official_weights(s).state_dict, 'already have the names of this project'),
    (lambda s: with_backbone(s, {'features.0.weight': torch.zeros(1)}), 'unknown backbone.*features.0.weight'),
])
def test_weights_of_something_else(official, change, message):
    with pytest.raises(OfficialWeightsError, match=message):
        convert_official_weights(change(official))
