# Copyright (c) The mmvc contributors. All rights reserved.
"""A whole small DVIS++ model against the official code: 502 weights in, outputs, losses and gradients out."""

import pytest
import torch

from mmvc.models.official_weights import convert_official_weights
from mmvc.registry import TASK_UTILS
from tests.helpers.golden_utils import assert_close, below, bqt_masks, btqc, load_golden
from tests.helpers.tiny_models import build_model, make_sample, make_video, stacked

STAGES = dict(Online='DVISOnline', Offline='DVISOffline')
LOSS_NAMES = dict(
    loss_reid='loss_reid',
    **{f'loss_{ours}': f'loss_{official}' for ours, official in dict(cls='ce', mask='mask', dice='dice').items()},
    **{f'd0.loss_{ours}': f'loss_{official}_0' for ours, official in dict(cls='ce', mask='mask', dice='dice').items()})


@pytest.fixture
def golden(data_dir):
    return load_golden(data_dir, 'e2e_tiny')


@pytest.fixture
def build(golden):
    """Builder of a stage's model with the official weights."""
    weights = convert_official_weights(below(golden, 'sd/')).state_dict

    def build_stage(name):
        model = build_model(STAGES[name])
        own = {key: value for key, value in weights.items() if name == 'Offline' or not key.startswith('refiner.')}
        model.load_state_dict(own)  # strict
        return model

    return build_stage


def test_raw_outputs(golden, build):
    model = build('Offline').eval()
    with torch.no_grad():
        frames = model.data_preprocessor.prepare_frames(golden['inp/images'])
        segmented = model(frames, mode='tensor')
        tracked, _ = model.tracker(segmented['query_embeds'], segmented['query_embeds_no_norm'])
        refined = model.refiner(tracked['query_embeds'], segmented['query_embeds_no_norm'])
    assert_close(segmented['cls_scores'][:, :2], golden['segmenter/pred_logits'])
    assert_close(segmented['query_embeds'][:, :2], btqc(golden['segmenter/pred_embds']))
    assert_close(segmented['query_embeds_no_norm'][:, :2], btqc(golden['segmenter/pred_embds_without_norm']))

    online = below(golden, 'eval/raw/Online/')
    assert_close(tracked['cls_scores'], online['pred_logits'])
    assert_close(tracked['query_embeds'], btqc(online['pred_embds']))
    masks = bqt_masks(tracked['mask_embeds'], model.tracker.project(segmented['mask_features']))
    assert_close(masks, online['pred_masks'])

    offline = below(golden, 'eval/raw/Offline/')
    assert_close(tracked['cls_scores'], offline['online_logits'])
    assert_close(refined['cls_scores'][:, None].expand(-1, 7, -1, -1), offline['pred_logits'])
    assert_close(refined['query_embeds'], btqc(offline['pred_embds']))
    assert_close(bqt_masks(refined['mask_embeds'], segmented['mask_features']), offline['pred_masks'])


def predict(model, golden, postprocessor):
    model.postprocessor = TASK_UTILS.build(postprocessor)
    return model.predict([golden['inp/images']], make_video(7, (60, 90), (75, 110)))[0]


@pytest.mark.parametrize('name', STAGES)
def test_task_outputs(golden, build, name):
    model = build(name).eval()
    sample = predict(model, golden, dict(type='VSSPostprocessor'))
    sem_seg = stacked(sample, 'pred_sem_seg', 'sem_seg')[:, 0]
    assert (sem_seg != golden[f'eval/{name}_vss/pred_masks']).sum() <= 10  # of 57,750

    expected = below(golden, f'eval/{name}_vps/')
    sample = predict(
        model, golden,
        dict(type='VPSPostprocessor', thing_classes=range(6), score_threshold=0.1, overlap_threshold=0.05))
    panoptic_seg = stacked(sample, 'pred_panoptic_seg', 'panoptic_seg')[:, 0]
    assert (panoptic_seg != expected['pred_masks']).sum() <= 10
    segments = {segment['id']: segment for frame in sample for segment in frame.segments_info}
    assert sorted(segments) == expected['segments_infos/id'].tolist()
    for key in ('category_id', 'isthing'):
        assert [segments[i][key] for i in sorted(segments)] == expected[f'segments_infos/{key}'].tolist()

    expected = below(golden, f'eval/{name}_vis/pred_')
    order = expected['scores'].argsort(descending=True)  # official tracks come in no particular order
    sample = predict(model, golden, dict(type='VISPostprocessor'))
    tracks = sample[0].pred_track_instances
    torch.testing.assert_close(tracks.scores.double(), expected['scores'][order], rtol=1e-4, atol=1e-6)
    assert torch.equal(tracks.labels, expected['labels'][order])
    masks = stacked(sample, 'pred_track_instances', 'masks')
    assert (masks != expected['masks'][order].transpose(0, 1)).sum() <= 50  # of 577,500


@pytest.mark.parametrize('half', ['first', 'second'])
@pytest.mark.parametrize('name', STAGES)
def test_losses_and_gradients(golden, build, replay_rand, set_iteration, monkeypatch, name, half):
    expected = below(golden, f'train/{name}_{half}_half/')
    model = build(name).train()
    trained = model.tracker if name == 'Online' else model.refiner
    assigned, assign, reid_loss = [], trained.matcher.assign, trained.reid_loss.forward

    def record(*args, **kwargs):
        assigned.append(assign(*args, **kwargs))
        return assigned[-1]

    monkeypatch.setattr(trained.matcher, 'assign', record)
    if half == 'second':
        # the official contrastive loss takes the indices of the last layer matched, an auxiliary one; ours does not
        monkeypatch.setattr(trained.reid_loss, 'forward',
                            lambda embeds, indices, *args: reid_loss(embeds, assigned[-1], *args))

    sample = make_sample(golden['inp/gt_labels'], golden['inp/gt_masks'].numpy())
    batch = model.data_preprocessor(dict(inputs=[golden['inp/images'][:5]], data_samples=[sample]), training=True)
    set_iteration(0 if half == 'first' else 5, 10)
    draws = below(expected, 'draws/')
    left = replay_rand([draws[str(i)] for i in range(len(draws))])
    losses = model(**batch, mode='loss')
    assert not left

    queries, objects = assigned[-1][0]
    by_object = dict(zip(expected['indices/0/tgt'].tolist(), expected['indices/0/src'].tolist()))
    rows = [0, 2, 3, 1]  # our targets are ordered by first appearance
    assert {rows[gt]: query for query, gt in zip(queries.tolist(), objects.tolist())} == by_object
    assert losses.keys() == LOSS_NAMES.keys()
    for ours, official in LOSS_NAMES.items():
        assert losses[ours].item() == pytest.approx(expected[f'weighted_losses/{official}'].item(), rel=1e-4), ours

    total = sum(losses.values())
    assert total.item() == pytest.approx(expected['total'].item(), rel=1e-4)
    total.backward()
    here = convert_official_weights(below(golden, 'sd/')).renamed
    norms = {here[key]: norm.item() for key, norm in below(expected, 'grad_norm/').items()}
    largest = max(norms.values())
    for key, parameter in model.named_parameters():
        if key not in norms:
            assert parameter.grad is None, key
        else:
            assert parameter.grad.norm().item() == pytest.approx(norms.pop(key), rel=1e-4, abs=1e-6 * largest), key
    assert not norms
