# Copyright (c) The mmvc contributors. All rights reserved.
from functools import partial

import pytest
import torch

from mmvc.models import TemporalRefiner
from mmvc.models.official_weights.rules import REFINER_RULES
from tests.helpers.golden_utils import (
    assert_close,
    assert_gradients_equal,
    assert_losses_train,
    bqt_masks,
    btqc,
    check_layers,
    load_golden,
    mean_square,
    module_weights,
    random_targets,
)

NUM_CLASSES = 10


def build(**kwargs):
    """The sizes of the goldens."""
    return TemporalRefiner(NUM_CLASSES, 64, 32, num_layers=3, num_heads=4, feedforward_channels=128, **kwargs)


@pytest.fixture
def golden(data_dir):
    return load_golden(data_dir, 'refiner')


@pytest.fixture
def refiner(golden):
    refiner = build()
    refiner.load_state_dict(module_weights(golden, REFINER_RULES))  # strict
    return refiner.eval()


def over_time(cls_scores, num_frames=7):
    """The official code repeats the class logits for every frame."""
    return cls_scores[:, None].expand(-1, num_frames, -1, -1)


def test_equals_official(golden, refiner, device):
    refiner.to(device)
    with torch.no_grad():
        out = refiner(*(btqc(golden[f'inp/{name}']).to(device) for name in ('instance_embeds', 'frame_embeds')))
    assert_close(over_time(out['cls_scores']), golden['eval/pred_logits'])
    assert_close(out['query_embeds'], btqc(golden['eval/pred_embds']))
    assert_close(bqt_masks(out['mask_embeds'].cpu(), golden['inp/mask_features']), golden['eval/pred_masks'])
    assert out['aux'] == []


def test_training_equals_official(golden, refiner):
    """Outputs of all layers, and every gradient, down to the inputs."""
    tracked, frames = (
        btqc(golden[f'inp/{name}']).clone().requires_grad_() for name in ('instance_embeds', 'frame_embeds'))
    features = golden['inp/mask_features']
    out = refiner.train()(tracked, frames, aux=True)
    masks = bqt_masks(out['mask_embeds'], features)
    assert_close(masks, golden['eval/pred_masks'])  # nothing is random here

    loss = mean_square(out['cls_scores']) + mean_square(masks) + mean_square(out['query_embeds'])
    loss = loss + check_layers(out['aux'], golden, features, over_time)
    assert loss.item() == pytest.approx(golden['train/loss'].item(), rel=1e-5)

    loss.backward()
    assert_gradients_equal(refiner, golden, REFINER_RULES)
    assert_close(tracked.grad, btqc(golden['train/grad_in/instance_embeds']))
    assert_close(frames.grad, btqc(golden['train/grad_in/frame_embeds']))


def test_masked_attention_in_training_only(golden):
    """OMA has the weights of plain cross-attention and the same output in evaluation, another one in training."""
    oma = build(cross_attn=dict(type='ObjectMaskedCrossAttention', drop_ratio=0.5))
    oma.load_state_dict(module_weights(golden, REFINER_RULES))  # strict: no parameter is added
    tracked, frames = (btqc(golden[f'inp/{name}']) for name in ('instance_embeds', 'frame_embeds'))
    background = torch.ones(frames.shape[:3])
    background[:, :, :3] = 0.0
    with torch.no_grad():
        out = oma.eval()(tracked, frames, background)
        assert_close(over_time(out['cls_scores']), golden['eval/pred_logits'])
        masked, again = (oma.train()(tracked, frames, background)['cls_scores'] for _ in range(2))
        foreground = oma(tracked, frames, torch.zeros_like(background))['cls_scores']
    assert not torch.allclose(masked, out['cls_scores'])
    assert not torch.allclose(masked, again)
    assert torch.equal(foreground, out['cls_scores'])


def test_layers_draw_on_their_own(golden, monkeypatch):
    oma = build(cross_attn=dict(type='ObjectMaskedCrossAttention', drop_ratio=0.5))
    drops = []

    def record(scores, draw):
        drops.append(draw(scores))
        return drops[-1]

    for layer in oma.layers:
        attention = layer.cross_attn
        monkeypatch.setattr(attention, 'draw_dropped_keys', partial(record, draw=attention.draw_dropped_keys))
    frames = btqc(golden['inp/frame_embeds'])
    oma.train()(frames, frames, torch.ones(frames.shape[:3]))
    assert len(drops) == 3
    assert not torch.equal(drops[0], drops[1]) and not torch.equal(drops[1], drops[2])


@pytest.fixture
def learner():
    return build(
        cross_attn=dict(type='ObjectMaskedCrossAttention', drop_ratio=0.5),
        criterion=dict(type='MaskClassificationLoss', num_points=32),
        matcher=dict(type='HungarianMaskMatcher', num_points=32),
        reid_loss=dict(type='TemporalContrastiveLoss')).train()


def segmented(num_clips, num_frames, num_queries=12):
    cls_scores = torch.randn(num_clips, num_frames, num_queries, NUM_CLASSES + 1)
    cls_scores[..., -1] += 4  # half of the queries or so are background
    return dict(
        query_embeds_no_norm=torch.randn(num_clips, num_frames, num_queries, 64),
        cls_scores=cls_scores,
        mask_features=torch.randn(num_clips, num_frames, 32, 8, 10))


def clip_guidance(num_clips, num_frames, num_queries=12):
    return (torch.randn(num_clips, num_queries, NUM_CLASSES + 1),
            torch.randn(num_clips, num_frames, num_queries, 8, 10))


@pytest.mark.parametrize('guided', [True, False])
def test_losses_train_every_parameter(learner, guided):
    targets = [random_targets(2, NUM_CLASSES, 3, 32, 40) for _ in range(2)]
    guidance = clip_guidance(2, 3) if guided else None
    losses = learner.loss(torch.randn(2, 3, 12, 64), segmented(2, 3), targets, guidance, torch.tensor([1.0, 0.5]))
    assert_losses_train(learner, losses, untrained=['activation_proj.bias'])  # the softmax over time takes it out
    assert learner.reid_loss.memory.counts.sum() > 0


@pytest.mark.parametrize('guided, count', [(True, 1), (False, 3)])
def test_who_decides_the_assignment(learner, monkeypatch, guided, count):
    """Guided, the tracker decides once for all layers; otherwise every layer for itself. A clip is one tall mask."""
    seen, assign = [], learner.matcher.assign

    def record(cls_scores, mask_preds, targets, num_points):
        assert mask_preds.shape == (1, 12, 3 * 8, 10) and targets[0].masks.shape == (2, 3 * 32, 40)
        assert num_points == 3 * 32
        seen.append((cls_scores, mask_preds))
        return assign(cls_scores, mask_preds, targets, num_points)

    monkeypatch.setattr(learner.matcher, 'assign', record)
    guidance = clip_guidance(1, 3) if guided else None
    learner.loss(torch.randn(1, 3, 12, 64), segmented(1, 3), [random_targets(2, NUM_CLASSES, 3, 32, 40)], guidance)
    assert len(seen) == count
    if guided:
        cls_scores, masks = seen[0]
        assert torch.equal(cls_scores, guidance[0])
        assert torch.equal(masks[0, 5], torch.cat(list(guidance[1][0, :, 5])))


def test_empty_scores_are_the_segmenters(learner, monkeypatch):
    inputs, seen = segmented(1, 2), []
    attention = learner.layers[0].cross_attn
    monkeypatch.setattr(attention, 'draw_dropped_keys', lambda scores: seen.append(scores))
    learner.loss(torch.randn(1, 2, 12, 64), inputs, [random_targets(1, NUM_CLASSES, 2, 32, 40)])
    exponentials = inputs['cls_scores'].exp()
    torch.testing.assert_close(seen[0], (exponentials[..., -1] / exponentials.sum(-1))[0])


def test_clip_without_objects_trains(learner):
    losses = learner.loss(torch.randn(1, 2, 12, 64), segmented(1, 2), [random_targets(0, NUM_CLASSES, 2, 32, 40)])
    assert losses['loss_mask'] == 0 and losses['loss_reid'] == 0
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())
