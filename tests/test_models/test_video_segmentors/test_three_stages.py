# Copyright (c) The mmvc contributors. All rights reserved.
"""What holds for the model of every stage: it trains its own part, leaves the others alone, and predicts videos."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper

from mmvc.models import BaseVideoSegmentor, DVISOffline, DVISOnline, MinVIS
from mmvc.models.video_segmentors.windows import join_windows
from mmvc.registry import TASK_UTILS
from tests.helpers.golden_utils import load_golden
from tests.helpers.tiny_models import (
    NUM_CLASSES,
    NUM_QUERIES,
    REFINER,
    STAGES,
    build_model,
    make_batch,
    make_video,
    stacked,
)

#: part that a stage trains, and those that it does not
TRAINED = dict(MinVIS=('backbone', 'head'), DVISOnline=('tracker', ), DVISOffline=('refiner', ))
FROZEN = dict(MinVIS=(), DVISOnline=('backbone', 'head'), DVISOffline=('backbone', 'head', 'tracker'))


@pytest.fixture(params=STAGES)
def stage(request):
    return request.param


def optimizer_for(model, lr=1e-3):
    return OptimWrapper(torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05))


def weights_of(model, parts):
    prefixes = tuple(f'{part}.' for part in parts)
    return {key: value.clone() for key, value in model.state_dict().items() if key.startswith(prefixes)}


def test_line_of_descent():
    """One base class, and no model the child of another one."""
    models = (MinVIS, DVISOnline, DVISOffline)
    assert issubclass(BaseVideoSegmentor, BaseModel)
    for model in models:
        assert [other for other in (BaseVideoSegmentor, *models) if issubclass(model, other)] == [
            BaseVideoSegmentor, model]
    assert [model.is_online for model in models] == [True, True, False]


@pytest.mark.parametrize('iteration', [0, 9], ids=['guided', 'unguided'])
def test_one_step_trains_the_stages_part_only(stage, iteration, set_iteration, device):
    # with batch norm that would move, if it were not frozen
    backbone = dict(STAGES[stage]['backbone'], norm_eval=False, norm_cfg=dict(type='BN', requires_grad=True))
    model = build_model(stage, backbone=backbone).to(device).train()
    set_iteration(iteration, 10)
    frozen, trained = weights_of(model, FROZEN[stage]), weights_of(model, TRAINED[stage])
    losses = model.train_step(make_batch(), optimizer_for(model))

    assert losses['loss'].isfinite() and losses['loss'] > 0
    names = {'loss_cls', 'loss_mask', 'loss_dice', 'loss_reid'} | ({'loss_aux_reid'} if stage == 'MinVIS' else set())
    assert {name for name in losses if not name.startswith('d')} == {'loss', *names}
    for key, value in weights_of(model, FROZEN[stage]).items():
        assert torch.equal(value, frozen[key]), key
    moved = [key for key, value in weights_of(model, TRAINED[stage]).items() if not torch.equal(value, trained[key])]
    assert len(moved) > 0.9 * len(trained)
    for part in FROZEN[stage]:
        for parameter in getattr(model, part).parameters():
            assert not parameter.requires_grad and parameter.grad is None


def test_frozen_parts_stay_in_evaluation_mode(stage):
    model = build_model(stage).train()
    modes = {part: {m.training for m in getattr(model, part).modules()} for part in FROZEN[stage] + TRAINED[stage]}
    for part in FROZEN[stage]:
        assert modes[part] == {False}
    for part in set(TRAINED[stage]) - {'backbone'}:  # the backbone's batch norm is fixed by its config
        assert modes[part] == {True}
    assert not any(module.training for module in model.eval().modules())


def test_learns(stage):
    """The loss of a clip falls when it is seen again and again."""
    model = build_model(stage).train()
    optimizer, batch = optimizer_for(model, lr=3e-3), make_batch(1)
    history = [model.train_step(batch, optimizer)['loss'].item() for _ in range(8)]
    assert history[-1] < 0.8 * history[0], history


def test_guidance_ends_at_its_share_of_the_training(set_iteration):
    model = build_model('DVISOnline')
    assert not model.is_guided()  # no training goes on
    set_iteration(4, 10)
    assert model.is_guided()
    set_iteration(5, 10)
    assert not model.is_guided()
    model.guided_fraction = 0.6
    assert model.is_guided()


@pytest.mark.parametrize('name', ['tracker', 'refiner'])
def test_first_half_is_guided(monkeypatch, set_iteration, name):
    """One assignment for both layers, by the frozen part's predictions; then one for each layer, by its own."""
    model = build_model('DVISOnline' if name == 'tracker' else 'DVISOffline').train()
    part, seen = getattr(model, name), []
    assign = part.matcher.assign

    def record(cls_scores, *args, **kwargs):
        seen.append(cls_scores)
        return assign(cls_scores, *args, **kwargs)

    monkeypatch.setattr(part.matcher, 'assign', record)
    batch = model.data_preprocessor(make_batch(), training=True)
    for iteration, calls in ((0, 1), (5, 2)):
        set_iteration(iteration, 10)
        seen.clear()
        model(**batch, mode='loss')
        assert len(seen) == calls
        assert [scores.requires_grad for scores in seen] == [iteration != 0] * calls
    set_iteration(0, 10)
    seen.clear()
    model(**batch, mode='loss')
    with torch.no_grad():
        segmented = model.segment(batch['inputs'])
        out, _ = model.tracker.eval()(segmented['query_embeds'], segmented['query_embeds_no_norm'])
    if name == 'tracker':
        scores, order = segmented['cls_scores'], out['indices']
        expected = scores.gather(2, order[..., None].expand_as(scores))
    else:
        expected = out['cls_scores'].mean(1)
    torch.testing.assert_close(seen[0], expected)


@pytest.mark.parametrize('before, after', [('MinVIS', 'DVISOnline'), ('DVISOnline', 'DVISOffline')])
def test_a_stage_loads_the_one_before(before, after):
    result = build_model(after).load_state_dict(build_model(before).state_dict(), strict=False)
    new, = TRAINED[after]
    assert result.unexpected_keys == []
    assert result.missing_keys and all(key.startswith(f'{new}.') for key in result.missing_keys)


def test_method_adds_no_parameters(stage):
    """Masked Video Consistency is data and a weight; Object Masked Attention is dropped keys."""
    changes = dict(masked_loss_weight=0.5)
    if stage == 'DVISOffline':
        changes['refiner'] = dict(REFINER, cross_attn=dict(type='ObjectMaskedCrossAttention', drop_ratio=0.5))
    model = build_model(stage, **changes)
    model.load_state_dict(build_model(stage).state_dict())  # strict: must not raise


def raw_prediction(model, video):
    """What the model hands to its post-processing."""
    caught = []
    model.postprocessor = lambda prediction, sample: caught.append(prediction)
    model.predict([video], make_video(len(video), tuple(video.shape[-2:])))
    return caught[0]


@pytest.mark.parametrize('num_frames', [1, 7])
def test_prediction_does_not_depend_on_the_windows(stage, num_frames):
    video = torch.randint(256, (num_frames, 3, 50, 70), dtype=torch.uint8)
    model = build_model(stage).eval()
    vss, outputs = model.postprocessor, []
    for window_size in (num_frames, 3, 1):
        model.window_size = window_size
        prediction = raw_prediction(model, video)
        sample, = make_video(num_frames)
        vss(prediction, sample)
        outputs.append((prediction, stacked(sample, 'pred_sem_seg', 'sem_seg')))
    expected, labels = outputs.pop(0)
    assert len(expected) == num_frames
    assert expected.class_probs.shape == (NUM_QUERIES, NUM_CLASSES + 1)
    if stage == 'DVISOffline':
        assert expected.mask_embeds.shape == (num_frames, NUM_QUERIES, 32)
    else:  # masks are known at once
        assert expected.mask_embeds is None and expected.mask_features[0].shape == (NUM_QUERIES, 16, 24)
    assert expected.padded_shape == (64, 96) and expected.img_shape == (50, 70) and expected.ori_shape == (75, 110)
    for prediction, other_labels in outputs:
        torch.testing.assert_close(prediction.class_probs, expected.class_probs, rtol=1e-4, atol=1e-4)
        for masks, expected_masks in zip(prediction.frames(), expected.frames()):
            torch.testing.assert_close(masks, expected_masks, rtol=1e-4, atol=1e-4)
        assert (other_labels != labels).float().mean() < 1e-3


def test_what_is_kept_of_a_video_is_no_view_of_more(stage):
    """A view would hold its whole tensor, such as the embeddings of all layers, to the end of the video."""
    model = build_model(stage).eval()
    with torch.no_grad():
        output, _ = model.process_window(model.data_preprocessor.prepare_frames(torch.zeros(1, 3, 64, 96)))
    features = output.pop('mask_features')
    assert output and len(features[0]) == 1
    for name, value in output.items():
        assert value.untyped_storage().nbytes() == value.numel() * value.element_size(), name


def test_prediction_with_features_on_disk(stage):
    video = torch.randint(256, (4, 3, 50, 70), dtype=torch.uint8)
    model = build_model(stage).eval()
    expected = raw_prediction(model, video)
    assert expected.mask_features.bytes_on_disk == 0
    model.feature_store = dict(memory_limit=0)
    prediction = raw_prediction(model, video)
    assert prediction.mask_features.bytes_in_memory == 0
    for masks, expected_masks in zip(prediction.frames(), expected.frames()):
        assert torch.equal(masks, expected_masks)


def test_a_video_is_taken_window_by_window(stage):
    """So that a file or camera never lies in memory as a whole."""
    model, frames_left = build_model(stage).eval(), []

    def count(module, inputs, output):
        frames_left[-1] -= len(*inputs)

    model.backbone.register_forward_hook(count)

    def windows():
        for _ in range(2):
            frames_left.append(2)
            yield torch.zeros(2, 3, 60, 90, dtype=torch.uint8)
            assert frames_left[-1] == 0  # before the next window is asked for

    assert len(model.predict_video(windows(), (75, 110))) == 4
    assert frames_left == [0, 0]
    with pytest.raises(ValueError, match='without frames'):
        model.predict_video([], (75, 110))


@pytest.mark.parametrize('name', ['MinVIS', 'DVISOnline'])
def test_stream(name):
    """Masks are those of predict(); the class scores of frame t are what predict() gives for the first t frames."""
    model = build_model(name).eval()
    video = torch.randint(256, (7, 3, 50, 70), dtype=torch.uint8)
    expected = raw_prediction(model, video)
    for size in (1, 3, 7):
        seen = []
        model.postprocessor = SimpleNamespace(start_stream=lambda seen=seen: seen.append)
        assert len(list(model.stream(video.split(size), (75, 110)))) == 7
        torch.testing.assert_close(seen[-1].class_probs, expected.class_probs)
        torch.testing.assert_close(seen[2].class_probs, raw_prediction(model, video[:3]).class_probs)
        for prediction, masks in zip(seen, expected.frames()):
            torch.testing.assert_close(next(prediction.frames()), masks, rtol=1e-4, atol=1e-4)


def test_stream_gives_a_frame_before_it_asks_for_the_next():
    model, asked = build_model('DVISOnline').eval(), []

    def windows():
        for index in range(3):
            asked.append(index)
            yield torch.zeros(1, 3, 60, 90, dtype=torch.uint8)

    for index, frame in enumerate(model.stream(windows(), (75, 110))):
        assert asked[-1] == index and frame.pred_sem_seg.sem_seg.shape == (1, 75, 110)


def test_an_offline_model_cannot_stream():
    with pytest.raises(TypeError, match='DVISOffline refines a video as a whole'):
        next(build_model('DVISOffline').stream([], (75, 110)))


@pytest.mark.parametrize('task, field, name, dtype', [
    ('VSSPostprocessor', 'pred_sem_seg', 'sem_seg', torch.uint8),
    ('VPSPostprocessor', 'pred_panoptic_seg', 'panoptic_seg', torch.int32),
    ('VISPostprocessor', 'pred_track_instances', 'masks', torch.bool),
])
def test_test_step(stage, task, field, name, dtype, device):
    """Videos of different sizes and lengths, as mmengine's test loop hands them over."""
    cfg = dict(type=task)
    if task == 'VPSPostprocessor':
        cfg.update(thing_classes=[0, 1], score_threshold=0.1, overlap_threshold=0.1)
    model = build_model(stage).to(device).eval()
    model.postprocessor = TASK_UTILS.build(cfg)
    inputs = [torch.randint(256, (num, 3, *size), dtype=torch.uint8) for num, size in ((4, (60, 90)), (1, (33, 47)))]
    samples = [*make_video(4, (60, 90), (75, 110)), *make_video(1, (33, 47), (20, 31))]
    first, second = model.test_step(dict(inputs=inputs, data_samples=samples))
    for sample, length, size in ((first, 4, (75, 110)), (second, 1, (20, 31))):
        maps = stacked(sample, field, name)
        assert len(maps) == length and maps.shape[-2:] == size
        assert maps.dtype == dtype and maps.device.type == 'cpu' and not maps.requires_grad


def test_validation_changes_nothing(stage):
    model = build_model(stage).eval()
    before = weights_of(model, FROZEN[stage] + TRAINED[stage])
    model.val_step(dict(inputs=[torch.zeros(2, 3, 60, 90, dtype=torch.uint8)], data_samples=make_video(2)))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_unknown_mode():
    with pytest.raises(ValueError, match="'loss', 'predict' or 'tensor', got 'train'"):
        build_model('MinVIS')(torch.zeros(1, 1, 3, 64, 64), mode='train')


@pytest.mark.parametrize('window_size', [1, 3, 4])
def test_minvis_matching_equals_official(data_dir, window_size):
    """Matched frame to frame, logits averaged; the recorded masks are features that the identity decodes."""
    golden = load_golden(data_dir, 'inference')
    segmented = dict(
        cls_scores=golden['minvis_post/inp/pred_logits'],
        query_embeds=golden['minvis_post/inp/pred_embds'].permute(0, 2, 3, 1),
        mask_embeds=torch.eye(12).expand(1, 4, -1, -1),
        mask_features=golden['inp/pred_masks'].transpose(0, 1)[None])
    model, state, outputs = build_model('MinVIS'), None, []
    for values in zip(*(x.split(window_size, 1) for x in segmented.values())):
        output, state = model.track(dict(zip(segmented, values)), state)
        outputs.append(output)
    outputs = join_windows(outputs)
    class_probs, _ = model.finalize(outputs)
    torch.testing.assert_close(class_probs, golden['minvis_post/pred_logits'][0].softmax(-1))
    torch.testing.assert_close(outputs['mask_features'].transpose(1, 2), golden['minvis_post/pred_masks'])
