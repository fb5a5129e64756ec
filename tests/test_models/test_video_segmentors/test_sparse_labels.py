# Copyright (c) The mmvc contributors. All rights reserved.
"""Losses of clips of which only some frames are labelled: those of the labelled frames, seen in the whole clip."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper

from mmvc.models.video_segmentors import clip_parts
from mmvc.utils.errors import UsageError
from tests.helpers import tiny_encoder_only
from tests.helpers.masked_clips import mask_clips
from tests.helpers.sparse_labels import cut_batch, hide_batch
from tests.helpers.tiny_models import NUM_QUERIES, build_model, make_batch, randomize_constants, repeatable_rand

SIZE = (40, 56)
EMPTY_WEIGHT = 0.1  # of the empty class in the class loss


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
    np.random.seed(0)


def losses_of(model, batch, **options):
    """Losses of a batch. The model draws the same random numbers in every call."""
    model = deepcopy(model)
    data = model.data_preprocessor(deepcopy(batch), True)
    torch.manual_seed(5)
    return model.loss(**data, **options)


def assert_same(losses, expected):
    assert losses.keys() == expected.keys()
    for name, value in losses.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6, msg=f'{name}: {{}}'.format)


def without_context(model):
    """Let each frame of tracker and refiner see only itself, and the classes of a clip be those of its first query."""

    def track(query_embeds, query_embeds_no_norm, state=None, aux=False):
        tracker, x = model.tracker, query_embeds_no_norm
        prediction = tracker._predict(x, query_embeds)
        order = torch.arange(x.shape[2]).expand(x.shape[:3])
        return dict(cls_scores=prediction[0], mask_embeds=prediction[1], query_embeds=x, references=query_embeds,
                    indices=order, aux=[prediction] if aux else []), None

    def refine(track_embeds, frame_embeds, empty_scores=None, aux=False):
        refiner = model.refiner
        classes = refiner.cls_embed(refiner.post_norm.weight.expand(len(track_embeds), track_embeds.shape[2], -1))
        prediction = classes, refiner.mask_embed(track_embeds)
        return dict(cls_scores=classes, mask_embeds=prediction[1], query_embeds=track_embeds,
                    aux=[prediction] if aux else [])

    model.tracker.forward = track
    if hasattr(model, 'refiner'):
        model.refiner.forward = refine
    return model


MODELS = dict(
    segmenter=lambda: build_model('MinVIS'),
    tracker=lambda: without_context(build_model('DVISOnline')),
    refiner=lambda: without_context(build_model('DVISOffline')),
    videomt_images=lambda: tiny_encoder_only.build_model(tiny_encoder_only.image_stage('videomt')),
    pmt_images=lambda: tiny_encoder_only.build_model(tiny_encoder_only.image_stage('pmt')))


def build(kind):
    return randomize_constants(MODELS[kind]()).train()


@pytest.mark.parametrize('guided', [False, True])
@pytest.mark.parametrize('kind', MODELS)
@pytest.mark.parametrize('labelled', [([1], [3]), ([0, 3], [1, 2]), ([0, 1, 3], [1, 2, 3])])
def test_without_temporal_context_losses_are_those_of_the_labelled_frames(kind, labelled, guided, monkeypatch):
    model, batch = build(kind), make_batch(2, 4, SIZE)
    monkeypatch.setattr(type(model), 'is_guided', lambda self: guided, raising=False)
    losses = losses_of(model, hide_batch(batch, labelled))
    assert all(value.isfinite() for value in losses.values())
    assert_same(losses, losses_of(model, cut_batch(batch, labelled)))
    assert any(abs(value - losses_of(model, batch)[name]) > 1e-4 for name, value in losses.items())


@pytest.mark.parametrize('kind', ['segmenter', 'tracker', 'refiner'])
def test_clips_with_different_numbers_of_labelled_frames(kind, monkeypatch):
    """Each loss is the mean over the masks, queries or items of both clips."""
    monkeypatch.setattr(torch, 'rand', repeatable_rand)  # points do not depend on the number of masks
    model, batch, labelled = build(kind), make_batch(2, 4, SIZE), ([1, 3], [1, 2, 3])  # all three objects in each
    losses = losses_of(model, hide_batch(batch, labelled))
    clips = [dict(inputs=[clip], data_samples=[sample]) for clip, sample in zip(*batch.values())]
    parts = [losses_of(model, cut_batch(clip, [frames])) for clip, frames in zip(clips, labelled)]
    for name, loss in losses.items():
        counts = [_count(kind, name.rpartition('.')[2], len(frames)) for frames in labelled]
        expected = sum(part[name] * count for part, count in zip(parts, counts)) / sum(counts)
        torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5, msg=f'{name}: {{}}'.format)


def _count(kind, name, num_frames):
    """Divisor of a loss of a clip of three objects, which all are in every labelled frame."""
    objects = 3
    if 'reid' in name:
        steps = dict(segmenter=num_frames - 1, tracker=2 * num_frames - 3, refiner=num_frames)
        return objects * steps[kind]
    per_sample = objects + EMPTY_WEIGHT * (NUM_QUERIES - objects) if name == 'loss_cls' else objects
    return per_sample if kind == 'refiner' else per_sample * num_frames


@pytest.mark.parametrize('build_causal', [
    pytest.param(lambda: build_model('DVISOnline'), id='tracker'),
    *(pytest.param(lambda kind=kind: tiny_encoder_only.build_model(kind), id=kind) for kind in ('videomt', 'pmt'))])
def test_later_context_changes_nothing_in_a_causal_model(build_causal):
    """Frames after the labelled ones cannot reach them, so the losses are those of the clip without them."""
    model, batch = randomize_constants(build_causal()).train(), make_batch(2, 4, SIZE)
    for norm in (module for module in model.modules() if isinstance(module, torch.nn.BatchNorm1d)):
        norm.eval()  # the statistics of a batch are of all its frames
    losses = losses_of(model, hide_batch(batch, [[0, 1]] * 2))
    assert_same(losses, losses_of(model, cut_batch(batch, [[0, 1]] * 2)))


@pytest.mark.parametrize('build_any', [
    pytest.param(lambda: build_model('DVISOffline'), id='refiner'),
    *(pytest.param(lambda kind=kind: tiny_encoder_only.build_model(kind), id=kind) for kind in ('videomt', 'pmt'))])
def test_earlier_context_changes_the_losses_of_labelled_frames(build_any):
    model, batch = randomize_constants(build_any()).train(), make_batch(1, 4, SIZE)
    hidden = hide_batch(batch, [[3]])
    losses = losses_of(model, hidden)
    hidden['inputs'][0][0] = 255 - hidden['inputs'][0][0]
    other = losses_of(model, hidden)
    assert any(abs(value - other[name]) > 1e-5 for name, value in losses.items())


@pytest.mark.parametrize('stage', ['DVISOnline', 'DVISOffline'])
def test_gradients_reach_the_context_and_not_its_predictions(stage):
    """The embeddings of a frame without labels learn through time; its own masks and classes have no loss."""
    model = randomize_constants(build_model(stage)).train()
    data = model.data_preprocessor(hide_batch(make_batch(1, 4, SIZE), [[3]]), True)
    with torch.no_grad():
        segmented = model.segment(data['inputs'])
    segmented = {name: value.clone().requires_grad_() for name, value in segmented.items()}
    model.segment = lambda inputs: segmented
    if stage == 'DVISOffline':
        tracked, _ = model.tracker(segmented['query_embeds'], segmented['query_embeds_no_norm'])
        tracked = {name: value.detach().requires_grad_() for name, value in tracked.items() if name != 'indices'
                   and isinstance(value, torch.Tensor)}
        model.tracker.forward = lambda *args, **kwargs: (tracked, None)
        context = tracked['query_embeds']
    else:
        context = segmented['query_embeds_no_norm']
    losses = _loss_with_graph(model, data)
    sum(losses.values()).backward()
    assert all(context.grad[0, t].abs().max() > 0 for t in range(4))
    assert segmented['mask_features'].grad[0, :3].abs().max() == 0
    assert segmented['mask_features'].grad[0, 3].abs().max() > 0


def _loss_with_graph(model, data):
    """Losses of a stage whose frozen parts are computed already, with gradients of what they gave."""
    no_grad, torch.no_grad = torch.no_grad, torch.enable_grad
    try:
        return model.stage_loss(data['inputs'], data['data_samples'], torch.ones(len(data['inputs'])))
    finally:
        torch.no_grad = no_grad


@pytest.mark.parametrize('kind', ['DVISOnline', 'DVISOffline', 'MinVIS', 'videomt', 'lvmt'])
@pytest.mark.parametrize('mode', [None, 'switch', 'sum'])
def test_a_step_with_masking(kind, mode):
    """Masked Video Consistency works as with all labels; parameters learn."""
    model = tiny_encoder_only.build_model(kind) if kind in tiny_encoder_only.KINDS else build_model(kind)
    model = randomize_constants(model).train()
    batch = hide_batch(make_batch(2, 4, SIZE), [[1], [0, 3]])
    if mode is not None:
        batch = mask_clips(batch, [dict(type='TubeMask', mode=mode, patch_size=16,
                                        **({} if mode == 'sum' else dict(prob=1.0)))] * 2)
    trained = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    optimizer = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3))
    log = model.train_step(batch, optimizer)
    assert all(torch.as_tensor(value).isfinite() for value in log.values())
    assert ('masked.loss_cls' in log) == (mode == 'sum')
    moved = [name for name, p in model.named_parameters() if name in trained and not p.equal(trained[name])]
    assert len(moved) > 0.5 * len(trained)


class TestChunks:
    """Truncated query propagation: a chunk counts by its labelled frames."""

    def test_a_chunk_without_labels_has_no_loss(self):
        model, batch = tiny_encoder_only.build_model('lvmt').train(), make_batch(2, 4, SIZE)
        losses = losses_of(model, hide_batch(batch, [[0], [1]]))
        assert_same(losses, losses_of(model, hide_batch(cut_batch(batch, [[0, 1]] * 2), [[0], [1]])))

    def test_weights_of_chunks(self):
        """Of 1 + 2 labelled frames, the chunks have the weights 1/3 and 2/3."""
        model, batch = tiny_encoder_only.build_model('lvmt').train(), make_batch(1, 4, SIZE)
        data = model.data_preprocessor(hide_batch(batch, [[1, 2, 3]]), True)
        torch.manual_seed(5)
        total = model.loss(**deepcopy(data))
        torch.manual_seed(5)
        parts = []
        for chunk in model.chunks(data['inputs']):
            samples = [clip_parts.select_frames(sample, chunk.frames) for sample in data['data_samples']]
            parts.append(model.stage_loss(data['inputs'][:, chunk.frames], samples, torch.ones(1), chunk.carried))
        assert_same(total, {name: parts[0][name] / 3 + parts[1][name] * 2 / 3 for name in total})

    def test_ranks_agree_on_the_weights(self, monkeypatch):
        """Another rank has 3 labelled frames in the chunk, and 5 in all."""
        monkeypatch.setattr(clip_parts, 'get_world_size', lambda: 2)
        monkeypatch.setattr(clip_parts, 'all_reduce', lambda total: total.add_(torch.tensor([3., 5.])))
        clips = hide_batch(make_batch(2, 4, SIZE), [[0], [1, 2]])['data_samples']
        parts = [clip_parts.select_frames(clip, slice(0, 2)) for clip in clips]
        assert clip_parts.share_of_labels(parts, clips, torch.device('cpu')) == (2 + 3) / (3 + 5)

    def test_backward_through_a_chunk_without_labels(self):
        """Every parameter has a gradient, which distributed training waits for."""
        model, batch = tiny_encoder_only.build_model('lvmt').train(), make_batch(1, 4, SIZE)
        data = model.data_preprocessor(hide_batch(batch, [[3]]), True)
        first = model.chunks(data['inputs'])[0]
        losses = model.loss(**data, passes=('clean', ), chunk=first)
        assert all(value == 0 for value in losses.values())
        sum(losses.values()).backward()
        assert all(p.grad is not None and p.grad.abs().max() == 0 for p in model.parameters() if p.requires_grad)


def test_official_quirks_have_no_rule_for_sparse_labels():
    model = tiny_encoder_only.build_model('videomt', official_quirks=True).train()
    with pytest.raises(UsageError, match='official_quirks=False'):
        losses_of(model, hide_batch(make_batch(1, 3, SIZE), [[0]]))


def test_a_clip_without_any_labelled_frame_is_refused():
    model = build_model('MinVIS')
    batch = hide_batch(make_batch(2, 3, SIZE, metainfo=[dict(video_id='left'), dict(video_id='right')]), [[0], []])
    with pytest.raises(UsageError, match='video "right" has no labelled frame.*SampleClip'):
        model.data_preprocessor(batch, True)
