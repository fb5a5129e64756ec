# Copyright (c) The mmvc contributors. All rights reserved.
"""A stage that inherits the heads of the stage before starts with its predictions."""

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict

from mmvc.models.utils.queries import decode_masks, reorder_queries
from tests.helpers.tiny_models import REFINER, TRACKER, build_model, randomize_constants

INHERITS = dict(norm_groups=2, inherit_heads=True, identity_init=True)


@pytest.fixture(scope='module')
def segmenter():
    torch.manual_seed(0)
    return randomize_constants(build_model('MinVIS')).eval()


def online(segmenter, **changes):
    model = build_model('DVISOnline', tracker=dict(TRACKER, **INHERITS, **changes))
    model.init_weights()
    load_state_dict(model, segmenter.state_dict())
    return model.eval()


@pytest.fixture(scope='module')
def tracker_stage(segmenter):
    return online(segmenter)


@pytest.fixture(scope='module')
def segmented(segmenter):
    video = torch.rand(1, 3, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return segmenter.segment(video)


@torch.no_grad()
def track(model, segmented):
    tracked, _ = model.tracker(segmented['query_embeds'], segmented['query_embeds_no_norm'], aux=True)
    masks = decode_masks(tracked['mask_embeds'], model.tracker.project(segmented['mask_features']))
    return tracked, masks


def test_tracker_starts_as_the_segmenter(tracker_stage, segmented):
    tracked, masks = track(tracker_stage, segmented)
    order = tracked['indices'][0]
    expected = {name: reorder_queries(segmented[name][0], order)[None] for name in ('cls_scores', 'mask_embeds')}
    torch.testing.assert_close(tracked['cls_scores'], expected['cls_scores'], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(masks, decode_masks(expected['mask_embeds'], segmented['mask_features']), atol=1e-4,
                               rtol=1e-3)
    for cls_scores, _ in tracked['aux']:
        torch.testing.assert_close(cls_scores, expected['cls_scores'], atol=1e-4, rtol=1e-3)


def test_refiner_starts_as_the_tracker(tracker_stage, segmented):
    with torch.no_grad():  # a trained tracker, except for what a refiner cannot take over
        for parameter in tracker_stage.tracker.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        channels = tracker_stage.tracker.cls_embed.in_features // 2
        tracker_stage.tracker.cls_embed.weight[:, :channels] = 0
        tracker_stage.tracker.mask_feature_proj.bias.zero_()
    model = build_model('DVISOffline', tracker=dict(TRACKER, **INHERITS), refiner=dict(REFINER, **INHERITS))
    model.init_weights()
    load_state_dict(model, tracker_stage.state_dict())
    tracked, masks = track(model.eval(), segmented)
    with torch.no_grad():
        refined = model.refiner(tracked['query_embeds'], segmented['query_embeds_no_norm'])
    torch.testing.assert_close(refined['cls_scores'], tracked['cls_scores'].mean(dim=1), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(
        decode_masks(refined['mask_embeds'], segmented['mask_features']), masks, atol=1e-3, rtol=1e-3)


def test_everything_is_trained(tracker_stage, segmented):
    """Also what starts without effect, after the matrix behind it has moved."""
    tracker = tracker_stage.tracker
    assert all(parameter.requires_grad for parameter in tracker.parameters())
    tracked, _ = tracker(segmented['query_embeds'], segmented['query_embeds_no_norm'])
    (tracked['cls_scores'].square().mean() + tracked['mask_embeds'].square().mean()).backward()
    for name, parameter in tracker.named_parameters():
        if name.startswith(('cls_embed', 'mask_embed', 'post_norm')) or 'out_proj' in name:
            assert parameter.grad.abs().sum() > 0, name
    tracker.zero_grad()


def test_own_weights_are_loaded_as_they_are(tracker_stage):
    """A resumed or tested stage does not get the segmenter's heads again."""
    weights = {name: torch.rand_like(value) if name.startswith('tracker.') else value
               for name, value in tracker_stage.state_dict().items()}
    model = build_model('DVISOnline', tracker=dict(TRACKER, **INHERITS))
    load_state_dict(model, weights, strict=True)
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_given_weights_stay_as_they_are(segmenter):
    """The copies that are trained are not those of the frozen segmenter."""
    weights = segmenter.state_dict()
    before = {name: value.clone() for name, value in weights.items()}
    model = build_model('DVISOnline', tracker=dict(TRACKER, **INHERITS))
    load_state_dict(model, weights)
    with torch.no_grad():
        for parameter in model.tracker.parameters():
            parameter += 1
    assert weights.keys() == before.keys()
    assert all(torch.equal(weights[name], before[name]) for name in before)


def test_without_the_option_heads_stay_random(segmenter):
    model = build_model('DVISOnline')
    before = model.tracker.cls_embed.weight.clone()
    load_state_dict(model, segmenter.state_dict())
    assert torch.equal(model.tracker.cls_embed.weight, before)


@pytest.mark.parametrize('changes, message', [
    (dict(norm_groups=1), r'32 hidden channels.* has 64. Set norm_groups'),
    (dict(mask_channels=16), r'have 32 channels \(out_channels of its head\), those of the tracker 16'),
])
def test_other_sizes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build_model('DVISOnline', tracker=dict(TRACKER, **{**INHERITS, **changes}))


def test_other_norms_of_the_refiner_are_refused():
    with pytest.raises(ValueError, match='the tracker has norm_groups=2 and the refiner norm_groups=1'):
        build_model('DVISOffline', tracker=dict(TRACKER, **INHERITS), refiner=dict(REFINER, inherit_heads=True))
