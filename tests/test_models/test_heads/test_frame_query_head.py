# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from torch import nn

from mmvc.models import FrameQueryHead
from mmvc.models.official_weights.rules import PREDICTOR_RULES, REID_RULES
from mmvc.models.utils import decode_masks
from mmvc.registry import MODELS
from tests.helpers.golden_utils import assert_close, bqt_masks, btqc, load_golden, module_weights, random_targets
from tests.helpers.tiny_models import SEGMENTER, build_part, randomize_constants

NUM_CLASSES, NUM_QUERIES = 7, 10


class GivenFeatures(nn.Module):
    """Stands for the pixel decoder: it gets its own output as input."""

    def forward(self, feats):
        return feats


def sizes(**kwargs):
    """Config of the goldens, but for the pixel decoder, which they leave out."""
    cfg = {key: value for key, value in SEGMENTER['head'].items() if key not in ('type', 'reid_loss')}
    decoder = dict(cfg['transformer_decoder'], num_layers=4)
    return dict(cfg, num_queries=NUM_QUERIES, out_channels=24, transformer_decoder=decoder, **kwargs)


def build(**kwargs):
    cfg = dict(sizes(), type='FrameQueryHead', num_classes=NUM_CLASSES, reid_channels=48, **kwargs)
    return build_part(cfg)


@pytest.fixture
def golden(data_dir):
    return load_golden(data_dir, 'decoder_dvisplus')


@pytest.fixture
def features(golden):
    return golden['inp/mask_features'], [golden[f'inp/x/{i}'] for i in range(3)]


@pytest.fixture
def head(golden):
    head = build()
    head.pixel_decoder = GivenFeatures()
    head.load_state_dict(module_weights(golden, (*PREDICTOR_RULES, *REID_RULES)))  # strict
    return head.eval()


def test_equals_official(golden, head, features, device):
    head.to(device)
    with torch.no_grad():
        out = head((features[0].to(device), [x.to(device) for x in features[1]]), aux=True)
    assert isinstance(head, FrameQueryHead)
    assert torch.equal(out['mask_features'].cpu(), golden['inp/mask_features'])
    assert_close(out['cls_scores'][None], golden['eval/pred_logits'])
    assert_close(bqt_masks(out['mask_embeds'][None].cpu(), features[0][None]), golden['eval/pred_masks'])
    assert_close(out['query_embeds'][None], btqc(golden['eval/pred_embds']))
    assert_close(out['query_embeds_no_norm'][None], btqc(golden['eval/pred_embds_without_norm']))
    assert_close(out['query_embeds'][None, ..., 32:], btqc(golden['eval/pred_reid_embed']))
    assert len(out['aux']) == 4
    for i, (cls_scores, _) in enumerate(out['aux']):
        assert_close(cls_scores[None], golden[f'eval/aux_outputs/{i}/pred_logits'])
    masks = bqt_masks(out['aux'][0][1][None].cpu(), features[0][None])
    assert_close(masks, golden['eval/aux_outputs/0/pred_masks'])


def test_training_equals_official(golden, head, features):
    out = head.train()(features)
    assert out['aux'] == []
    assert_close(out['cls_scores'].unflatten(0, (2, 2)), golden['train/pred_logits'])
    assert_close(out['query_embeds'].unflatten(0, (2, 2)), btqc(golden['train/pred_embds']))


def test_frames_are_independent(head, features):
    with torch.no_grad():
        together = head(features)
        alone = head((features[0][2:3], [x[2:3] for x in features[1]]))
    for name in ('cls_scores', 'mask_embeds', 'query_embeds', 'query_embeds_no_norm'):
        torch.testing.assert_close(together[name][2:3], alone[name], rtol=1e-4, atol=1e-4)


def test_a_query_with_an_empty_mask_looks_everywhere(head, features):
    mask_features = torch.full_like(features[0], 1.0)
    mask_embeds = torch.full((4, NUM_QUERIES, 24), 1.0)
    mask_embeds[:, 3] = -1.0
    mask_embeds[:, 4] = -1.0
    mask_features[:, :, :12] = -1.0
    mask_features[2] = 1.0
    hidden = head._attention_mask(mask_embeds, F.interpolate(mask_features, (6, 10), mode='bilinear'))
    hidden = hidden.view(4, 4, NUM_QUERIES, 6, 10)
    assert hidden[0, :, 0, :3].all() and not hidden[0, :, 0, 3:].any()
    assert hidden[0, :, 3, 3:].all() and not hidden[0, :, 3, :3].any()
    assert not hidden[2, :, 4].any()  # all of it would be hidden
    assert torch.equal(hidden[:, 0], hidden[:, 3])  # heads share the mask


def test_masks_are_made_at_the_size_that_is_attended(head, features, monkeypatch):
    """Of resized features, which is the same as resizing the masks of all queries (but for the sign of zeros)."""
    sizes_seen, attention_mask = [], head._attention_mask

    def spy(mask_embeds, mask_features):
        resized = F.interpolate(decode_masks(mask_embeds, whole), mask_features.shape[-2:], mode='bilinear')
        small = decode_masks(mask_embeds, mask_features)
        torch.testing.assert_close(small, resized, rtol=1e-4, atol=1e-4)
        sizes_seen.append(tuple(mask_features.shape[-2:]))
        return attention_mask(mask_embeds, mask_features)

    monkeypatch.setattr(head, '_attention_mask', spy)
    whole = features[0]
    with torch.no_grad():
        head(features)
    assert sizes_seen == [tuple(features[1][i % 3].shape[-2:]) for i in range(len(sizes_seen))]


@pytest.fixture
def mmdet_head():
    """mmdet's own head, whose deformable attention needs compiled ops to run."""
    init_default_scope('mmdet')
    cfg = sizes(num_things_classes=NUM_CLASSES, num_stuff_classes=0)
    del cfg['criterion'], cfg['matcher']
    loss = dict(type='CrossEntropyLoss', class_weight=[1.0] * NUM_CLASSES + [0.1])
    return Mask2FormerHead(
        **ConfigDict(cfg, loss_cls=loss, loss_mask=dict(type='CrossEntropyLoss'), loss_dice=dict(type='DiceLoss')))


def test_loads_checkpoints_of_mmdet(mmdet_head):
    head = build()
    mmdet_head.init_weights()
    result = head.load_state_dict(mmdet_head.state_dict(), strict=False)
    assert result.unexpected_keys == []
    assert set(result.missing_keys) == {f'reid_embed.{name}' for name in head.reid_embed.state_dict()}


def test_equals_mmdet(mmdet_head, head, features):
    mmdet_head.pixel_decoder = GivenFeatures()
    mmdet_head.load_state_dict(head.state_dict(), strict=False)
    samples = [DetDataSample(metainfo=dict(batch_input_shape=(96, 160), img_shape=(96, 160)))] * 4
    with torch.no_grad():
        all_cls_scores, all_masks = mmdet_head.eval()(features, samples)
        out = head(features, aux=True)
    for (cls_scores, embeds), scores, masks in zip([*out['aux'], (out['cls_scores'], out['mask_embeds'])],
                                                   all_cls_scores, all_masks):
        assert_close(cls_scores, scores)
        assert_close(decode_masks(embeds, features[0]), masks)


def losses_of(head, features, **kwargs):
    torch.manual_seed(0)
    targets = [random_targets(3, NUM_CLASSES, 96, 160) for _ in range(4)]
    return head.loss(features, targets, num_frames=2, **kwargs)


def image_features():
    return [torch.randn(4, 16 * 2**i, 32 // 2**i, 64 // 2**i) for i in range(4)]


@pytest.mark.parametrize('with_reid, reid_terms', [(True, ['loss_reid', 'loss_aux_reid']), (True, []), (False, [])])
def test_losses_train_every_parameter(with_reid, reid_terms):
    """Every one that asks for a gradient gets one: distributed training stops otherwise."""
    head = build(with_reid=with_reid, reid_loss=dict(type='FrameContrastiveLoss') if reid_terms else None)
    randomize_constants(head)
    feats = [feat.requires_grad_() for feat in image_features()]
    losses = losses_of(head.train(), feats)
    terms = ('loss_cls', 'loss_mask', 'loss_dice')
    assert set(losses) == {*terms, *reid_terms, *(f'd{i}.{term}' for i in range(4) for term in terms)}
    sum(losses.values()).backward()
    assert all(feat.grad.any() for feat in feats)
    for name, parameter in head.named_parameters():
        if not reid_terms and name.startswith('reid_embed.'):
            assert not parameter.requires_grad
            continue
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_without_reidentification_branch(head, features):
    """As in MinVIS and DVIS: queries are followed by the decoder's output, half of the channels."""
    plain = build(with_reid=False)
    plain.pixel_decoder = GivenFeatures()
    result = plain.load_state_dict(head.state_dict(), strict=False)
    assert result.missing_keys == [] and all(key.startswith('reid_embed.') for key in result.unexpected_keys)
    with torch.no_grad():
        expected, out = head(features), plain.eval()(features)
    for name in ('query_embeds', 'query_embeds_no_norm'):
        assert torch.equal(out[name], expected[name][..., :32])
    assert torch.equal(out['cls_scores'], expected['cls_scores'])


def test_contrastive_loss_needs_the_branch():
    with pytest.raises(ValueError, match='with_reid=True'):
        build(with_reid=False, reid_loss=dict(type='FrameContrastiveLoss'))


def test_levels_of_pixel_decoder_and_queries_agree():
    with pytest.raises(ValueError, match='num_levels of the pixel decoder is 3 .* is 2'):
        build(num_transformer_feat_level=2)


def test_each_layer_is_matched_once_by_its_own_predictions(head, features, monkeypatch):
    seen, assign = [], head.matcher.assign

    def record(cls_scores, *args):
        seen.append(cls_scores)
        return assign(cls_scores, *args)

    monkeypatch.setattr(head.matcher, 'assign', record)
    losses_of(head, features)
    out = head(features, aux=True)
    layers = [out['cls_scores'], *(cls_scores for cls_scores, _ in out['aux'])]  # the final one comes first
    assert len(seen) == len(layers) == 5
    for scores, expected in zip(seen, layers):
        torch.testing.assert_close(scores, expected)


def test_sample_weights(head, features):
    head.reid_loss = MODELS.build(dict(type='FrameContrastiveLoss'))
    plain = losses_of(head, features)
    halved = losses_of(head, features, sample_weights=torch.full((4, ), 0.5))
    for name, loss in plain.items():
        assert loss > 0
        torch.testing.assert_close(halved[name], 0.5 * loss)
    halves = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    first, second = (losses_of(head, features, sample_weights=weights) for weights in halves)
    for name, loss in plain.items():
        torch.testing.assert_close(first[name] + second[name], loss)
        assert 0 < first[name] < loss


def test_initialisation():
    build(with_reid=False).init_weights()
    head = build()
    head.init_weights()
    for layer in head.reid_embed.layers:
        bound = (3 / layer.in_features)**0.5  # Kaiming's uniform distribution with a = 1
        assert not layer.bias.any() and 0.95 * bound < layer.weight.abs().max() <= bound
    weight = head.transformer_decoder.layers[3].cross_attn.attn.in_proj_weight
    assert 0.95 < weight.abs().max() / (6 / sum(weight.shape))**0.5 <= 1  # Xavier's
