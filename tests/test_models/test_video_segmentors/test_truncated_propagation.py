# Copyright (c) The mmvc contributors. All rights reserved.
"""Truncated query propagation: clips in chunks, each with a backward pass, and one update for all of them."""

import dataclasses
from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch.distributed.utils import _apply_to_tensors

from mmvc.models.video_segmentors.two_passes import split_frames
from tests.helpers.masked_clips import mask_clips
from tests.helpers.saved_tensors import peak_of_saved_tensors
from tests.helpers.scaled_optim_wrapper import ScaledOptimWrapper
from tests.helpers.tiny_encoder_only import LVMT, VIDEOMT, build_model
from tests.helpers.tiny_models import make_batch

MODELS = dict(videomt=dict(VIDEOMT, propagation=dict(type='GRUPropagation'), chunk_size=2), lvmt=LVMT)
MASKS = dict(clean=None, sum=dict(type='TubeMask', mode='sum', patch_size=16),
             switch=dict(type='TubeMask', mode='switch', prob=1.0, patch_size=16))
NUM_FRAMES = 5  # chunks of 2, 2 and 1


@pytest.fixture(autouse=True)
def _seed():
    np.random.seed(0)  # the transforms draw from numpy's generator


def optimizer_of(model, kind=OptimWrapper, **settings):
    return kind(optimizer=torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0), **settings)


def make_masked_batch(masking=None, clips=2):
    batch = make_batch(clips, NUM_FRAMES, (40, 56))
    return batch if masking is None else mask_clips(batch, [masking] * clips)


def train(model, step, batches, kind=OptimWrapper, **settings):
    """Log of the last step, and how far the weights have moved. Steps draw the same random numbers."""
    model = deepcopy(model)
    optimizer = optimizer_of(model, kind, **settings)
    optimizer.initialize_count_status(model, 0, len(batches))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    torch.manual_seed(1)
    for batch in batches:
        log = step(model, deepcopy(batch), optimizer)
    return log, {name: p.detach() - before[name] for name, p in model.named_parameters() if p.requires_grad}


def own_step(model, batch, optimizer):
    return model.train_step(batch, optimizer)


def one_graph_step(model, batch, optimizer):
    return BaseModel.train_step(model, batch, optimizer)


def chunk_by_chunk(model, batch, optimizer):
    """What the papers say, written down plainly: loss x share of the frames, backward, one update."""
    data = model.data_preprocessor(batch, True)
    chunks = split_frames(NUM_FRAMES, model.chunk_size)
    assert [chunk.frames for chunk in chunks] == [slice(0, 2), slice(2, 4), slice(4, 5)]
    log = {}
    for chunk in chunks:
        samples = deepcopy(data['data_samples'])
        for sample in samples:
            sample.video_data_samples = sample.video_data_samples[chunk.frames]
        weights = torch.ones(len(samples))
        losses = model.stage_loss(data['inputs'][:, chunk.frames], samples, weights, chunk.carried)
        assert not chunk.carried.queries.requires_grad
        loss = sum(losses.values()) * (chunk.frames.stop - chunk.frames.start) / NUM_FRAMES
        loss.backward()
        log['loss'] = log.get('loss', 0) + loss.detach()
    optimizer.step()
    return log


def assert_same_moves(actual, expected):
    assert actual.keys() == expected.keys()
    largest = max(move.norm() for move in expected.values())
    assert largest > 0
    for name, move in expected.items():
        assert (actual[name] - move).norm() <= 1e-5 * largest, name


@pytest.mark.parametrize('clips', [1, 3])
@pytest.mark.parametrize('name', MODELS)
def test_step_is_the_sum_over_chunks(name, clips):
    """With any number of clips, and a last chunk of one frame."""
    model = build_model(MODELS[name]).train()
    batch = make_masked_batch(clips=clips)
    (expected_log, expected), (log, actual) = (train(model, step, [batch]) for step in (chunk_by_chunk, own_step))
    assert_same_moves(actual, expected)
    torch.testing.assert_close(log['loss'], expected_log['loss'])
    assert actual['query_embed.weight'].any() and actual['propagation.cell.weight_hh'].any()


@pytest.mark.parametrize('masking', MASKS)
@pytest.mark.parametrize('name', MODELS)
def test_chunks_of_a_step_and_of_one_graph_are_the_same(name, masking):
    model = build_model(MODELS[name], masked_loss_weight=0.25).train()
    batch = make_masked_batch(MASKS[masking])
    (expected_log, expected), (log, actual) = (train(model, step, [batch]) for step in (one_graph_step, own_step))
    assert_same_moves(actual, expected)
    assert log.keys() == expected_log.keys() and any(n.startswith('masked.') for n in log) == (masking == 'sum')
    for key, value in expected_log.items():
        torch.testing.assert_close(log[key], value.detach(), rtol=1e-5, atol=1e-6)
        assert not log[key].requires_grad


def test_switch_weights_every_chunk_of_a_masked_clip():
    model = build_model('lvmt').train()
    batch = make_masked_batch(MASKS['switch'])
    logs = []
    for weight in (1.0, 0.25):
        model.masked_loss_weight = weight
        logs.append(train(model, own_step, [batch])[0])
    for key, value in logs[0].items():
        torch.testing.assert_close(logs[1][key], 0.25 * value, rtol=1e-5, atol=1e-6)


def test_passes_begin_anew():
    """The masked pass does not go on with the queries of the clean one."""
    model = build_model('lvmt').train()
    entered = []
    join = model._join_clips
    model._join_clips = lambda frames, num, queries: entered.append(queries is None) or join(frames, num, queries)
    model.train_step(make_masked_batch(MASKS['sum']), optimizer_of(model))
    assert entered == [True, False, False] * 2


@pytest.mark.parametrize('step', [one_graph_step, own_step])
def test_accumulation_counts_iterations_not_chunks(step):
    model = build_model('videomt', propagation=dict(type='GRUPropagation'), chunk_size=2).train()
    batches = [make_masked_batch(), make_masked_batch(MASKS['sum'])]
    _, moves = train(model, step, batches, accumulative_counts=2)
    torch.manual_seed(1)
    for batch in batches:  # without an update between
        losses = model(**model.data_preprocessor(deepcopy(batch), True), mode='loss')
        (sum(losses.values()) / 2).backward()
    gradients = {name: -p.grad for name, p in model.named_parameters()}
    assert_same_moves(moves, gradients)


def test_clipping_sees_the_summed_gradient():
    model = build_model('lvmt').train()
    batch = make_masked_batch()
    _, free = train(model, own_step, [batch])
    _, clipped = train(model, own_step, [batch], clip_grad=dict(max_norm=0.5))
    norm = torch.stack([move.norm() for move in free.values()]).norm()
    assert norm > 0.5
    assert_same_moves(clipped, {name: move * 0.5 / norm for name, move in free.items()})


@pytest.mark.parametrize('settings', [{}, dict(cast_dtype=torch.bfloat16)], ids=['float32', 'bfloat16'])
def test_every_chunk_is_scaled_and_cast(settings):
    model = build_model('lvmt').train()
    dtypes = []
    model.decoder.blocks[0].attn.proj.register_forward_hook(lambda m, args, out: dtypes.append(out.dtype))
    batch = make_masked_batch()
    (expected_log, expected), (log, actual) = (
        train(model, step, [batch], ScaledOptimWrapper, **settings) for step in (one_graph_step, own_step))
    assert set(dtypes) == {settings.get('cast_dtype', torch.float32)}
    torch.testing.assert_close(log['loss'], expected_log['loss'].detach(), rtol=1e-3, atol=0)
    if settings:
        total, expected_total = (torch.cat([m.flatten() for m in moves.values()]) for moves in (actual, expected))
        assert (total - expected_total).norm() <= 0.05 * expected_total.norm()
    else:
        assert_same_moves(actual, expected)


def test_gradients_end_at_the_border_of_a_chunk():
    """Learned queries enter the first chunk only, and a chunk of one frame uses no update of the GRU."""
    model = build_model('lvmt').train()
    data = model.data_preprocessor(make_masked_batch(), True)
    gradients = []
    for chunk in model.chunks(data['inputs']):
        model.zero_grad()
        sum(model(**data, mode='loss', passes=('clean', ), chunk=chunk).values()).backward()
        gradients.append((model.query_embed.weight.grad.clone(), model.propagation.cell.weight_hh.grad.clone()))
    assert [bool(queries.any()) for queries, _ in gradients] == [True, False, False]
    assert [bool(cell.any()) for _, cell in gradients] == [True, True, False]


@pytest.mark.parametrize('chunk_size', [NUM_FRAMES, 100])
def test_a_chunk_as_long_as_the_clip_is_the_clip(chunk_size):
    model = build_model('lvmt', chunk_size=None).train()
    batch = make_masked_batch()
    log, moves = train(model, own_step, [batch])
    model.chunk_size = chunk_size
    chunked_log, chunked_moves = train(model, own_step, [batch])
    assert all(torch.equal(chunked_log[name], value) for name, value in log.items())
    assert all(torch.equal(chunked_moves[name], move) for name, move in moves.items())


@pytest.mark.parametrize('changes, message', [
    (dict(chunk_size=0), 'model.chunk_size must be at least 1.*got 0'),
    (dict(chunk_size=2.5), 'model.chunk_size .*whole number.*got 2.5'),
    (dict(num_queries=0), 'model.num_queries must be at least 1'),
    (dict(propagation=None, matcher=dict(type='HungarianMaskMatcher')),
     '`chunk_size` is .* with `propagation`.*stages.online.model.chunk_size'),
])
def test_chunks_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        build_model('lvmt', **changes)


def test_the_state_survives_copies_by_model_wrappers():
    """Those of mixed precision copy dataclasses among the arguments of ``forward``."""
    chunk = split_frames(4, 2)[0]
    copy = _apply_to_tensors(lambda tensor: tensor, dict(chunk=chunk))['chunk']
    assert dataclasses.is_dataclass(chunk) and copy is not chunk and copy.carried is chunk.carried


def test_memory_is_that_of_one_chunk():
    """Tensors saved for backward: 15 frames in chunks of 5 take those of 5 frames."""
    model = build_model('lvmt', chunk_size=5).train()

    def peak(num_frames, step):
        copy = deepcopy(model)
        batch, optimizer = make_batch(1, num_frames), optimizer_of(copy)
        return peak_of_saved_tensors(lambda: step(copy, batch, optimizer), copy.parameters())

    one_chunk = peak(5, own_step)
    assert peak(15, own_step) < 1.02 * one_chunk
    assert peak(15, one_graph_step) > 2.5 * one_chunk
