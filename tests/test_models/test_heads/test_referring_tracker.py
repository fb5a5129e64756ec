# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch

from mmvc.models import ReferringTracker
from mmvc.models.layers import QueryNoise
from mmvc.models.official_weights.rules import TRACKER_RULES
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
    return ReferringTracker(NUM_CLASSES, 64, 32, num_layers=3, num_heads=4, feedforward_channels=128, **kwargs)


@pytest.fixture
def golden(data_dir):
    return load_golden(data_dir, 'tracker')


@pytest.fixture
def tracker(golden):
    tracker = build(noise=dict(type='QueryNoise', mode='none'))
    tracker.load_state_dict(module_weights(golden, TRACKER_RULES))  # strict
    return tracker.eval()


def embeddings(golden, call):
    return btqc(golden[f'inp/{call}/frame_embeds']), btqc(golden[f'inp/{call}/frame_embeds_no_norm'])


def assert_outputs_equal(out, golden, prefix):
    assert torch.equal(out['indices'][0], golden[f'{prefix}indices'])
    assert_close(out['cls_scores'], golden[f'{prefix}pred_logits'])
    assert_close(out['query_embeds'], btqc(golden[f'{prefix}pred_embds']))
    assert_close(out['references'], btqc(golden[f'{prefix}pred_references']))


def test_equals_official(golden, tracker, device):
    tracker.to(device)
    with torch.no_grad():
        out, state = tracker(*(x.to(device) for x in embeddings(golden, 'call1')))
        mask_features = tracker.project(golden['inp/call1/mask_features'].to(device))
        resumed, _ = tracker(*(x.to(device) for x in embeddings(golden, 'call2')), state)
    for tensors in (out, resumed):
        tensors.update({name: value.cpu() for name, value in tensors.items() if name != 'aux'})
    assert_outputs_equal(out, golden, 'eval/call1/')
    assert_close(bqt_masks(out['mask_embeds'], mask_features.cpu()), golden['eval/call1/pred_masks'])
    assert out['aux'] == []
    assert_outputs_equal(resumed, golden, 'eval/call2_resume/')


@pytest.mark.parametrize('pieces', [[5, 3], [1, 1, 6], [1] * 8])
def test_a_video_in_pieces(golden, tracker, pieces):
    whole = [torch.cat(parts, dim=1) for parts in zip(embeddings(golden, 'call1'), embeddings(golden, 'call2'))]
    with torch.no_grad():
        expected, last = tracker(*whole)
        state, outputs = None, []
        for piece in zip(*(x.split(pieces, dim=1) for x in whole)):
            out, state = tracker(*piece, state)
            outputs.append(out)
    for name in ('cls_scores', 'mask_embeds', 'query_embeds', 'references', 'indices'):
        assert torch.equal(torch.cat([out[name] for out in outputs], dim=1), expected[name]), name
    assert torch.equal(state.output, last.output) and torch.equal(state.query_embeds, last.query_embeds)


def test_training_equals_official(golden, tracker):
    """Outputs of all layers, and every gradient, through time down to the inputs."""
    normed, embeds = embeddings(golden, 'call1')
    features = golden['inp/call1/mask_features'].requires_grad_()
    embeds = embeds.clone().requires_grad_()
    out, _ = tracker.train()(normed, embeds, aux=True)
    projected = tracker.project(features)
    assert_outputs_equal(out, golden, 'eval/call1/')  # nothing is random here

    loss = sum(mean_square(out[name]) for name in ('cls_scores', 'references', 'query_embeds'))
    loss = loss + mean_square(bqt_masks(out['mask_embeds'], projected))
    loss = loss + check_layers(out['aux'], golden, projected)
    assert loss.item() == pytest.approx(golden['train/loss'].item(), rel=1e-5)

    loss.backward()
    assert_gradients_equal(tracker, golden, TRACKER_RULES)
    assert_close(embeds.grad, btqc(golden['train/grad_in/frame_embeds_no_norm']))
    assert_close(features.grad, golden['train/grad_in/mask_features'])


def test_gradients_flow_back_through_time(golden, tracker):
    normed, embeds = embeddings(golden, 'call1')
    embeds = embeds.clone().requires_grad_()
    out, _ = tracker.train()(normed, embeds)
    mean_square(out['cls_scores'][:, -1]).backward()
    assert (embeds.grad.abs().amax((0, 2, 3)) > 0).all()


def test_noised_training_equals_official(golden, tracker, data_dir, monkeypatch, replay_rand):
    """Every frame but the first is noised, and later frames are matched against what the noise made of it."""
    noised = load_golden(data_dir, 'tracker_train_wa')
    perms = list(noised['draws/perm'])
    monkeypatch.setattr(torch, 'randperm', lambda *args, **kwargs: perms.pop(0))
    frames = [draw for weight in noised['draws/weight_ratio'] for draw in (torch.tensor(0.0), weight.flatten())]
    left = replay_rand(frames)  # per frame the draw whether to disturb it, then the weights
    tracker.noise = QueryNoise('wa', prob=1.0)
    with torch.no_grad():
        out, _ = tracker.train()(*embeddings(golden, 'call1'))
        projected = tracker.project(golden['inp/call1/mask_features'])
    assert not left and not perms
    assert_outputs_equal(out, noised, 'out/')
    assert_close(bqt_masks(out['mask_embeds'], projected), noised['out/pred_masks'])


@pytest.mark.parametrize('training', [True, False])
def test_first_frame_and_evaluation_are_never_noised(golden, tracker, training):
    inputs = embeddings(golden, 'call1')
    with torch.no_grad():
        clean, _ = tracker(*inputs)
        tracker.noise = QueryNoise('wa', prob=1.0)
        noisy, _ = tracker.train(training)(*inputs)
    clean, noisy = clean['query_embeds'], noisy['query_embeds']
    assert torch.equal(clean[:, 0], noisy[:, 0])
    assert torch.equal(clean, noisy) is not training


def test_a_frame_without_noise_is_matched_to_a_noised_one(golden, tracker, monkeypatch):
    """Noise in frame 1 only: frame 2 takes up the order that the noise left, whatever the queries' own order."""
    normed, embeds = embeddings(golden, 'call1')
    drawn = iter([True, False, False, False])
    noise = QueryNoise('rs', prob=1.0)
    monkeypatch.setattr(noise, 'is_drawn', lambda: next(drawn))
    clean, _ = tracker(normed, embeds)
    tracker.noise = noise
    noisy, _ = tracker.train()(normed, embeds)
    # the same query of frame 2 follows the same query of frame 1 as without noise
    follower = dict(zip(clean['indices'][0, 1].tolist(), clean['indices'][0, 2].tolist()))
    assert noisy['indices'][0, 1].tolist() != clean['indices'][0, 1].tolist()
    assert [follower[index] for index in noisy['indices'][0, 1].tolist()] == noisy['indices'][0, 2].tolist()


def test_clips_of_a_batch_are_independent(golden, tracker):
    first = embeddings(golden, 'call1')
    second = [x.flip(1) for x in first]
    with torch.no_grad():
        both, _ = tracker(*(torch.cat(pair) for pair in zip(first, second)))
        alone, _ = tracker(*second)
    assert torch.equal(both['indices'][1:], alone['indices'])
    torch.testing.assert_close(both['cls_scores'][1:], alone['cls_scores'])


def segmented(num_clips, num_frames, num_queries=12):
    shape = (num_clips, num_frames, num_queries)
    return dict(
        query_embeds=torch.randn(*shape, 64),
        query_embeds_no_norm=torch.randn(*shape, 64),
        cls_scores=torch.randn(*shape, NUM_CLASSES + 1),
        mask_embeds=torch.randn(*shape, 32),
        mask_features=torch.randn(num_clips, num_frames, 32, 8, 10))


@pytest.fixture
def learner():
    return build(
        criterion=dict(type='MaskClassificationLoss', num_points=32),
        matcher=dict(type='ClipHungarianMatcher', num_points=32),
        reid_loss=dict(type='ReferenceContrastiveLoss')).train()


@pytest.mark.parametrize('guided', [True, False])
def test_losses_train_every_parameter(learner, guided):
    present = torch.tensor([[True, True, True], [False, True, False]])
    targets = [random_targets(2, NUM_CLASSES, 3, 32, 40, present=present) for _ in range(2)]
    losses = learner.loss(segmented(2, 3), targets, guided=guided, sample_weights=torch.tensor([1.0, 0.5]))
    assert_losses_train(learner, losses)


@pytest.mark.parametrize('guided, count', [(True, 1), (False, 3)])
def test_who_decides_the_assignment(learner, monkeypatch, guided, count):
    """Guided, the segmenter in tracked order decides once for all layers; otherwise every layer for itself."""
    seen, assign = [], learner.matcher.assign
    monkeypatch.setattr(learner.matcher, 'assign', lambda *args: (seen.append(args[0]), assign(*args))[1])
    learner.noise.prob = 0.0
    inputs = segmented(1, 3)
    targets = [random_targets(2, NUM_CLASSES, 3, 32, 40, present=torch.ones(2, 3, dtype=torch.bool))]
    learner.loss(inputs, targets, guided=guided)
    out, _ = learner(inputs['query_embeds'], inputs['query_embeds_no_norm'], aux=True)
    if guided:
        order = out['indices'][0]
        expected = [torch.stack([inputs['cls_scores'][0, t, order[t]] for t in range(3)])[None]]
    else:
        expected = [out['cls_scores'], out['aux'][0][0], out['aux'][1][0]]
    assert len(seen) == count
    for actual, scores in zip(seen, expected):
        assert torch.equal(actual, scores)


def test_clip_without_objects_trains(learner):
    empty = random_targets(0, NUM_CLASSES, 3, 32, 40, present=torch.zeros(0, 3, dtype=torch.bool))
    losses = learner.loss(segmented(1, 3), [empty], guided=False)
    assert losses['loss_mask'] == 0 and losses['loss_reid'] == 0
    sum(losses.values()).backward()
    assert learner.cls_embed.weight.grad.any()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())


def test_initialisation():
    tracker = build()
    default = tracker.mask_embed.layers[0].weight.clone()
    tracker.init_weights()
    assert torch.equal(tracker.mask_embed.layers[0].weight, default)
    for layer in tracker.ref_proj.layers:
        bound = (3 / layer.in_features)**0.5  # Kaiming's uniform distribution with a = 1
        assert not layer.bias.any() and 0.95 * bound < layer.weight.abs().max() <= bound
    weight = tracker.layers[2].self_attn.attn.in_proj_weight
    assert 0.95 < weight.abs().max() / (6 / sum(weight.shape))**0.5 <= 1
