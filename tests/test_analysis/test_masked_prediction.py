# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np
import pytest
import torch

from mmvc.analysis.browsing import PatchMasking
from mmvc.analysis.masked_prediction import MaskedPrediction, MaskedVideo, mask_inputs, summarize
from mmvc.engine.ground_truth import GroundTruth
from mmvc.evaluation.functional import ConfusionMatrix, semantic_scores
from mmvc.registry import DATASETS
from mmvc.visualization import PanelDrawer, hide_pixels
from tests.helpers.synthetic_sets import NUM_FRAMES, SIZE, dataset_cfg, whole_pipeline
from tests.helpers.tiny_encoder_only import build_model as encoder_only
from tests.helpers.tiny_models import build_model, make_video, randomize_constants

POSTPROCESSORS = dict(
    vss=dict(type='VSSPostprocessor'),
    vps=dict(type='VPSPostprocessor', thing_classes=[4, 5, 6, 7, 8, 9], score_threshold=0., overlap_threshold=0.),
    vis=dict(type='VISPostprocessor'))


@pytest.mark.parametrize('tube', [False, True])
def test_hidden_patches_are_zero_at_the_backbone(tube):
    model = randomize_constants(build_model('MinVIS', window_size=2)).eval()
    seen = []
    model.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    video = torch.randint(256, (3, 3, 60, 90), dtype=torch.uint8)
    model.predict([video], make_video(3))
    clean = torch.cat(seen)
    seen.clear()
    model.backbone._forward_pre_hooks.clear()
    np.random.seed(0)
    with mask_inputs(model, PatchMasking(16, 0.5, tube)) as hidden:
        model.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
        model.predict([video], make_video(3))
    masked = torch.cat(seen)
    assert len(hidden) == 3 and hidden[0].shape == (64, 96)
    pixels = torch.from_numpy(np.stack(hidden))[:, None].expand_as(masked)
    assert not masked[pixels].any() and masked[~pixels].equal(clean[~pixels]) and 0.2 < pixels.float().mean() < 0.8
    assert (hidden[0] == hidden[2]).all() == tube
    seen.clear()
    model.predict([video], make_video(3))
    assert torch.cat(seen).equal(clean)  # nothing is hidden afterwards


@pytest.mark.parametrize('kind', ['videomt', 'lvmt'])
def test_encoder_only_models_see_masked_frames_too(kind):
    model = encoder_only(kind, window_size=2).eval()
    seen = []
    model.encoder.patch_embed.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    with mask_inputs(model, PatchMasking(16, 0.5)) as hidden:
        model.predict([torch.randint(256, (3, 3, 60, 90), dtype=torch.uint8)], make_video(3))
    pixels = torch.from_numpy(np.stack(hidden))[:, None]
    masked = torch.cat(seen)
    assert masked.shape[-2:] == pixels.shape[-2:] and (masked == 0).all(dim=1, keepdim=True)[pixels].all()
    assert 'process_window' not in vars(model)  # nothing is hidden afterwards


def analysis(sets, task, **kwargs):
    classes = dict(num_classes=6) if task == 'vis' else {}
    model = randomize_constants(build_model('MinVIS', postprocessor=POSTPROCESSORS[task], **classes)).eval()
    cfg = dataset_cfg(sets, task, test_mode=True, pipeline=whole_pipeline())
    return MaskedPrediction(model, DATASETS.build(cfg), GroundTruth(cfg), score_thr=0., **kwargs)


@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_numbers_and_pictures(sets, tmp_path, task):
    masked = analysis(sets, task, ratios=[0.5, 1.], patch_size=8)
    video = masked.ground_truth.videos[1]
    state = np.random.get_state()[1].copy()
    result = masked.segment(video)
    assert (np.random.get_state()[1] == state).all()
    assert list(result.predictions) == list(result.counts) == [0., 0.5, 1.]
    void = 6 if task == 'vis' else 255
    for ratio, counts in result.counts.items():
        confusion = ConfusionMatrix(7 if task == 'vis' else 10, label_offset=0)
        for t, segments in enumerate(result.predictions[ratio]):
            confusion.update(masked.ground_truth.segments(video, t, SIZE).class_map(void), segments.class_map(void))
        assert (counts == confusion.counts).all() and counts.sum() > 0
        assert result.miou()[ratio] == semantic_scores(confusion.counts)['mIoU']
    assert [frame.mean() for frame in result.hidden[1.]] == [1.] * NUM_FRAMES
    assert result.hidden[0.5][0].shape == SIZE and 0.2 < result.hidden[0.5][0].mean() < 0.8
    meta = masked.ground_truth.dataset.metainfo
    drawer = PanelDrawer(meta['classes'], meta['palette'], min_width=64, labels=False)
    titles, compose = [], drawer.compose_panel
    drawer.compose_panel = lambda columns, legend=None: titles.append(list(columns)) or compose(columns, legend)
    path = masked.draw(video, result, 0.5, drawer, str(tmp_path), 'frames')
    for columns in titles:  # the numbers are not the frame's
        assert columns[2] == f'prediction, video mIoU {result.miou()[0.]:.1%}'
        assert columns[4] == f'prediction for it, video mIoU {result.miou()[0.5]:.1%}'
    assert path.name == f'{video}_r0.5'
    panel = cv2.imread(str(sorted(path.glob('*.png'))[0]))[24:24 + SIZE[0], :, ::-1]
    image, truth, clean, hidden, predicted = (part[:, 1:-1] for part in np.split(panel[:, :5 * 64], 5, axis=1))
    frame = masked.ground_truth.image(video, 0)
    assert (image == frame[:, 1:-1]).all()
    assert (truth == drawer.draw(frame, masked.ground_truth.segments(video, 0, SIZE))[:, 1:-1]).all()
    assert (clean == drawer.draw(frame, result.predictions[0.][0])[:, 1:-1]).all()
    assert (hidden == hide_pixels(frame, result.hidden[0.5][0])[:, 1:-1]).all()
    assert (predicted == drawer.draw(frame, result.predictions[0.5][0])[:, 1:-1]).all()


def test_masking_changes_the_prediction_and_the_seed_the_masking(sets, monkeypatch):
    masked = analysis(sets, 'vss', ratios=[0.5], patch_size=8)
    seen, frames = [], masked.model.postprocessor.frames
    monkeypatch.setattr(masked.model.postprocessor, 'frames', lambda raw: seen.append(raw.class_probs) or frames(raw))
    first, again, other = (masked.segment(masked.ground_truth.videos[0], seed) for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(first.hidden[0.5], again.hidden[0.5]))
    assert any((a != b).any() for a, b in zip(first.hidden[0.5], other.hidden[0.5]))
    assert seen[0].equal(seen[2]) and seen[1].equal(seen[3]) and not seen[0].allclose(seen[1])


def test_summary_pools_the_videos():
    def video(clean, masked):
        return MaskedVideo(counts={0.: np.array(clean), 0.7: np.array(masked)})

    results = dict(a=video([[4, 0, 0], [0, 4, 0]], [[2, 2, 0], [0, 4, 0]]),
                   b=video([[8, 0, 0], [0, 0, 0]], [[4, 0, 4], [0, 0, 0]]))
    summary = summarize(results)
    assert summary['mIoU'] == {'0': 100., '0.7': pytest.approx(100 * (6 / 12 + 4 / 6) / 2)}
    assert summary['fall'] == {'0.7': pytest.approx(100 - 100 * (6 / 12 + 4 / 6) / 2)}
    assert summary['videos']['b'] == {'0': 100., '0.7': 50.}


def test_errors(sets):
    with pytest.raises(ValueError, match='a mask ratio'):
        analysis(sets, 'vss', ratios=[0.])
    masked = analysis(sets, 'vss', ratios=[0.5])
    masked.ground_truth.segments = lambda *args: None
    with pytest.raises(ValueError, match='no ground truth'):
        masked.segment(masked.ground_truth.videos[0])
