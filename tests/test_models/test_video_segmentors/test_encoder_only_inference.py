# Copyright (c) The mmvc contributors. All rights reserved.
"""Videos and streams with VidEoMT, PMT and LVMT: scores, identities, the state, half precision."""

import pytest
import torch
from torch import nn

from mmvc.models.cpu.inference import CPUInference
from tests.helpers.encoder_only_models import tiny_video_model, vivid_video_model
from tests.helpers.tiny_encoder_only import build_model, image_stage

METHODS = ('VidEoMT', 'PMT', 'LVMT')
SIZE = (50, 70)
FINAL = (60, 84)


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.fixture
def video():
    """Uint8 frames whose content moves, (6, 3, 50, 70)."""
    noise = torch.randint(256, (3, 50, 100), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return torch.stack([noise[..., 5 * t:5 * t + 70] for t in range(6)])


def raw_outputs(model, video):
    """Class logits (T, Q, K + 1) and mask logits (T, Q, h, w), of all frames in one call."""
    with torch.no_grad():
        out = model.segment(model.data_preprocessor.prepare_frames(video))
    return out['cls_scores'][0], out['mask_preds'][0]


@pytest.mark.parametrize('window_size', [1, 4, 6])
def test_a_video_is_scored_as_a_whole(method, video, window_size):
    """Class probabilities are those of the mean logits, however the video is cut."""
    model = vivid_video_model(tiny_video_model(method))
    cls_scores, masks = raw_outputs(model, video)
    prediction = model.predict_video(video.split(window_size), FINAL)
    torch.testing.assert_close(prediction.class_probs, cls_scores.mean(dim=0).softmax(dim=-1), rtol=1e-3, atol=1e-5)
    kept = torch.stack(list(prediction.mask_features))
    assert (kept - masks).abs().max() <= 1e-4 * masks.abs().max()
    assert cls_scores.std(dim=0).max() > 0.01  # or the mean would be any frame's


def test_a_stream_scores_the_frames_so_far(method, video):
    model = vivid_video_model(tiny_video_model(method, 'vis'))
    cls_scores, _ = raw_outputs(model, video)
    for t, frame in enumerate(model.stream(video.split(1), FINAL)):
        scores = cls_scores[:t + 1].mean(dim=0).softmax(dim=-1)[:, :-1].flatten().topk(5).values
        torch.testing.assert_close(frame.pred_track_instances.scores, scores, rtol=1e-3, atol=1e-5)


def test_tracks_are_queries(method, video):
    """A track id of a stream is the query, whose mask it shows in every frame; so is a track of a whole video."""
    model = vivid_video_model(tiny_video_model(method, 'vis'))
    prediction = model.predict_video([video], FINAL)
    masks = torch.stack(list(prediction.frames(probabilities=False))) > 0  # (T, Q, H, W)
    shown = set()
    for expected, frame in zip(masks, model.stream(video.split(1), FINAL)):
        tracks = frame.pred_track_instances
        queries = tracks.instances_ids % 7
        shown.update(queries.tolist())
        assert (tracks.masks != expected[queries]).float().mean() < 1e-3
    assert len(shown) > 1 and masks.any()
    probabilities = prediction.class_probs[:, :-1]
    for t, frame in enumerate(model.postprocessor.frames(prediction)):
        tracks = frame.pred_track_instances
        for mask, score, label in zip(tracks.masks, tracks.scores, tracks.labels):
            query = (probabilities[:, label] - score).abs().argmin()
            assert torch.equal(mask, masks[t, query])


def test_the_last_frame_of_a_stream_is_that_of_the_video(method, video):
    model = vivid_video_model(tiny_video_model(method))
    whole = list(model.postprocessor.frames(model.predict_video([video], FINAL)))[-1]
    streamed = list(model.stream(video.split(1), FINAL))[-1]
    assert (whole.pred_sem_seg.sem_seg != streamed.pred_sem_seg.sem_seg).float().mean() < 1e-3
    assert len(whole.pred_sem_seg.sem_seg.unique()) > 1


def test_the_state_is_one_tensor(method, video):
    """Of the size of the queries, without anything else in its storage, and independent of the frames before."""
    model = vivid_video_model(tiny_video_model(method))
    frames, state = model.data_preprocessor.prepare_frames(video), None
    for frame in frames.split(1, dim=1):
        with torch.no_grad(), CPUInference():
            output, state = model.process_window(frame, state)
        assert state.shape == (1, 7, 32) and state.untyped_storage().nbytes() == 4 * 7 * 32
        for value in output.values():
            assert value.untyped_storage().nbytes() == 4 * value.numel()


def test_every_video_begins_anew(method, video):
    model = vivid_video_model(tiny_video_model(method))
    first = model.predict_video([video], FINAL).class_probs
    model.predict_video([255 - video], FINAL)
    assert torch.equal(model.predict_video([video], FINAL).class_probs, first)


def test_a_state_of_another_batch_is_refused(method, video):
    model = vivid_video_model(tiny_video_model(method))
    frames = model.data_preprocessor.prepare_frames(video[:1])
    with torch.no_grad(), pytest.raises(ValueError, match=r'2, 7, 32.*1, 7, 32'):
        model.process_window(frames, torch.zeros(2, 7, 32))


def test_half_precision(method, video):
    """Bfloat16 changes logits by a percent; the queries that go on stay in float32, so that errors do not add up."""
    model = vivid_video_model(tiny_video_model(method))
    expected = raw_outputs(model, video)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = raw_outputs(model, video)
        _, state = model.process_window(model.data_preprocessor.prepare_frames(video[:1]))
    for ours, theirs in zip(found, expected):
        assert ours.dtype == torch.bfloat16 and (ours - theirs).norm() < 0.03 * theirs.norm()
    assert state.dtype == torch.float32


def test_what_is_compiled(method, monkeypatch):
    """Every block and the head, once each."""
    model, compiled = vivid_video_model(tiny_video_model(method)), []
    monkeypatch.setattr(nn.Module, 'compile', lambda module: compiled.append(module))
    model.optimize_for_inference()
    assert not compiled
    model.optimize_for_inference(compile=True)
    blocks = [*model.encoder.blocks, *([] if method == 'VidEoMT' else model.decoder.blocks), model.head]
    assert len(compiled) == len(blocks) and {*map(id, compiled)} == {*map(id, blocks)}


@pytest.mark.parametrize('config', ['lvmt', image_stage('lvmt')], ids=['video', 'images'])
def test_a_state_of_another_batch_or_model_is_refused(config):
    model, frames = build_model(config).eval(), torch.randn(1, 1, 3, 64, 96)
    with torch.no_grad():
        _, state = model.process_window(frames)
        model.process_window(torch.randn(1, 1, 3, 32, 64), state)  # another frame size is allowed
        for other in (state.repeat(2, 1, 1), state[:, 1:], state[..., 1:], state[0]):
            with pytest.raises(ValueError, match='the state has the shape .* another batch or model'):
                model.process_window(frames, other)
