# Copyright (c) The mmvc contributors. All rights reserved.
"""Matching, losses and gradients against the numbers of the official VidEoMT code (``encoder_only/criterion.npz``)."""

import json

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmvc.models.losses import deep_supervision_losses
from mmvc.models.task_modules.assigners import ClipHungarianMatcher, clip_hungarian_matcher
from mmvc.registry import MODELS
from tests.helpers.golden_utils import assert_close, below

CASES = ('late', 'empty', 'two_clips', 'one_of_two_empty', 'crowded', 'more_objects_than_queries')
OFFICIAL_NAMES = {'loss_cls': 'loss_ce', 'loss_mask': 'loss_mask', 'loss_dice': 'loss_dice'}


class Case:
    """One case of the file: predictions of all layers, the final one last, and the clips' targets."""

    def __init__(self, arrays, name):
        self.meta = json.loads(str(arrays['meta']))['cases'][name]
        self.golden = below({key: torch.from_numpy(arrays[key]) for key in arrays.files if key != 'meta'}, f'{name}/')
        self.layers = [*(f'aux{i}' for i in range(self.meta['layers'])), 'final']
        clips_and_frames = self.meta['clips'], self.meta['T']
        self.cls_scores, self.mask_preds = (
            [self.golden[f'{layer}/{key}'].unflatten(0, clips_and_frames) for layer in self.layers]
            for key in ('pred_logits', 'pred_masks'))
        self.mask_preds = [masks[:, :, :, 0] for masks in self.mask_preds]
        for prediction in (*self.cls_scores, *self.mask_preds):
            prediction.requires_grad_()
        self.targets = [self.target(clip) for clip in range(self.meta['clips'])]

    def target(self, clip):
        masks = np.unpackbits(self.golden[f'clip{clip}/masks'].numpy(), axis=-1)[..., :self.meta['mask_size'][1]]
        return InstanceData(
            labels=self.golden[f'clip{clip}/labels'],
            masks=torch.from_numpy(masks),
            present=self.golden[f'clip{clip}/ids'] >= 0)

    def numbered(self, kind):
        """What was recorded in the order of the calls."""
        return [self.golden[key] for key in sorted(self.golden) if key.startswith(f'{kind}/')]


@pytest.fixture
def case(data_dir, request):
    with np.load(data_dir / 'encoder_only/criterion.npz') as arrays:
        return Case(arrays, request.param)


@pytest.fixture
def watched(monkeypatch):
    """The matrices that reach the Hungarian algorithm, and the assignments."""
    costs, assignments = [], []
    solve, assign = clip_hungarian_matcher.linear_sum_assignment, ClipHungarianMatcher.assign

    def watched_solve(cost):
        costs.append(torch.tensor(cost))
        return solve(cost)

    def watched_assign(*args):
        assignments.append(assign(*args))
        return assignments[-1]

    monkeypatch.setattr(clip_hungarian_matcher, 'linear_sum_assignment', watched_solve)
    monkeypatch.setattr(ClipHungarianMatcher, 'assign', watched_assign)
    return costs, assignments


def losses_of(case, replay_rand, shares_queries):
    draws = [draw for draw in case.numbered('draw') if draw.numel()]  # nothing is drawn for no masks
    left = replay_rand(draws)
    losses = deep_supervision_losses(
        MODELS.build(dict(type='MaskClassificationLoss', num_classes=5, num_points=96)),
        ClipHungarianMatcher(num_points=96, shares_queries=shares_queries), case.cls_scores, case.mask_preds,
        case.targets)
    assert not left
    return losses


@pytest.mark.parametrize('case', CASES, indirect=True)
def test_criterion_equals_official_one(case, watched, replay_rand):
    losses = losses_of(case, replay_rand, shares_queries=True)
    costs, assignments = watched
    for actual, expected in zip(costs, case.numbered('cost'), strict=True):
        assert_close(actual, expected)
    for layer, assignment in zip([case.layers[-1], *case.layers[:-1]], assignments, strict=True):
        for clip, pairs in enumerate(assignment):
            assert torch.equal(torch.stack(pairs), case.golden[f'{layer}/match/clip{clip}']), (layer, clip)

    weights = case.meta['weights']  # none for the last auxiliary layer, which the official code throws away
    total = torch.zeros(())
    assert len(losses) == 3 * len(case.layers)
    for i, layer in enumerate(case.layers):
        prefix, suffix = ('', '') if layer == 'final' else (f'd{i}.', f'_{i}')
        for ours, official in OFFICIAL_NAMES.items():
            loss, weight = losses[prefix + ours], weights.get(official + suffix)
            expected = case.golden[f'loss/{official}{suffix}'] * weights[official]
            torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)
            total = total if weight is None else total + loss
    assert_close(total, case.golden['total'])
    total.backward()
    for cls_scores, layer in zip(case.cls_scores, case.layers):
        expected = case.golden[f'{layer}/grad_logits']
        if expected.numel():
            assert_close(cls_scores.grad.flatten(0, 1), expected, what=layer)
        else:
            assert cls_scores.grad is None
    assert_close(case.mask_preds[-1].grad.flatten(0, 1), case.golden['final/grad_masks'][:, :, 0])


@pytest.mark.parametrize('case', ['late', 'two_clips', 'one_of_two_empty', 'more_objects_than_queries'], indirect=True)
def test_default_is_the_official_matching_where_queries_suffice(case, watched, replay_rand):
    losses_of(case, replay_rand, shares_queries=False)
    for layer, assignment in zip([case.layers[-1], *case.layers[:-1]], watched[1], strict=True):
        for clip, pairs in enumerate(assignment):
            assert torch.equal(torch.stack(pairs), case.golden[f'{layer}/match/clip{clip}'])


@pytest.mark.parametrize('case', ['crowded'], indirect=True)
def test_default_leaves_out_objects_without_a_free_query(case, replay_rand):
    """Three objects take three of five queries; two of the three later ones get the others."""
    queries_of = {}
    for shares in (False, True):
        replay_rand(case.numbered('draw'))
        (queries, objects), = ClipHungarianMatcher(num_points=96, shares_queries=shares).assign(
            case.cls_scores[-1], case.mask_preds[-1], case.targets)
        queries_of[shares] = dict(zip(objects.tolist(), queries.tolist()))
    assert len(set(queries_of[False].values())) == len(queries_of[False]) == 5
    assert len(set(queries_of[True].values())) == 5 and len(queries_of[True]) == 6
    assert queries_of[False].items() < queries_of[True].items()
