# Copyright (c) The mmvc contributors. All rights reserved.
"""VidEoMT, PMT and LVMT against the numbers of their official code."""

import numpy as np
import pytest
import torch

from mmvc.models.layers.rotary_position import RotaryPosition
from mmvc.models.video_segmentors import encoder_only
from mmvc.models.video_segmentors.two_passes import split_frames
from tests.helpers.encoder_only_goldens import (
    EVAL,
    LOSS,
    MEAN,
    MODEL_NAMES,
    STATE,
    STD,
    TRAIN,
    TRAIN_STATE,
    Golden,
)
from tests.helpers.golden_utils import assert_close, below


@pytest.fixture
def golden(data_dir, request):
    return Golden(data_dir, request.param)


@pytest.fixture
def replay_scales(monkeypatch):
    """Replay recorded scales of rotary positions, one per draw."""

    def replay(scales):
        left = list(scales)
        monkeypatch.setattr(RotaryPosition, 'draw_log_rescale', lambda self, device: left.pop(0))
        return left

    return replay


@pytest.fixture
def keep_targets(monkeypatch):
    """Leave targets as they are: those of the recorded steps are the input of the official criterion."""
    monkeypatch.setattr(encoder_only, 'official_targets', lambda targets, *_: targets)


for_all_models = pytest.mark.parametrize('golden', MODEL_NAMES, indirect=True)
for_lvmt = pytest.mark.parametrize('golden', ['lvmt_dinov2', 'lvmt_dinov3'], indirect=True)


@for_all_models
@torch.no_grad()
def test_evaluation(golden):
    model = golden.build()
    for key in ('a', 'b', 'c', 'sq'):
        if f'in/{key}' not in golden:
            continue
        out = model.segment(golden.frames(key))
        assert_close(out['cls_scores'], golden[f'eval/{key}/pred_logits'], EVAL, key)
        assert_close(out['mask_preds'].transpose(1, 2), golden[f'eval/{key}/pred_masks'], EVAL, key)


@for_all_models
@torch.no_grad()
def test_tokens_and_levels(golden):
    model = golden.build()
    images = golden.frames('a')[0]
    encoded = model.decoder.encode(model.encoder, images)
    frames = model.decoder.tokens(model.encoder, encoded, (4, 6))
    assert_close(frames.tokens, golden['eval/a/tokens'], 1e-5)
    if 'eval/a/levels_frame0' in golden:
        levels = [norm(level[0]) for norm, level in zip(model.decoder.level_norms, encoded)]
        assert_close(torch.stack(levels), golden['eval/a/levels_frame0'], 1e-5)


@for_all_models
@torch.no_grad()
def test_state_frame_by_frame(golden):
    """Each frame by itself, with the state of the frame before: outputs and states of the whole clip."""
    model, state = golden.build(), None
    for t, frame in enumerate(golden.frames('a').split(1, dim=1)):
        out, state = model.process_window(frame, state)
        assert_close(out['cls_scores'][:, 0], golden['eval/a/pred_logits'][:, t], EVAL)
        assert_close(out['mask_features'][:, 0], golden['eval/a/pred_masks'][:, :, t], EVAL)
        assert_close(state[0], golden['eval/a/state'][t], STATE)


@for_all_models
@torch.no_grad()
def test_given_state(golden):
    model = golden.build()
    out, state = model.process_window(golden.frames('a')[:, :2], golden['in/state'])
    expected = 'eval/a/given_state'
    assert_close(out['cls_scores'], golden[f'{expected}/pred_logits'], EVAL)
    assert_close(out['mask_features'].transpose(1, 2), golden[f'{expected}/pred_masks'], EVAL)
    assert_close(state[0], golden[f'{expected}/state'], STATE)


@pytest.mark.parametrize('golden', ['videomt_dinov3'], indirect=True)
@torch.no_grad()
def test_normalised_queries(golden):
    model = golden.build(decoder=dict(norm_queries=True))
    out, state = model.process_window(golden.frames('a'))
    assert_close(out['cls_scores'], golden['normq/eval/a/pred_logits'], EVAL)
    assert_close(out['mask_features'].transpose(1, 2), golden['normq/eval/a/pred_masks'], EVAL)
    assert_close(state[0], golden['normq/eval/a/state'][-1], STATE)


def training_outputs(model, clip, queries=None):
    """Class and mask logits before every block and after the last one, and the state, all (T, ...)."""
    log_rescale = model._draw_log_rescale(clip.device)
    frames = model._tokens(model._run_encoder(clip[0], log_rescale), clip, log_rescale)
    joined, entering, state = model._join_clips(frames, clip.shape[1], queries)
    predictions = [model._predict(tokens, frames.grid, model._norms_aux) for tokens in entering]
    return [*predictions, model._predict(joined, frames.grid, True)], state


def mean_of_squares(predictions):
    return sum(output.square().mean() for prediction in predictions for output in prediction)


@pytest.mark.parametrize(
    ('golden', 'prefix', 'decoder'),
    [*((name, '', {}) for name in MODEL_NAMES), ('videomt_dinov3', 'normq/', dict(norm_queries=True))],
    indirect=['golden'])
def test_training_outputs_and_gradients(golden, prefix, decoder, replay_scales):
    model, part = golden.build(decoder=decoder, official_quirks=True).train(), f'{prefix}train'
    left = replay_scales([golden[key] for key in [f'{part}/rope_log_rescale'] if key in golden])
    predictions, state = training_outputs(model, golden.frames('a'))
    assert not left
    for name, (cls_scores, masks) in zip(['aux0', 'aux1', 'aux2', 'final'], predictions, strict=True):
        at = part if name == 'final' else f'{part}/{name}'
        if f'{at}/pred_logits' in golden:
            assert_close(cls_scores[None], golden[f'{at}/pred_logits'], TRAIN, name)
            assert_close(masks.transpose(0, 1)[None], golden[f'{at}/pred_masks'], TRAIN, name)
    assert_close(state[0], golden[f'{part}/state'], TRAIN_STATE)
    loss = mean_of_squares(predictions)
    assert_close(loss, golden[f'{part}/loss'], 1e-5)
    loss.backward()
    golden.check_gradients(model, part)
    golden.check_statistics(model, part)


@for_all_models
def test_training_step(golden, replay_rand, replay_scales, keep_targets):
    model = golden.build(official_quirks=True).train()
    points, scales = golden.draws('step')
    left = replay_rand(points), replay_scales(scales)
    losses = model.loss(golden.step_frames('a'), [golden.sample('step', 5)])
    assert len(left[0]) == len(points) // 4 and not left[1]  # the official code also matches the last auxiliary layer
    expected = golden.losses('step')
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=LOSS, atol=0)
    total = sum(losses.values())
    assert_close(total, golden['step/total'], LOSS)
    total.backward()
    golden.check_gradients(model, 'step')
    golden.check_statistics(model, 'step')


@for_lvmt
def test_gradients_of_chunks(golden, replay_scales):
    """Two chunks with a backward each: outputs, state, and the gradients summed up to each of them."""
    model = golden.build(official_quirks=True).train()
    replay_scales(golden['tqp_squares/rope_log_rescale'][:, None])
    state = None
    for m, chunk in enumerate(golden.frames('clip').split(3, dim=1)):
        predictions, state = training_outputs(model, chunk, state)
        loss = mean_of_squares(predictions)
        assert_close(loss, golden[f'tqp_squares/chunk{m}/loss'], 1e-5)
        (loss / 2).backward()
        state = state.detach()
        assert_close(state[0], golden[f'tqp_squares/chunk{m}/state'], TRAIN_STATE)
        golden.check_gradients(model, f'tqp_squares/chunk{m}')
    golden.check_statistics(model, 'tqp_squares')


@for_lvmt
def test_step_in_chunks(golden, replay_rand, replay_scales, keep_targets):
    """Losses, gradients, statistics and state of a training step of two chunks."""
    model = golden.build(official_quirks=True, chunk_size=3).train()
    points, scales = golden.draws('tqp_step')
    # without those of the last auxiliary layer of each chunk
    points = without_last_layer(points, num_layers=4)
    left = replay_rand(points), replay_scales(scales)
    inputs, samples = golden.step_frames('clip'), [golden.sample('tqp', 6)]
    losses = {}
    chunks = split_frames(6, 3)
    for chunk in chunks:
        part = model.loss(inputs, samples, passes=('clean', ), chunk=chunk)
        sum(part.values()).backward()
        for name, value in part.items():
            losses[name] = losses.get(name, 0) + value.detach()
    assert not left[0] and not left[1]
    expected = golden.losses('tqp_step')
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=LOSS, atol=0)
    assert_close(chunks[0].carried.queries[0], golden['tqp_step/state'], TRAIN_STATE)
    golden.check_gradients(model, 'tqp_step')
    golden.check_statistics(model, 'tqp_step')


def without_last_layer(points, num_layers):
    """Points of matching and losses without those of the last layer of each chunk.

    A layer draws one tensor (1, P, 2) for each frame that shows new objects, then two (n, ., 2) for the losses.
    """
    kept, layer, num_losses = [], 0, 0
    for value in points:
        if layer < num_layers - 1:
            kept.append(value)
        num_losses += value.shape[0] > 1
        if num_losses == 2:
            layer, num_losses = (layer + 1) % num_layers, 0
    return kept


TASKS = dict(
    vss=dict(type='VSSPostprocessor'),
    vis=dict(type='VISPostprocessor', max_per_video=10),
    vps=dict(type='VPSPostprocessor', thing_classes=range(3), score_threshold=0.25, overlap_threshold=0.3))


@pytest.mark.parametrize('task', TASKS)
@for_all_models
def test_uint8_frames_in_task_outputs_out(golden, task):
    """Normalising, padding, segmenting frame by frame, cropping, resizing and deciding. Few pixels may differ."""
    model = golden.build(
        postprocessor=TASKS[task],
        data_preprocessor=dict(
            type='VideoSegDataPreprocessor', mean=MEAN, std=STD, bgr_to_rgb=False, pad_size_divisor=32))
    prediction = model.predict_video(golden['in/raw'].split(1), tuple(golden.meta['output_size']))
    frames = list(model.postprocessor.frames(prediction))
    recorded = below(golden.values, f'full/{task}/')
    if task == 'vss':
        labels = torch.cat([torch.as_tensor(frame.pred_sem_seg.sem_seg) for frame in frames])
        assert (labels != recorded['labels']).float().mean() < 0.005
    elif task == 'vps':
        segments = torch.cat([torch.as_tensor(frame.pred_panoptic_seg.panoptic_seg) for frame in frames])
        assert (segments != recorded['segments']).float().mean() < 0.005
        rows = {(s['id'], s['category_id'], int(s['isthing'])) for frame in frames for s in frame.segments_info}
        assert sorted(rows) == [tuple(row) for row in recorded['infos'].tolist()]
    else:
        width = golden.meta['output_size'][1]
        masks = torch.from_numpy(np.unpackbits(recorded['masks'].numpy(), axis=-1)[..., :width])
        for t, frame in enumerate(frames):
            tracks = frame.pred_track_instances
            assert torch.equal(torch.as_tensor(tracks.labels), recorded['labels'])
            torch.testing.assert_close(torch.as_tensor(tracks.scores), recorded['scores'])
            assert (torch.as_tensor(tracks.masks) != masks[:, t].bool()).float().mean() < 0.005
