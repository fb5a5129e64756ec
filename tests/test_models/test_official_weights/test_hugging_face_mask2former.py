# Copyright (c) The mmvc contributors. All rights reserved.
"""Hugging Face's Mask2Former against the segmenter here, with the same random weights."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvc.models.official_weights import (
    OfficialWeightsError,
    convert_official_weights,
    load_official_checkpoint,
)
from mmvc.registry import MODELS

transformers = pytest.importorskip('transformers')

NUM_CLASSES = 7
BACKBONES = dict(
    swin=(
        lambda: transformers.SwinConfig(
            embed_dim=16, depths=[2, 1, 2, 1], num_heads=[1, 2, 2, 4], window_size=4, image_size=64,
            out_features=['stage1', 'stage2', 'stage3', 'stage4']),
        dict(type='mmdet.SwinTransformer', _delete_=True, embed_dims=16, depths=(2, 1, 2, 1), num_heads=(1, 2, 2, 4),
             window_size=4, drop_path_rate=0.0),
        [16, 32, 64, 128], 'Swin-?'),
    resnet=(
        lambda: transformers.ResNetConfig(
            embedding_size=8, depths=[3, 4, 6, 3], hidden_sizes=[16, 32, 64, 128],
            out_features=['stage1', 'stage2', 'stage3', 'stage4']),
        dict(stem_channels=8, base_channels=4, init_cfg=None), [16, 32, 64, 128], 'ResNet-50'))


@pytest.fixture(params=BACKBONES)
def pair(request, tmp_path, data_dir):
    """Their model and the path of its file, and a segmenter of the same sizes here."""
    torch.manual_seed(0)
    make, backbone, channels, name = BACKBONES[request.param]
    theirs = transformers.Mask2FormerForUniversalSegmentation(transformers.Mask2FormerConfig(
        backbone_config=make(), num_queries=12, num_labels=NUM_CLASSES, feature_size=32, mask_feature_size=32,
        hidden_dim=32, encoder_layers=2, decoder_layers=4, encoder_feedforward_dim=64, dim_feedforward=64,
        num_attention_heads=4)).eval()
    with torch.no_grad():  # also those that start as ones and zeros, so that none can be mixed up
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for buffer_name, buffer in theirs.named_buffers():
            if buffer_name.endswith('running_var'):
                buffer.uniform_(0.5, 2)
            elif buffer_name.endswith('running_mean'):
                buffer.normal_()
    theirs.save_pretrained(tmp_path)
    cfg = Config.fromfile(data_dir / 'modules/e2e_tiny_config.py')
    cfg.merge_from_dict({
        'model.type': 'MinVIS', 'model.num_classes': NUM_CLASSES, 'model.backbone': backbone,
        'model.head.in_channels': channels, 'model.head.pixel_decoder.encoder.num_layers': 2,
        'model.head.pixel_decoder.encoder.layer_cfg.ffn_cfg.feedforward_channels': 64})
    for part in ('tracker', 'refiner'):
        cfg.model.pop(part)
    init_default_scope('mmvc')
    return theirs, tmp_path / 'model.safetensors', MODELS.build(cfg.model).eval(), name


def test_same_predictions(pair):
    theirs, path, ours, backbone = pair
    converted = convert_official_weights(load_official_checkpoint(path))
    assert (converted.kind, converted.backbone) == ('Mask2Former of Hugging Face', backbone)
    assert (converted.num_classes, converted.num_queries) == (NUM_CLASSES, 12)
    missing, unexpected = ours.load_state_dict(converted.state_dict, strict=False)
    assert not unexpected and all(name.startswith(tuple(converted.absent)) for name in missing)

    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = theirs(pixel_values=images)
        outputs = ours.head(ours.backbone(images))
    assert expected.class_queries_logits.std() > 0.1 and expected.masks_queries_logits.std() > 0.1
    masks = torch.einsum('bqc,bchw->bqhw', outputs['mask_embeds'], outputs['mask_features'])
    torch.testing.assert_close(outputs['cls_scores'], expected.class_queries_logits, rtol=0, atol=1e-4)
    torch.testing.assert_close(masks, expected.masks_queries_logits, rtol=0, atol=1e-4)


def test_every_key_is_accounted_for(pair):
    weights = load_official_checkpoint(pair[1])
    converted = convert_official_weights(weights, drop_class_head=True)
    assert converted.renamed.keys() | converted.left_out.keys() == weights.keys()
    assert not converted.renamed.keys() & converted.left_out.keys()
    assert converted.left_out['class_predictor.weight'] == 'class embedding, dropped on request'
    assert 'head.cls_embed.weight' not in converted.state_dict


@pytest.mark.parametrize('change, message', [
    (lambda weights: weights.pop('model.transformer_module.decoder.layers.2.self_attn.k_proj.bias'),
     r'missing: the k that belong to model.transformer_module.decoder.layers.2.self_attn.q_proj.bias'),
    (lambda weights: weights.pop('class_predictor.bias'), r'missing: sem_seg_head.predictor.class_embed.bias'),
    (lambda weights: weights.update({'model.extra.weight': torch.zeros(1)}), r'unknown: model.extra.weight'),
])
def test_wrong_keys(pair, change, message):
    weights = load_official_checkpoint(pair[1])
    change(weights)
    with pytest.raises(OfficialWeightsError, match=message):
        convert_official_weights(weights)


def test_options_of_others_are_refused(pair):
    with pytest.raises(OfficialWeightsError, match='--plain-vit and --position-grid are for'):
        convert_official_weights(load_official_checkpoint(pair[1]), plain_vit=True)
