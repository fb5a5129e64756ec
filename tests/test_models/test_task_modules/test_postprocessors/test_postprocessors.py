# Copyright (c) The mmvc contributors. All rights reserved.
"""The three task outputs against those of the official DVIS++ code (``inference.npz``), and at the edges."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData, PixelData

from mmvc.models.cpu import inference
from mmvc.models.task_modules.postprocessors import VideoPrediction, VSSPostprocessor
from mmvc.models.task_modules.postprocessors.vss import winning_classes
from mmvc.registry import TASK_UTILS
from tests.helpers.golden_utils import load_golden
from tests.helpers.tiny_models import make_video, stacked

THINGS = range(6)  # of ten classes


@pytest.fixture
def golden(data_dir):
    return load_golden(data_dir, 'inference')


def raw_prediction(golden, aux=False):
    """12 queries, 4 frames; the recorded masks are features that the identity decodes."""
    class_probs = golden['inp/pred_cls'].softmax(-1)
    if aux:
        class_probs = class_probs.maximum(golden['inp/aux_pred_cls'].softmax(-1))
    masks = golden['inp/pred_masks'].transpose(0, 1)
    return VideoPrediction(
        class_probs,
        mask_embeds=torch.eye(12).expand(4, -1, -1),
        mask_features=masks,
        padded_shape=(64, 96),
        img_shape=(60, 90),
        ori_shape=(45, 70))


def postprocess(cfg, prediction, num_frames=4):
    sample, = make_video(num_frames)
    TASK_UTILS.build(cfg)(prediction, sample)
    return sample


def panoptic(prediction, score_threshold, overlap_threshold, **kwargs):
    return postprocess(
        dict(
            type='VPSPostprocessor',
            thing_classes=THINGS,
            score_threshold=score_threshold,
            overlap_threshold=overlap_threshold), prediction, **kwargs)


@pytest.fixture(params=[False, True], ids=['online', 'offline'])
def aux(request):
    """Without and with a second opinion on the classes."""
    return request.param


def name_of(task, aux):
    return f"{task}_{'aux' if aux else 'noaux'}"


def test_vss_equals_official(golden, aux):
    sample = postprocess(dict(type='VSSPostprocessor'), raw_prediction(golden, aux))
    actual = stacked(sample, 'pred_sem_seg', 'sem_seg')
    assert actual.shape == (4, 1, 45, 70) and actual.dtype == torch.uint8
    assert isinstance(sample[0].pred_sem_seg, PixelData)
    # the smallest margin between two classes is 3e-5
    assert (actual[:, 0] != golden[f"{name_of('vss', aux)}/pred_masks"]).sum() <= 3


@pytest.mark.parametrize('thresholds', [(0.8, 0.8), (0.3, 0.5), (0.3, 0.8), (0.999, 0.8)])
def test_vps_equals_official(golden, aux, thresholds):
    score_threshold, overlap_threshold = thresholds
    prefix = f"{name_of('vps', aux)}_thr{score_threshold}_ov{overlap_threshold}"
    prediction = raw_prediction(golden, aux)
    sample = panoptic(prediction, *thresholds)
    actual = stacked(sample, 'pred_panoptic_seg', 'panoptic_seg')
    assert actual.shape == (4, 1, 45, 70) and actual.dtype == torch.int32
    assert (actual[:, 0] != golden[f'{prefix}/pred_masks']).sum() <= 3

    segments = {segment['id']: segment for frame in sample for segment in frame.segments_info}
    for key, ours in dict(id='id', category_id='category_id', isthing='isthing').items():
        expected = golden[f'{prefix}/segments_infos/{key}'].tolist()
        assert [segments[i][ours] for i in sorted(segments)] == expected
    for number, query in zip(sorted(segments), golden[f'{prefix}/pred_ids'].tolist()):
        # a query stands for its segment; of merged stuff, any
        assert segments[number]['score'] >= prediction.class_probs[query].max().item() - 1e-6
    for frame in sample:
        assert {segment['id'] for segment in frame.segments_info} | {0} == \
            set(frame.pred_panoptic_seg.panoptic_seg.unique().tolist()) | {0}


def test_vis_equals_official(golden, aux):
    """The same tracks; official ones come in no particular order, ours are sorted."""
    sample = postprocess(dict(type='VISPostprocessor', max_per_video=20), raw_prediction(golden, aux))
    expected = {name: golden[f"{name_of('vis', aux)}/pred_{name}"] for name in ('scores', 'labels', 'masks')}
    order = expected['scores'].argsort(descending=True)
    for t, frame in enumerate(sample):
        tracks = frame.pred_track_instances
        assert isinstance(tracks, InstanceData) and tracks.masks.dtype == torch.bool
        torch.testing.assert_close(tracks.scores.double(), expected['scores'][order], rtol=1e-5, atol=0)
        assert torch.equal(tracks.labels, expected['labels'][order])
        assert tracks.instances_ids.tolist() == list(range(20))
        assert (tracks.masks != expected['masks'][order, t]).sum() <= 3


def test_vis_with_fewer_pairs_than_wanted(golden):
    prediction = raw_prediction(golden)
    prediction = replace(prediction, class_probs=prediction.class_probs[:, -3:])  # two classes and the empty one
    tracks = postprocess(dict(type='VISPostprocessor', max_per_video=100), prediction)[0].pred_track_instances
    assert len(tracks) == 24 and tracks.masks.shape == (24, 45, 70)
    assert set(tracks.labels.tolist()) == {0, 1}
    default = postprocess(dict(type='VISPostprocessor'), prediction)[0].pred_track_instances
    assert torch.equal(default.scores, tracks.scores[:10])


def test_vps_of_nothing(golden):
    """No query is sure enough, and: all are sure of the empty class."""
    prediction = raw_prediction(golden)
    nothing = torch.zeros_like(prediction.class_probs)
    nothing[:, -1] = 1.0
    for sample in (panoptic(prediction, 1.0, 0.8), panoptic(replace(prediction, class_probs=nothing), 0.3, 0.5)):
        for frame in sample:
            assert frame.segments_info == []
            assert frame.pred_panoptic_seg.panoptic_seg.shape == (1, 45, 70)
            assert not frame.pred_panoptic_seg.panoptic_seg.any()


def square_prediction(labels, masks, scores=None):
    """Queries with given classes (of ten) and masks (T, Q, 16, 16), everything at one resolution."""
    num_queries = masks.shape[1]
    scores = torch.full((num_queries, ), 0.9) if scores is None else torch.tensor(scores)
    class_probs = ((1 - scores) / 10)[:, None].repeat(1, 11)
    class_probs[range(num_queries), labels] = scores
    return VideoPrediction(class_probs, torch.eye(num_queries).expand(len(masks), -1, -1), 20.0 * masks - 10,
                           (16, 16), (16, 16), (16, 16))


def test_vps_merges_stuff_only():
    masks = torch.zeros(2, 4, 16, 16)
    for query in range(4):
        masks[:, query, 4 * query:4 * query + 3] = 1
    sample = panoptic(square_prediction([2, 8, 2, 8], masks, [0.9, 0.99, 0.95, 0.85]), 0.8, 0.8, num_frames=2)
    segments = sample[0].segments_info
    assert [(s['id'], s['category_id'], s['isthing']) for s in segments] == [(1, 2, True), (2, 8, False), (3, 2, True)]
    assert [s['score'] for s in segments] == pytest.approx([0.9, 0.99, 0.95])
    rows = sample[0].pred_panoptic_seg.panoptic_seg[0, :, 0].tolist()
    assert rows == [1] * 3 + [0] + [2] * 3 + [0] + [3] * 3 + [0] + [2] * 3 + [0]


def test_vps_overlap_counts_over_the_whole_video():
    """The second query loses most of frame 0, but only a fifth of all its pixels."""
    masks = torch.zeros(4, 2, 16, 16)
    masks[:, 1, :10] = 1  # 40 rows
    masks[0, 0, :8] = 1  # takes 8 of them
    kept = panoptic(square_prediction([0, 1], masks, [0.95, 0.9]), 0.8, 0.75, num_frames=4)
    assert [len(frame.segments_info) for frame in kept] == [2, 1, 1, 1]
    lost = panoptic(square_prediction([0, 1], masks, [0.95, 0.9]), 0.8, 0.85, num_frames=4)
    assert [[s['category_id'] for s in frame.segments_info] for frame in lost] == [[0], [], [], []]
    assert not lost[0].pred_panoptic_seg.panoptic_seg[0, 8:].any()


def test_vps_counts_what_a_segment_wins_outside_of_its_mask_too():
    """As the official code does: the first wins 6 of its 10 rows, and 6 more that nobody claims."""
    masks = torch.zeros(1, 2, 16, 16)
    masks[:, 0, :10], masks[:, 0, 10:] = 1, 0.4
    masks[:, 1, :4] = 1
    sample = panoptic(square_prediction([0, 1], masks, [0.9, 0.95]), 0.8, 0.8, num_frames=1)
    assert [segment['category_id'] for segment in sample[0].segments_info] == [0, 1]
    assert sample[0].pred_panoptic_seg.panoptic_seg[0, :, 0].tolist() == [2] * 4 + [1] * 6 + [0] * 6


def test_vss_beyond_256_classes():
    masks = torch.zeros(1, 2, 16, 16)
    masks[:, 1, 8:] = 1
    prediction = square_prediction([0, 0], masks)
    class_probs = torch.zeros(2, 301)
    class_probs[0, 0], class_probs[1, 299] = 0.1, 1.0
    sem_seg = postprocess(dict(type='VSSPostprocessor'), replace(prediction, class_probs=class_probs), 1)
    sem_seg = sem_seg[0].pred_sem_seg.sem_seg
    assert sem_seg.dtype == torch.int64 and (sem_seg[0, 8:] == 299).all()


@pytest.mark.parametrize('ori_shape', [(45, 70), (37, 53), (60, 90), (121, 33), (1, 1)])
def test_frames_of_any_size(golden, ori_shape):
    """Resized to the padded input, cropped, sigmoid, resized to the original size."""
    prediction = replace(raw_prediction(golden), ori_shape=ori_shape)
    frames = list(prediction.frames())
    assert len(frames) == 4
    masks = golden['inp/pred_masks'].transpose(0, 1)
    masks = F.interpolate(masks, (64, 96), mode='bilinear')[..., :60, :90]
    expected = F.interpolate(masks.sigmoid(), ori_shape, mode='bilinear')
    torch.testing.assert_close(torch.stack(frames), expected)
    logits = torch.stack(list(prediction.frames(probabilities=False)))
    torch.testing.assert_close(logits, F.interpolate(masks, ori_shape, mode='bilinear'))
    for task in ('VSSPostprocessor', 'VISPostprocessor'):
        postprocess(dict(type=task), prediction)
    assert panoptic(prediction, 0.3, 0.5)[0].pred_panoptic_seg.panoptic_seg.shape == (1, *ori_shape)


def test_frames_of_some_queries(golden):
    prediction = raw_prediction(golden)
    everything = torch.stack(list(prediction.frames()))
    queries = torch.tensor([7, 2])
    torch.testing.assert_close(torch.stack(list(prediction.frames(queries))), everything[:, queries])


def test_masks_instead_of_factors(golden):
    prediction = raw_prediction(golden)
    masks = replace(prediction, mask_embeds=None)
    for queries in (None, torch.tensor([7, 2])):
        for probabilities in (True, False):
            torch.testing.assert_close(
                list(masks.frames(queries, probabilities)), list(prediction.frames(queries, probabilities)))


@pytest.mark.parametrize('ori_shape', [(60, 90), (45, 70), (37, 53), (121, 33)])
def test_strips_of_any_height(golden, monkeypatch, ori_shape):
    prediction = replace(raw_prediction(golden, aux=True), ori_shape=ori_shape)
    expected = list(prediction.frames())
    tasks = [
        dict(type='VSSPostprocessor'),
        dict(type='VISPostprocessor'),
        dict(type='VPSPostprocessor', thing_classes=THINGS, score_threshold=0.3, overlap_threshold=0.5)
    ]
    samples = [postprocess(task, prediction) for task in tasks]
    for limit in (1, 50_000):  # one row, a few rows
        monkeypatch.setattr('mmvc.models.task_modules.postprocessors.video_prediction._STRIP_BYTES', dict(cpu=limit))
        strips = [list(frame) for frame in prediction.strips()]
        assert all(len(frame) > 1 and sum(strip.shape[1] for strip in frame) == ori_shape[0] for frame in strips)
        torch.testing.assert_close([torch.cat(frame, dim=1) for frame in strips], expected)
        for task, sample in zip(tasks, samples):
            for frame, whole in zip(postprocess(task, prediction), sample):
                for field, name in (('pred_sem_seg', 'sem_seg'), ('pred_panoptic_seg', 'panoptic_seg'),
                                    ('pred_track_instances', 'masks')):
                    if field in whole:
                        assert (frame.get(field).get(name) == whole.get(field).get(name)).float().mean() > 0.999


@pytest.mark.parametrize('minor', [0.0, 0.3, 1.0, 100.0])
@pytest.mark.parametrize('sharpness', [1.0, 5.0, 20.0])
def test_vss_does_not_score_classes_that_cannot_win(monkeypatch, sharpness, minor):
    """The same classes as by scoring all of them, in every pixel, whichever are scored first."""
    monkeypatch.setattr('mmvc.models.task_modules.postprocessors.vss._MINOR', minor)
    class_probs = (sharpness * torch.randn(30, 51)).softmax(-1)[:, :50]
    class_probs[:, 25:] *= 0.01
    class_probs[0] *= 0.01
    class_probs[0, 30] = 0.2  # a class with a bound of little more
    masks = torch.rand(30, 40, 50)**4
    masks[1:, :10] *= 0.001
    masks[0, :10] = 1  # and where it wins
    scores = (class_probs.T @ masks.flatten(1)).view(50, 40, 50)
    actual = winning_classes(class_probs, masks)
    assert actual.dtype == torch.int64 and (actual[:10] == 30).all() and (actual[10:] < 25).any()
    torch.testing.assert_close(scores.gather(0, actual[None])[0], scores.amax(0), rtol=0, atol=1e-6)


@pytest.mark.parametrize('ori_shape', [(60, 90), (45, 70), (121, 33)])
def test_vss_can_resize_scores(golden, ori_shape):
    """All classes at the size of the features, then resized like masks."""
    prediction = replace(raw_prediction(golden), ori_shape=ori_shape)
    scores = torch.einsum('qk,tqhw->tkhw', prediction.class_probs[:, :-1], prediction.mask_features.sigmoid())
    scores = F.interpolate(scores, (64, 96), mode='bilinear')[..., :60, :90]
    scores = F.interpolate(scores, ori_shape, mode='bilinear')
    postprocessor = TASK_UTILS.build(dict(type='VSSPostprocessor', resizes='scores'))
    classes = torch.stack([frame.pred_sem_seg.sem_seg for frame in postprocessor.frames(prediction)])
    assert classes.dtype == torch.uint8
    torch.testing.assert_close(scores.gather(1, classes.long())[:, 0], scores.amax(1), rtol=0, atol=1e-6)
    by_mask = torch.stack([frame.pred_sem_seg.sem_seg for frame in VSSPostprocessor().frames(prediction)])
    assert 0 < (classes != by_mask).float().mean() < 0.1
    first_frame = replace(prediction, mask_embeds=None, mask_features=prediction.mask_features[:1])
    first = postprocessor.start_stream()(first_frame)
    assert torch.equal(first.pred_sem_seg.sem_seg, classes[0])


def test_vss_of_resized_scores_is_that_of_transformers():
    module = pytest.importorskip('transformers.models.videomt.video_processing_videomt')
    cls_scores, masks = torch.randn(2, 30, 21), 4 * torch.randn(2, 30, 16, 24)
    outputs = SimpleNamespace(class_queries_logits=cls_scores, masks_queries_logits=masks)
    theirs = module.VideomtVideoProcessor().post_process_semantic_segmentation(outputs, [(64, 96)] * 2)
    for t in range(2):
        prediction = VideoPrediction(cls_scores[t].softmax(-1), None, masks[t:t + 1], *[(64, 96)] * 3)
        ours = next(VSSPostprocessor(resizes='scores').frames(prediction)).pred_sem_seg.sem_seg[0]
        assert (ours != theirs[t]).sum() <= 1


def test_vss_names_an_unknown_method():
    with pytest.raises(ValueError, match="`resizes` of VSSPostprocessor is 'masks' or 'scores', got 'labels'"):
        VSSPostprocessor(resizes='labels')


@pytest.mark.parametrize('num_classes', [1, 2, 255, 256, 257])
def test_vss_takes_the_first_of_equal_classes(num_classes):
    class_probs = torch.ones(3, num_classes) / num_classes
    assert not winning_classes(class_probs, torch.rand(3, 4, 5)).any()
    class_probs[:, -2:] *= 2
    assert (winning_classes(class_probs, torch.rand(3, 4, 5)) == max(0, num_classes - 2)).all()


@pytest.mark.parametrize('task', ['VSSPostprocessor', 'VPSPostprocessor', 'VISPostprocessor'])
def test_stream_of_frames(golden, task):
    """Frame by frame: the same segments as with the video in view, under ids that follow the queries."""
    cfg = dict(type=task)
    if task == 'VPSPostprocessor':
        cfg.update(thing_classes=THINGS, score_threshold=0.3, overlap_threshold=0.0)
    postprocessor, prediction = TASK_UTILS.build(cfg), raw_prediction(golden, aux=True)
    segment, expected = postprocessor.start_stream(), list(postprocessor.frames(prediction))
    for t, whole in enumerate(expected):
        frame = segment(replace(prediction, mask_embeds=None, mask_features=prediction.mask_features[t:t + 1]))
        if task == 'VSSPostprocessor':
            assert torch.equal(frame.pred_sem_seg.sem_seg, whole.pred_sem_seg.sem_seg)
        elif task == 'VISPostprocessor':
            actual, tracks = frame.pred_track_instances, whole.pred_track_instances
            assert torch.equal(actual.masks, tracks.masks) and torch.equal(actual.labels, tracks.labels)
            assert len(actual.instances_ids.unique()) == len(actual)
            first_of_query = prediction.class_probs[:, :-1].max(1).values.argmax()
            assert actual.instances_ids[0] == first_of_query
        else:
            ids, whole_ids = frame.pred_panoptic_seg.panoptic_seg, whole.pred_panoptic_seg.panoptic_seg
            labels = {s['id']: s['category_id'] for s in frame.segments_info}
            whole_labels = {s['id']: s['category_id'] for s in whole.segments_info}
            pairs = set(zip(ids.flatten().tolist(), whole_ids.flatten().tolist())) - {(0, 0)}
            differing = ((ids == 0) != (whole_ids == 0)).float().mean()
            assert differing < 0.05  # a query that has won no pixel so far is counted from its first one on
            assert all(labels[a] == whole_labels[b] for a, b in pairs if a and b)
            assert all(s['id'] > 12 if not s['isthing'] else s['id'] <= 12 for s in frame.segments_info)


def test_vps_stream_counts_the_frames_so_far():
    """The second query loses most of frame 0, is dropped, and is taken up when it has won enough."""
    masks = torch.zeros(4, 2, 16, 16)
    masks[:, 1, :10] = 1
    masks[0, 0, :8] = 1
    prediction = square_prediction([0, 8], masks, [0.95, 0.9])
    segment = TASK_UTILS.build(
        dict(type='VPSPostprocessor', thing_classes=THINGS, score_threshold=0.8, overlap_threshold=0.7)).start_stream()
    found = []
    for t in range(4):
        frame = segment(replace(prediction, mask_embeds=None, mask_features=prediction.mask_features[t:t + 1]))
        found.append({s['id'] for s in frame.segments_info})
    assert found == [{1}, set(), {2 + 1 + 8}, {2 + 1 + 8}]


def test_memory_does_not_grow_with_the_number_of_sizes_that_onednn_sees(monkeypatch):
    """How many pixels are undecided differs from strip to strip, and oneDNN keeps what it compiles for each number."""
    if inference._ONEDNN_LINEAR is None:
        pytest.skip('this PyTorch has no oneDNN')
    original, sizes = inference._ONEDNN_LINEAR, []

    def watched(*args):
        sizes.append(args[0].shape)
        return original(*args)

    monkeypatch.setattr(inference, '_ONEDNN_LINEAR', watched)
    class_probs = torch.tensor([[0.9, 0.05, 0.05], [0.02, 0.9, 0.08]])  # the last class sums to little
    undecided = set()
    for _ in range(8):
        masks = torch.rand(2, 6, 9)
        undecided.add(int(((class_probs[:, :2].T @ masks.flatten(1)).amax(0) <= 0.13 + 1e-5).sum()))
        winning_classes(class_probs, masks)
    assert len(undecided) > 1 and len(set(sizes)) == 1
