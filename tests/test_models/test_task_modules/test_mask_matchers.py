# Copyright (c) The mmvc contributors. All rights reserved.
"""Matching against the numbers of the official DVIS++ code (``criterion.npz``), and its behaviour at the edges."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmvc.models.task_modules.assigners import ClipHungarianMatcher, HungarianMaskMatcher, hungarian_mask_matcher
from mmvc.registry import TASK_UTILS

NUM_CLASSES = 6


@pytest.fixture
def costs(monkeypatch):
    """The matrices that reach the Hungarian algorithm."""
    seen = []
    solve = hungarian_mask_matcher.linear_sum_assignment
    for module in ('hungarian_mask_matcher', 'clip_hungarian_matcher'):
        monkeypatch.setattr(f'mmvc.models.task_modules.assigners.{module}.linear_sum_assignment',
                            lambda cost: (seen.append(cost.copy()), solve(cost))[1])
    return seen


def random_target(num, size=(16, 20), num_frames=None):
    frames = () if num_frames is None else (num_frames, )
    return InstanceData(
        labels=torch.randint(NUM_CLASSES, (num, )), masks=(torch.rand(num, *frames, *size) > 0.5).to(torch.uint8))


def test_costs_and_indices_equal_official_ones(recorded, replay_rand, costs):
    target = InstanceData(
        labels=recorded['plain/inp/targets/0/labels'], masks=recorded['plain/inp/targets/0/masks'][:, 0])
    matcher = TASK_UTILS.build(dict(type='HungarianMaskMatcher', num_points=64))
    # final layer, then the auxiliary ones; the official criterion returns the indices of the last of them
    for i, layer in enumerate(('', 'aux_outputs/0/', 'aux_outputs/1/')):
        left = replay_rand([recorded[f'plain/rand/{3 * i}']])
        indices = matcher.assign(recorded[f'plain/inp/outputs/{layer}pred_logits'],
                                 recorded[f'plain/inp/outputs/{layer}pred_masks'][:, :, 0], [target])
        assert not left
        np.testing.assert_allclose(costs[i], recorded[f'plain/cost/{i}'], rtol=1e-5)
    assert torch.equal(indices[0][0], recorded['plain/indices_returned/0/src'])
    assert torch.equal(indices[0][1], recorded['plain/indices_returned/0/tgt'])


def test_clip_costs_and_indices_equal_official_ones(recorded, official_clips, replay_rand, costs):
    matcher = TASK_UTILS.build(dict(type='ClipHungarianMatcher', num_points=64))
    for i, layer in enumerate(('', 'aux_outputs/0/', 'aux_outputs/1/')):
        left = replay_rand(recorded[f'consistent/rand/{7 * i + j}'] for j in range(5))
        cls_scores, mask_preds = (
            recorded[f'consistent/inp/outputs/{layer}{name}'].unflatten(0, (2, 3))
            for name in ('pred_logits', 'pred_masks'))
        indices = matcher.assign(cls_scores, mask_preds[:, :, :, 0], official_clips)
        assert not left
        for j in range(5):
            np.testing.assert_allclose(costs[5 * i + j], recorded[f'consistent/cost/{5 * i + j}'], rtol=1e-5)
        name = {'': 'final_layer_indices', 'aux_outputs/1/': 'indices_returned'}.get(layer)
        for clip, pair in enumerate(indices if name else []):
            assert torch.equal(pair[0], recorded[f'consistent/{name}/{3 * clip}/src'])
            assert torch.equal(pair[1], recorded[f'consistent/{name}/{3 * clip}/tgt'])


def perfect_predictions(labels, masks, queries, num_queries=8):
    """Logits by which the given queries show the given objects; masks (..., n, H, W)."""
    cls_scores = torch.zeros(*masks.shape[:-3], num_queries, NUM_CLASSES + 1)
    cls_scores[..., queries, labels] = 10.0
    mask_preds = torch.full((*masks.shape[:-3], num_queries, *masks.shape[-2:]), -10.0)
    mask_preds[..., queries, :, :] = masks.float() * 20 - 10
    return cls_scores, mask_preds


def test_object_keeps_the_query_of_its_first_frame():
    target = random_target(3, num_frames=4)
    target.present = torch.tensor([[0, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 0]], dtype=torch.bool)
    cls_scores, mask_preds = perfect_predictions(target.labels, target.masks.transpose(0, 1), [6, 2, 4])
    # in frame 1 query 2, already object 1's, shows object 0 best; query 6 is next
    cls_scores[1, 2], mask_preds[1, 2] = cls_scores[1, 6] * 2, mask_preds[1, 6] * 2
    (queries, objects), = ClipHungarianMatcher(num_points=256).assign(cls_scores[None], mask_preds[None], [target])
    assert queries.tolist() == [2, 6] and objects.tolist() == [1, 0]  # the object that is never present has none


def test_official_treatment_of_absent_objects_is_the_all_present_one():
    """Official VSS and VPS training matches all objects in the first frame, the absent ones on empty masks."""
    target = random_target(2, num_frames=2)
    target.masks[1, 0] = 0
    target.present = target.masks.flatten(2).any(2)
    cls_scores, mask_preds = perfect_predictions(target.labels, target.masks.transpose(0, 1), [3, 5])
    # in frame 0 query 7 is a better empty mask of object 1's class than query 5, which shows the object in frame 1
    cls_scores[0, 7, target.labels[1]] = 20.0
    mask_preds[0, 5] = 10.0
    matcher = ClipHungarianMatcher(num_points=256)
    (queries, objects), = matcher.assign(cls_scores[None], mask_preds[None], [target])
    assert dict(zip(objects.tolist(), queries.tolist())) == {0: 3, 1: 5}
    target.present[:] = True
    (queries, objects), = matcher.assign(cls_scores[None], mask_preds[None], [target])
    assert dict(zip(objects.tolist(), queries.tolist())) == {0: 3, 1: 7}


def test_more_objects_than_queries():
    target = random_target(5, num_frames=2)
    target.present = torch.tensor([[1, 1]] * 2 + [[0, 1]] * 3, dtype=torch.bool)
    cls_scores, mask_preds = torch.randn(1, 2, 3, NUM_CLASSES + 1), torch.randn(1, 2, 3, 4, 5)
    (queries, objects), = ClipHungarianMatcher(num_points=16).assign(cls_scores, mask_preds, [target])
    assert sorted(queries.tolist()) == [0, 1, 2] and len(set(objects.tolist())) == 3
    (queries, objects), = HungarianMaskMatcher(num_points=16).assign(
        cls_scores[:, 0], mask_preds[:, 0], [InstanceData(labels=target.labels, masks=target.masks[:, 0])])
    assert queries.tolist() == [0, 1, 2] and len(set(objects.tolist())) == 3


def test_empty_targets(device):
    empty = InstanceData(labels=torch.zeros(0, dtype=torch.int64), masks=torch.zeros(0, 8, 8)).to(device)
    cls_scores = torch.randn(2, 3, NUM_CLASSES + 1, device=device)
    mask_preds = torch.randn(2, 3, 4, 4, device=device)
    for targets in ([empty, empty], [random_target(2).to(device), empty]):
        indices = HungarianMaskMatcher(num_points=16).assign(cls_scores, mask_preds, targets)
        assert [len(pair[0]) for pair in indices] == [len(target.labels) for target in targets]
        assert all(index.dtype == torch.int64 and index.device.type == device for pair in indices for index in pair)
    clip = InstanceData(
        labels=empty.labels,
        masks=torch.zeros(0, 2, 8, 8, device=device),
        present=torch.zeros(0, 2, dtype=torch.bool, device=device))
    (queries, objects), = ClipHungarianMatcher(num_points=16).assign(cls_scores[None], mask_preds[None], [clip])
    assert len(queries) == len(objects) == 0 and queries.dtype == objects.dtype == torch.int64


def test_non_finite_predictions_are_matched_last():
    target = random_target(2)
    cls_scores, mask_preds = torch.randn(1, 4, NUM_CLASSES + 1), torch.randn(1, 4, 4, 5)
    cls_scores[0, 0], mask_preds[0, 1] = torch.nan, torch.inf
    (queries, _), = HungarianMaskMatcher(num_points=16).assign(cls_scores, mask_preds, [target])
    assert queries.tolist() == [2, 3]


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_costs_are_float32_under_autocast(dtype):
    target = random_target(4)
    cls_scores, mask_preds = torch.randn(4, NUM_CLASSES + 1).to(dtype), (500 * torch.randn(4, 4, 5)).to(dtype)
    matcher = HungarianMaskMatcher(num_points=16)
    torch.manual_seed(0)
    expected = matcher.cost(cls_scores.float(), mask_preds.float(), target.labels, target.masks)
    torch.manual_seed(0)
    with torch.autocast('cpu', dtype=dtype):
        cost = matcher.cost(cls_scores, mask_preds, target.labels, target.masks.bool())
    assert cost.dtype == torch.float32
    torch.testing.assert_close(cost, expected)


def test_wrong_number_of_targets_is_named():
    with pytest.raises(ValueError, match='2 samples .* 1 entries'):
        HungarianMaskMatcher().assign(torch.zeros(2, 3, 7), torch.zeros(2, 3, 4, 4), [random_target(1)])
    target = random_target(1, num_frames=3)
    target.present = torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match='1 clips of 2 frames'):
        ClipHungarianMatcher().assign(torch.zeros(1, 2, 3, 7), torch.zeros(1, 2, 3, 4, 4), [target])
