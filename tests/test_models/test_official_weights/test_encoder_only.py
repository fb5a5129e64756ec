# Copyright (c) The mmvc contributors. All rights reserved.
"""Official weights of VidEoMT, PMT and LVMT, and those of Hugging Face's VidEoMT and EoMT."""

import gzip
import json
import re

import pytest
import torch

from mmvc.models.official_weights import OfficialWeightsError, convert_official_weights
from tests.helpers.encoder_only_models import build_model

METHODS = dict(videomt='VidEoMT', pmt='PMT', lvmt='LVMT')
POSITIONS = dict(dinov2='absolute', dinov3='rope')
ENCODER, DECODER = 'backbone.encoder.backbone.', 'backbone.decoder.'
NAMES = [f'{method}_vit_{size}_{encoder}' for method in METHODS for size in ('small', 'base', 'large')
         for encoder in POSITIONS]


def placeholders(shapes):
    """Zeros of these shapes that take no memory."""
    return {name: torch.zeros((), dtype=torch.half).expand(shape) for name, shape in shapes.items()}


@pytest.fixture(scope='module')
def key_lists(request):
    """Names and shapes of the official models, by method, size and encoder; and their numbers of parameters."""
    path = request.path.parents[2] / 'data/encoder_only/keys.json.gz'
    return json.loads(gzip.decompress(path.read_bytes()))


@pytest.fixture
def official(key_lists):
    """Placeholders of the weights of a small official model, by its name in the key lists."""
    return lambda name: placeholders(key_lists[name]['state_dict'])


def build_full_size(name, **changes):
    method, _, size, encoder = name.split('_')
    with torch.device('meta'):
        return build_model(size, POSITIONS[encoder], METHODS[method], **changes)


@pytest.mark.parametrize('name', NAMES)
def test_official_models_load_strictly(key_lists, official, name):
    method, _, size, encoder = name.split('_')
    weights = official(name)
    converted = convert_official_weights(weights)
    model = build_full_size(name)
    model.load_state_dict(converted.state_dict, assign=True)  # strict
    assert sum(parameter.numel() for parameter in model.parameters()) == key_lists[name]['parameters']
    assert converted.kind == METHODS[method] and not converted.absent
    assert (converted.num_classes, converted.num_queries) == (40, 200)
    positions = ', table of 40 x 40 positions' if encoder == 'dinov2' else ''
    assert converted.backbone == f'DINOv{encoder[-1]} ViT ({size}), 4 registers{positions}'
    assert converted.renamed.keys() | converted.left_out.keys() == weights.keys()
    assert not converted.renamed.keys() & converted.left_out.keys()
    assert {name.rsplit('.')[-1] for name in converted.left_out} <= {
        'attn_mask_probs', 'empty_weight', 'pixel_mean', 'pixel_std'}
    assert set(converted.renamed.values()) == converted.state_dict.keys()


def test_values_arrive_under_their_names(official):
    """Each tensor gets a value of its own: only joined ones are copied, in the order query, key, value."""
    weights = {name: torch.full(value.shape, float(i), dtype=torch.half)
               for i, (name, value) in enumerate(official('lvmt_vit_small_dinov3').items())}
    converted = convert_official_weights(weights)
    for name, ours in converted.renamed.items():
        if not re.search(r'\.[qkv]_proj\.weight', name):
            assert converted.state_dict[ours] is weights[name], name
    for theirs, block in ((f'{ENCODER}blocks.3', 'encoder.blocks.3'), (f'{DECODER}blocks.5', 'decoder.blocks.5')):
        expected = torch.cat([weights[f'{theirs}.attention.{part}_proj.weight'] for part in 'qkv'])
        assert torch.equal(converted.state_dict[f'{block}.attn.qkv.weight'], expected)
        for part in 'qv':
            bias = weights[f'{theirs}.attention.{part}_proj.bias']
            assert converted.state_dict[f'{block}.attn.{part}_bias'] is bias
    for official_name, ours in ((f'{DECODER}query_gru.weight_ih', 'propagation.cell.weight_ih'),
                                (f'{DECODER}scalers.2', 'decoder.scales.2'), ('backbone.bn.1.running_var',
                                                                              'decoder.level_norms.1.running_var'),
                                (f'{DECODER}upscale.1.conv2.weight', 'head.upscale.1.depthwise.weight'),
                                (f'{DECODER}mask_head.4.bias', 'head.mask_embed.4.bias')):
        assert converted.state_dict[ours] is weights[official_name]


@pytest.mark.parametrize('name', ['pmt_vit_small_dinov2', 'lvmt_vit_small_dinov3'])
def test_fused_projections(official, name):
    """Files of a model whose query, key and value are one projection (FUSED_QKV), in encoder and decoder."""
    weights = {key: torch.randn(value.shape, dtype=torch.half) if 'attention' in key else value
               for key, value in official(name).items()}
    expected = convert_official_weights(weights).state_dict
    for query in [key for key in weights if key.endswith('.q_proj.weight')]:
        stem = query[:-len('q_proj.weight')]
        weights[f'{stem}qkv_proj.weight'] = torch.cat([weights.pop(f'{stem}{part}_proj.weight') for part in 'qkv'])
        biases = [weights.pop(f'{stem}{part}_proj.bias') for part in 'qv']
        weights[f'{stem}qkv_proj.bias'] = torch.cat([biases[0], torch.zeros_like(biases[0]), biases[1]])
    converted = convert_official_weights(weights)
    assert converted.renamed.keys() | converted.left_out.keys() == weights.keys()
    assert converted.state_dict.keys() == expected.keys()
    assert all(torch.equal(converted.state_dict[key], value) for key, value in expected.items())
    weights[f'{stem}qkv_proj.bias'][384] = 1  # the first one of a key
    with pytest.raises(OfficialWeightsError, match=re.escape(f'{stem}qkv_proj.bias: the bias of the key is not zero')):
        convert_official_weights(weights)


@pytest.mark.parametrize('name', ['videomt_vit_small_dinov2', 'pmt_vit_small_dinov3'])
def test_segmenters(official, name):
    """Image models have no propagation; that of a video model is left out on request."""
    weights = official(name)
    image = convert_official_weights({key: value for key, value in weights.items() if 'query_updater' not in key})
    assert image.kind == f'segmenter of {METHODS[name.split("_")[0]]}'
    cut = convert_official_weights(weights, segmenter_only=True)
    assert cut.kind == image.kind and cut.state_dict.keys() == image.state_dict.keys()
    assert {key.split('.')[-2] for key in cut.left_out.keys() - image.left_out.keys()} == {'query_updater'}
    for converted in (image, cut):
        assert converted.absent.keys() == {'propagation.'}
        missing, unexpected = build_full_size(name).load_state_dict(converted.state_dict, strict=False, assign=True)
        assert not unexpected and set(missing) == {'propagation.fc.weight', 'propagation.fc.bias'}


def test_class_head_is_dropped_on_request(official):
    converted = convert_official_weights(official('lvmt_vit_small_dinov2'), drop_class_head=True)
    assert converted.absent.keys() == {'head.cls_embed.'} and converted.num_classes == 40
    model = build_full_size('lvmt_vit_small_dinov2', num_classes=124)
    missing, unexpected = model.load_state_dict(converted.state_dict, strict=False, assign=True)
    assert not unexpected and set(missing) == {'head.cls_embed.weight', 'head.cls_embed.bias'}


def test_table_of_another_size(official):
    converted = convert_official_weights(official('videomt_vit_small_dinov2'), position_grid=80)
    build_full_size('videomt_vit_small_dinov2', position_grid=80).load_state_dict(converted.state_dict, assign=True)
    assert 'table of 80 x 80' in converted.backbone
    with pytest.raises(OfficialWeightsError, match='no table of them: leave out --position-grid'):
        convert_official_weights(official('videomt_vit_small_dinov3'), position_grid=80)


@pytest.mark.parametrize('name', ['videomt_vit_small_dinov2', 'pmt_vit_small_dinov2', 'lvmt_vit_small_dinov3'])
def test_every_key_is_needed_and_checked(official, name):
    """Any key that is missing, unknown or of a wrong shape is named, all in one error."""
    weights = official(name)
    kept = convert_official_weights(weights).renamed
    by_kind = {re.sub(r'\d+', '0', key): key for key in kept}.values()  # the last one of its kind
    assert len(by_kind) > 25
    for key in by_kind:
        changed = dict(weights)
        value = changed.pop(key)
        changed[f'{key}_old'] = value
        wrong = next(other for other in by_kind if other != key and changed[other].ndim)
        changed[wrong] = changed[wrong].new_zeros(5, 1)
        # which model it is depends on some keys
        if any(part in key for part in ('query_updater', 'query_gru', 'qkv_proj')):
            continue
        with pytest.raises(OfficialWeightsError) as error:
            convert_official_weights(changed)
        lines = str(error.value).split('\n  ')
        assert lines[0].startswith('3 keys differ from those of'), key
        assert lines[1:3] == [f'unknown: {key}_old', f'missing: {key}'], key
        assert lines[3].startswith(f'wrong shape: {wrong} is (5, 1), not ('), key


def test_half_a_propagation_is_an_error(official):
    weights = official('lvmt_vit_small_dinov2')
    del weights['backbone.decoder.query_gru.bias_hh']
    with pytest.raises(OfficialWeightsError, match='1 keys differ from those of LVMT.*\n.*query_gru.bias_hh'):
        convert_official_weights(weights)


@pytest.fixture(scope='module')
def transformers():
    return pytest.importorskip('transformers', minversion='5.0')


def randomize(model):
    """Draw all weights that an initialisation leaves constant, so that none can be taken for another."""
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1 or 'token' in name:
            torch.nn.init.normal_(parameter, float('norm' in name and 'weight' in name), 0.3)
    return model.eval()


TINY = dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=4, image_size=64, patch_size=16, num_blocks=2,
            num_queries=6, num_register_tokens=4, num_labels=5)
TINY_ARCH = dict(embed_dims=32, depth=4, num_heads=4)


def test_hugging_face_videomt(transformers):
    """Real outputs of Hugging Face's class on a clip of three frames."""
    theirs = randomize(transformers.VideomtForUniversalSegmentation(transformers.VideomtConfig(**TINY)))
    weights = theirs.state_dict()
    converted = convert_official_weights(weights)
    assert converted.kind == 'VidEoMT of Hugging Face' and converted.num_classes == 5
    assert converted.renamed.keys() | converted.left_out.keys() == weights.keys()
    assert converted.left_out.keys() == {'criterion.empty_weight', 'attn_mask_probs', 'embeddings.mask_token'}
    model = build_model(TINY_ARCH, 'absolute', num_classes=5, num_queries=6, decoder=dict(num_blocks=2),
                        position_grid=4)
    model.load_state_dict(converted.state_dict)  # strict
    frames = torch.randn(1, 3, 3, 64, 64)
    with torch.no_grad():
        expected, actual = theirs(pixel_values_videos=frames), model.eval().segment(frames)
    torch.testing.assert_close(actual['cls_scores'][0], expected.class_queries_logits, rtol=1e-5, atol=1e-5)
    masks = expected.masks_queries_logits
    torch.testing.assert_close(actual['mask_preds'][0], masks, rtol=1e-5, atol=1e-5 * masks.abs().max().item())


@pytest.mark.parametrize('position, name', [('absolute', 'Eomt'), ('rope', 'EomtDinov3')])
def test_hugging_face_eomt(transformers, position, name):
    """The image stage; Hugging Face's class must not mask its attention, and DINOv3 has another epsilon by default."""
    rope = dict(intermediate_size=128, layer_norm_eps=1e-5) if position == 'rope' else {}
    config = getattr(transformers, f'{name}Config')(**TINY, **rope)
    theirs = randomize(getattr(transformers, f'{name}ForUniversalSegmentation')(config))
    masked = convert_official_weights(theirs.state_dict())
    assert 'Hugging Face masks' in masked.left_out['attn_mask_probs']
    theirs.attn_mask_probs.zero_()
    converted = convert_official_weights(theirs.state_dict())
    assert converted.kind == 'EoMT of Hugging Face' and converted.absent.keys() == {'propagation.'}
    assert 'Hugging Face masks' not in converted.left_out['attn_mask_probs']
    assert converted.renamed.keys() | converted.left_out.keys() == theirs.state_dict().keys()
    model = build_model(TINY_ARCH, position, 'EoMT', num_classes=5, num_queries=6, decoder=dict(num_blocks=2),
                        position_grid=4)
    model.load_state_dict(converted.state_dict)  # strict
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected, actual = theirs(pixel_values=images), model.eval().segment(images[None])
    torch.testing.assert_close(actual['cls_scores'][0], expected.class_queries_logits, rtol=1e-5, atol=1e-5)
    masks = expected.masks_queries_logits
    torch.testing.assert_close(actual['mask_preds'][0], masks, rtol=1e-5, atol=1e-5 * masks.abs().max().item())


@pytest.mark.parametrize('size, method', [('small', 'VidEoMT'), ('base', 'VidEoMT'), ('large', 'VidEoMT'),
                                          ('large', 'EoMT')])
def test_hugging_face_full_size(transformers, size, method):
    dims, depth, heads = dict(small=(384, 12, 6), base=(768, 12, 12), large=(1024, 24, 16))[size]
    name = 'Videomt' if method == 'VidEoMT' else 'Eomt'
    with torch.device('meta'):
        config = getattr(transformers, f'{name}Config')(
            hidden_size=dims, num_hidden_layers=depth, num_attention_heads=heads, image_size=640, num_queries=200,
            num_labels=133, num_blocks=3 if depth == 12 else 4)
        theirs = getattr(transformers, f'{name}ForUniversalSegmentation')(config).state_dict()
        model = build_model(size, 'absolute', method, num_classes=133)
    converted = convert_official_weights(placeholders({key: value.shape for key, value in theirs.items()}))
    model.load_state_dict(converted.state_dict, assign=True)  # strict
    assert f'DINOv2 ViT ({size})' in converted.backbone and converted.num_classes == 133
