# Copyright (c) The mmvc contributors. All rights reserved.
"""Contrastive losses of tracker, refiner and segmenter against the numbers of the official DVIS++ code."""

import numpy as np
import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from mmengine.structures import InstanceData

from mmvc.models.losses.contrastive_terms import contrast
from mmvc.registry import MODELS


def load(data_dir, name):
    with np.load(data_dir / f'modules/{name}.npz') as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files if key != 'meta'}


def assert_gradient_close(actual, expected):
    """Equal to 1e-4 of the largest entry."""
    assert (actual - expected).abs().max() <= 1e-4 * expected.abs().max()


def pairs(*queries):
    queries = torch.tensor(queries, dtype=torch.int64)
    return queries, torch.arange(len(queries))


def labelled(*labels):
    return InstanceData(labels=torch.tensor(labels, dtype=torch.int64))


@pytest.fixture
def reference_loss():
    return MODELS.build(dict(type='ReferenceContrastiveLoss', loss_weight=1.0))


@pytest.fixture
def temporal_loss():
    return MODELS.build(
        dict(type='TemporalContrastiveLoss', num_classes=7, embed_dims=16, memory_len=20, loss_weight=1.0))


@pytest.fixture
def frame_loss():
    return MODELS.build(dict(type='FrameContrastiveLoss'))


# ------------------------------------------------------------------------------------------------ one anchor
def test_contrast_equals_official_loss(data_dir):
    golden = load(data_dir, 'cl_losses_ref')
    losses = []
    for i in range(3):  # the last item has positives only
        scores, is_positive = golden[f'loss_reid/inp/{i}/dot_product'][:, 0], golden[f'loss_reid/inp/{i}/label'] == 1
        losses.append(contrast(scores[is_positive], scores[~is_positive]))
        masked = contrast(
            scores.masked_fill(~is_positive, torch.inf), scores.masked_fill(is_positive, -torch.inf))
        torch.testing.assert_close(masked, losses[-1])
    torch.testing.assert_close(sum(losses) / 3, golden['loss_reid/out/loss_reid'], rtol=1e-5, atol=0)
    assert losses[-1] == 0


def test_contrast_without_negatives_has_no_gradient():
    scores = torch.randn(4, requires_grad=True)
    contrast(scores[:1], scores[1:].masked_fill(torch.ones(3, dtype=torch.bool), -torch.inf)).backward()
    assert not scores.grad.any()  # and no NaN


# ------------------------------------------------------------------------------------------------ tracker
def test_reference_loss_equals_official_one(data_dir, reference_loss):
    golden = load(data_dir, 'cl_losses_ref')
    references = golden['cl_ref/inp/pred_references'].requires_grad_()
    matched = golden['cl_ref/inp/match_src'], golden['cl_ref/inp/match_tgt']
    loss = reference_loss(references[None], [matched])['loss_reid']
    torch.testing.assert_close(loss, golden['cl_ref/out/loss_reid'], rtol=1e-5, atol=0)
    assert_gradient_close(*torch.autograd.grad(loss, references), golden['cl_ref/grad_loss_reid'])


@pytest.mark.parametrize('num_frames, queries', [(1, (2, 5)), (5, ())])
def test_reference_loss_without_items_is_a_zero_that_depends_on_its_input(reference_loss, num_frames, queries):
    references = torch.randn(2, num_frames, 6, 4, requires_grad=True)
    loss = reference_loss(references, [pairs(*queries)] * 2)['loss_reid']
    loss.backward()
    assert loss == 0 and references.grad is not None and not references.grad.any()


def test_reference_loss_weights_clips_and_averages_over_all_items(reference_loss):
    references = torch.randn(2, 4, 6, 8)
    indices = [pairs(0, 3), pairs(5)]
    alone = [reference_loss(references[i:i + 1], indices[i:i + 1])['loss_reid'] for i in range(2)]
    both = reference_loss(references, indices)['loss_reid']
    torch.testing.assert_close(both, (2 * alone[0] + alone[1]) / 3)
    torch.testing.assert_close(reference_loss(references, indices, torch.ones(2))['loss_reid'], both)
    weighted = reference_loss(references, indices, torch.tensor([0.5, 4.0]))['loss_reid']
    torch.testing.assert_close(weighted, (2 * 0.5 * alone[0] + 4 * alone[1]) / 3)


# ------------------------------------------------------------------------------------------------ refiner
def test_temporal_loss_and_memory_equal_official_ones(data_dir, temporal_loss):
    """Three calls that share a memory: no class known, one of two known, all known."""
    golden = load(data_dir, 'cl_losses_memory')
    for call in range(3):
        embeds = golden[f'call{call}/pred_embds'].requires_grad_()  # (b, c, t, q)
        matched = golden[f'call{call}/match_src'], golden[f'call{call}/match_tgt']
        target = InstanceData(labels=golden[f'call{call}/labels'])
        loss = temporal_loss(embeds.permute(0, 2, 3, 1), [matched], [target])['loss_reid']
        torch.testing.assert_close(loss, golden[f'call{call}/out/loss_reid'], rtol=1e-5, atol=0)
        assert_gradient_close(*torch.autograd.grad(loss, embeds), golden[f'call{call}/grad_loss_reid'])
        memory = temporal_loss.memory
        for label in range(7):
            stored = golden.get(f'call{call}/memory_after/{label}', torch.zeros(0, 16))
            assert torch.equal(memory.embeds[label, :memory.counts[label]], stored)


def test_temporal_loss_weights_clips_and_remembers_all(temporal_loss):
    embeds = torch.randn(2, 3, 6, 16)
    indices, targets = [pairs(0, 3), pairs(5)], [labelled(1, 2), labelled(2)]

    def forget():
        temporal_loss.memory.counts.zero_()

    alone = []
    for i in range(2):
        forget()
        alone.append(temporal_loss(embeds[i:i + 1], indices[i:i + 1], targets[i:i + 1])['loss_reid'])
    forget()
    weighted = temporal_loss(embeds, indices, targets, torch.tensor([0.5, 4.0]))['loss_reid']
    torch.testing.assert_close(weighted, (2 * 0.5 * alone[0] + 4 * alone[1]) / 3)
    assert temporal_loss.memory.counts.tolist() == [0, 3, 6, 0, 0, 0, 0]


def test_temporal_loss_without_objects(temporal_loss):
    embeds = torch.randn(1, 3, 6, 16, requires_grad=True)
    loss = temporal_loss(embeds, [pairs()], [labelled()])['loss_reid']
    loss.backward()
    assert loss == 0 and not embeds.grad.any() and not temporal_loss.memory.counts.any()


def test_full_memory_keeps_a_random_subset(temporal_loss):
    memory = temporal_loss.memory
    numbers = torch.arange(50.0)[:, None].expand(-1, 16)
    memory.push(numbers[:15], torch.full((15, ), 3))
    states = []
    for seed in (0, 0, 1):
        memory.counts[3], memory.embeds[3, :15] = 15, numbers[:15]
        torch.manual_seed(seed)
        memory.push(numbers[15:], torch.full((35, ), 3))
        states.append(memory.embeds[3, :, 0].tolist())
    assert memory.counts.tolist() == [0, 0, 0, 20, 0, 0, 0]
    for kept in states:
        assert len(set(kept)) == 20 and min(kept) < 15 <= max(kept)  # old and new ones, none twice
    assert states[0] == states[1] != states[2]


@pytest.mark.parametrize('load_into', [lambda model, state: model.load_state_dict(state),
                                       lambda model, state: load_state_dict(model, state, strict=True)],
                         ids=['torch', 'mmengine'])
def test_memory_is_saved_and_restored(temporal_loss, load_into):
    temporal_loss(torch.randn(1, 3, 6, 16), [pairs(0, 3)], [labelled(1, 2)])
    # inside of another module, as in a checkpoint
    resumed = torch.nn.ModuleDict(dict(head=MODELS.build(
        dict(type='TemporalContrastiveLoss', num_classes=7, embed_dims=16, memory_len=20, loss_weight=1.0))))
    load_into(resumed, torch.nn.ModuleDict(dict(head=temporal_loss)).state_dict())
    embeds, indices, targets = torch.randn(1, 3, 6, 16), [pairs(2, 4)], [labelled(2, 5)]
    assert resumed['head'](embeds, indices, targets) == temporal_loss(embeds, indices, targets)
    load_into(resumed, {})  # weights of another origin have no memory: what is there stays
    assert resumed['head'].memory.counts.tolist() == [0, 3, 6, 0, 0, 3, 0]


# ------------------------------------------------------------------------------------------------ segmenter
def frame_golden(data_dir):
    """Inputs of the golden in our form: targets hold the objects that a frame shows, known by their ids."""
    golden = load(data_dir, 'ctvis_loss')
    indices, targets = [], []
    for ids, queries, gts in zip(golden['inp/ids'], golden['inp/match_src'], golden['inp/match_tgt']):
        shown = (ids >= 0).nonzero()[:, 0]
        queries, gts = zip(*[(q, g) for q, g in zip(queries.tolist(), gts.tolist()) if ids[g] >= 0])
        targets.append(InstanceData(instances_ids=100 + ids[shown]))
        indices.append((torch.tensor(queries), torch.searchsorted(shown, torch.tensor(gts))))
    # one draw per item in the official order: clip, frame, object
    draws, used = [], iter(golden['inp/np_rand_draws'].tolist())
    for shown in (golden['inp/ids'] >= 0).view(2, 4, 3):
        draws.append(torch.zeros(4, 3))
        for frame in range(1, 4):
            for track in range(3):
                if shown[frame, track] and shown[:frame, track].any():
                    draws[-1][frame, track] = next(used)
    assert next(used, None) is None
    return golden, indices, targets, draws


def test_frame_loss_equals_official_one(data_dir, frame_loss, replay_rand):
    golden, indices, targets, draws = frame_golden(data_dir)
    left = replay_rand(draws)
    embeds = golden['inp/pred_reid_embed'].requires_grad_()
    losses = frame_loss(embeds, indices, targets, num_frames=4)
    assert not left
    for name in ('loss_reid', 'loss_aux_reid'):
        torch.testing.assert_close(losses[name], golden[f'out/{name}'], rtol=1e-5, atol=0)
    assert_gradient_close(*torch.autograd.grad(sum(losses.values()), embeds), golden['grad'])


def test_frame_loss_finds_objects_by_identity(data_dir, frame_loss, replay_rand):
    """The order of a frame's targets has no meaning."""
    golden, indices, targets, draws = frame_golden(data_dir)
    replay_rand(draws)
    for i in (1, 2, 6):
        targets[i] = targets[i][torch.arange(len(targets[i])).flip(0)]
        indices[i] = indices[i][0], len(targets[i]) - 1 - indices[i][1]
    losses = frame_loss(golden['inp/pred_reid_embed'], indices, targets, num_frames=4)
    torch.testing.assert_close(losses['loss_reid'], golden['out/loss_reid'])


def test_frame_loss_weights_the_frames_of_the_anchors(data_dir, frame_loss, replay_rand):
    golden, indices, targets, draws = frame_golden(data_dir)

    def loss(weights):
        replay_rand(draws)
        return frame_loss(golden['inp/pred_reid_embed'], indices, targets, 4, weights)['loss_reid']

    plain, by_frame = loss(None), [loss(weights) for weights in torch.eye(8)]
    torch.testing.assert_close(loss(torch.ones(8)), plain)
    torch.testing.assert_close(sum(by_frame), plain)
    assert by_frame[0] == by_frame[4] == 0  # nothing comes before a clip's first frame
    torch.testing.assert_close(loss(torch.arange(8.0)), sum(i * part for i, part in enumerate(by_frame)))


@pytest.mark.parametrize('num_frames, objects', [(4, ()), (1, (7, ))])
def test_frame_loss_without_items(frame_loss, num_frames, objects):
    embeds = torch.randn(4, 6, 8, requires_grad=True)
    target = InstanceData(instances_ids=torch.tensor(objects, dtype=torch.int64))
    losses = frame_loss(embeds, [pairs(*range(len(objects)))] * 4, [target] * 4, num_frames)
    sum(losses.values()).backward()
    assert not any(losses.values()) and not embeds.grad.any()


# ------------------------------------------------------------------------------------------------ all of them
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_train_under_autocast(reference_loss, temporal_loss, frame_loss, device, dtype):
    torch.manual_seed(0)
    # long embeddings: their products overflow float16
    embeds = (300 * torch.randn(1, 4, 6, 16, device=device)).to(dtype).requires_grad_()
    matched = pairs(1, 4)
    indices = [(matched[0].to(device), matched[1].to(device))]
    target = InstanceData(labels=torch.tensor([2, 5]), instances_ids=torch.tensor([10, 20])).to(device)
    temporal_loss.to(device)
    losses = {}
    for _ in range(2):  # the second time with a memory
        with torch.autocast(device, dtype=torch.bfloat16 if dtype == torch.float32 else dtype):
            losses['reference'] = reference_loss(embeds, indices)['loss_reid']
            losses['temporal'] = temporal_loss(embeds, indices, [target])['loss_reid']
            losses.update(frame_loss(embeds[0], indices * 4, [target] * 4, 4))
    for name, loss in losses.items():
        assert loss.dtype == torch.float32 and loss.isfinite(), name
        grad, = torch.autograd.grad(loss, embeds, retain_graph=True)
        assert grad.isfinite().all() and grad.abs().sum() > 0, name


def test_single_query_has_no_negatives(reference_loss, temporal_loss, frame_loss):
    embeds = torch.randn(1, 3, 1, 16, requires_grad=True)
    target = InstanceData(labels=torch.tensor([2]), instances_ids=torch.tensor([10]))
    losses = [
        reference_loss(embeds, [pairs(0)])['loss_reid'],
        temporal_loss(embeds, [pairs(0)], [target])['loss_reid'],
        frame_loss(embeds[0], [pairs(0)] * 3, [target] * 3, 3)['loss_reid']
    ]
    assert not any(losses)
    sum(losses).backward()
    assert embeds.grad.isfinite().all()
