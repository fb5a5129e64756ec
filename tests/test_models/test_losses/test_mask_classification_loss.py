# Copyright (c) The mmvc contributors. All rights reserved.
"""Mask losses against the numbers of the official DVIS++ code (``criterion.npz``), and at the edges."""

import pytest
import torch
from mmengine.structures import InstanceData

from mmvc.models.losses import deep_supervision_losses, mask_classification_loss
from mmvc.registry import MODELS, TASK_UTILS

NUM_CLASSES = 6
LAYERS = ('aux_outputs/0/', 'aux_outputs/1/', '')  # from the first to the final one
OFFICIAL_NAMES = {'loss_cls': 'loss_ce', 'loss_mask': 'loss_mask', 'loss_dice': 'loss_dice'}
WEIGHTS = {'loss_cls': 2.0, 'loss_mask': 5.0, 'loss_dice': 5.0}


@pytest.fixture
def criterion():
    return MODELS.build(dict(type='MaskClassificationLoss', num_classes=NUM_CLASSES, num_points=64))


def predictions(golden, case):
    return ([golden[f'{case}/inp/outputs/{layer}pred_logits'] for layer in LAYERS],
            [golden[f'{case}/inp/outputs/{layer}pred_masks'][:, :, 0] for layer in LAYERS])


def plain_targets(golden):
    return [InstanceData(labels=golden['plain/inp/targets/0/labels'], masks=golden['plain/inp/targets/0/masks'][:, 0])]


def draws_of(golden, case):
    count = sum(key.startswith(f'{case}/rand/') for key in golden)
    return [golden[f'{case}/rand/{i}'] for i in range(count)]


def check_losses(losses, golden, case):
    assert len(losses) == 9
    for name, weight in WEIGHTS.items():
        for ours, official in (('', ''), ('d0.', '_0'), ('d1.', '_1')):
            torch.testing.assert_close(
                losses[ours + name],
                weight * golden[f'{case}/losses/{OFFICIAL_NAMES[name]}{official}'],
                rtol=1e-5,
                atol=0)


def test_losses_equal_official_ones(recorded, criterion, replay_rand):
    matcher = TASK_UTILS.build(dict(type='HungarianMaskMatcher', num_points=64))
    left = replay_rand(draws_of(recorded, 'plain'))
    losses = deep_supervision_losses(criterion, matcher, *predictions(recorded, 'plain'), plain_targets(recorded))
    check_losses(losses, recorded, 'plain')
    assert not left


def test_guided_losses_equal_official_ones(recorded, criterion, replay_rand):
    """Another model's predictions give the assignment of all layers."""
    matcher = TASK_UTILS.build(dict(type='HungarianMaskMatcher', num_points=64))
    left = replay_rand(draws_of(recorded, 'matcher_outputs'))
    targets = plain_targets(recorded)
    indices = matcher.assign(recorded['matcher_outputs/inp/matcher_outputs/pred_logits'],
                             recorded['matcher_outputs/inp/matcher_outputs/pred_masks'][:, :, 0], targets)
    assert torch.equal(indices[0][0], recorded['matcher_outputs/indices_returned/0/src'])
    assert torch.equal(indices[0][1], recorded['matcher_outputs/indices_returned/0/tgt'])
    losses = deep_supervision_losses(
        criterion, matcher, *predictions(recorded, 'plain'), targets, indices=indices, guides_all_layers=True)
    check_losses(losses, recorded, 'matcher_outputs')
    assert not left


@pytest.mark.parametrize('matched_before', [False, True])
def test_clip_losses_equal_official_ones(recorded, official_clips, criterion, replay_rand, matched_before):
    matcher = TASK_UTILS.build(dict(type='ClipHungarianMatcher', num_points=64))
    left = replay_rand(draws_of(recorded, 'consistent'))
    layers = [[pred.unflatten(0, (2, 3)) for pred in preds] for preds in predictions(recorded, 'consistent')]
    options = {}
    if matched_before:
        options['indices'] = matcher.assign(layers[0][-1], layers[1][-1], official_clips)
        assert torch.equal(options['indices'][0][0], recorded['consistent/final_layer_indices/0/src'])
    losses = deep_supervision_losses(criterion, matcher, *layers, official_clips, **options)
    check_losses(losses, recorded, 'consistent')
    assert not left


def test_losses_without_targets_equal_official_ones(recorded, criterion):
    empty = InstanceData(labels=torch.zeros(0, dtype=torch.int64), masks=torch.zeros(0, 64, 80))
    cls_scores, mask_preds = (preds[-1].clone().requires_grad_() for preds in predictions(recorded, 'plain'))
    no_pairs = torch.zeros(0, dtype=torch.int64)
    losses = criterion(cls_scores, mask_preds, [empty], [(no_pairs, no_pairs)])
    for name, weight in WEIGHTS.items():
        torch.testing.assert_close(
            losses[name], weight * recorded[f'empty/losses/{OFFICIAL_NAMES[name]}'], rtol=1e-5, atol=0)
    sum(losses.values()).backward()
    assert cls_scores.grad.abs().sum() > 0
    assert mask_preds.grad is not None and not mask_preds.grad.any()  # no unused parameter, no gradient


def random_batch(num_objects=(3, 0, 2), requires_grad=False):
    torch.manual_seed(0)
    targets = [
        InstanceData(labels=torch.randint(NUM_CLASSES, (n, )), masks=torch.rand(n, 12, 16) > 0.5) for n in num_objects
    ]
    cls_scores = torch.randn(len(targets), 5, NUM_CLASSES + 1, requires_grad=requires_grad)
    mask_preds = torch.randn(len(targets), 5, 6, 8, requires_grad=requires_grad)
    indices = [(torch.randperm(5)[:n], torch.randperm(n)) for n in num_objects]
    return cls_scores, mask_preds, targets, indices


def losses_of(criterion, *batch, **options):
    torch.manual_seed(1)  # the same points
    return criterion(*batch, **options)


def test_sample_weights_scale_terms_and_not_normalisers(criterion):
    batch = random_batch()
    plain = losses_of(criterion, *batch)
    ones = losses_of(criterion, *batch, sample_weights=torch.ones(3))
    parts = [losses_of(criterion, *batch, sample_weights=torch.eye(3)[i]) for i in range(3)]
    mixed = losses_of(criterion, *batch, sample_weights=torch.tensor([1.0, 0.25, 3.0]))
    for name in plain:
        torch.testing.assert_close(ones[name], plain[name])
        torch.testing.assert_close(sum(part[name] for part in parts), plain[name])
        torch.testing.assert_close(mixed[name], parts[0][name] + 0.25 * parts[1][name] + 3 * parts[2][name])
    assert parts[1]['loss_mask'] == 0 and parts[1]['loss_cls'] > 0  # nothing matched there


def test_divisors_are_means_over_processes(criterion, monkeypatch):
    """Here there are other processes, without any query or mask: averaged gradients are then those of this one."""
    batch = random_batch()
    alone = losses_of(criterion, *batch)
    for num_processes in (3, 10):  # more than masks, too
        monkeypatch.setattr(mask_classification_loss, 'reduce_mean', lambda number, n=num_processes: number / n)
        among_others = losses_of(criterion, *batch)
        for name, loss in alone.items():
            torch.testing.assert_close(among_others[name], loss * num_processes)


def test_number_of_points_of_tall_masks(criterion, replay_rand):
    """A clip of four frames passed as one mask is sampled at four times as many points."""
    draws = [torch.rand(1, 256, 2), torch.rand(3, 768, 2), torch.rand(3, 64, 2)]
    cls_scores, mask_preds, targets, _ = random_batch((3, ))
    matcher = TASK_UTILS.build(dict(type='HungarianMaskMatcher', num_points=64))
    left = replay_rand(draws)
    losses = deep_supervision_losses(criterion, matcher, [cls_scores], [mask_preds], targets, num_points=256)
    assert not left
    assert 1 < losses['loss_mask'] < 15  # still a mean over points: weight 5 times about 0.8 per mask, 3 masks / 3


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_trains_under_autocast(criterion, device, dtype):
    cls_scores, mask_preds, targets, indices = random_batch()
    inputs = [(100 * pred).to(device, dtype).requires_grad_() for pred in (cls_scores, mask_preds)]
    targets = [target.to(device) for target in targets]
    indices = [(queries.to(device), gts.to(device)) for queries, gts in indices]
    with torch.autocast(device, dtype=torch.bfloat16 if dtype == torch.float32 else dtype):
        losses = criterion(*inputs, targets, indices, sample_weights=torch.tensor([1.0, 0.5, 2.0], device=device))
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    sum(losses.values()).backward()
    for pred in inputs:
        assert pred.grad.isfinite().all() and pred.grad.abs().sum() > 0


def test_gradient_reaches_all_queries_by_class_and_matched_ones_by_mask(criterion):
    cls_scores, mask_preds, targets, indices = random_batch(requires_grad=True)
    sum(criterion(cls_scores, mask_preds, targets, indices).values()).backward()
    assert cls_scores.grad.abs().sum(-1).gt(0).all()
    for grad, (queries, _) in zip(mask_preds.grad, indices):
        assert set(grad.flatten(1).abs().sum(1).nonzero()[:, 0].tolist()) == set(queries.tolist())


def test_class_weights_of_another_number_of_classes_are_named():
    with pytest.raises(ValueError, match='num_classes \\+ 1 = 4 values'):
        MODELS.build(
            dict(
                type='MaskClassificationLoss',
                num_classes=3,
                loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0, 0.1])))
