# Copyright (c) The mmvc contributors. All rights reserved.
import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from pycocotools import mask as mask_utils

from mmvc.evaluation.files import evaluate_vis
from mmvc.evaluation.functional import (
    category_scores,
    match_video,
    occlusion_score,
    range_names,
    track_areas,
    track_iou,
    track_scores,
)
from mmvc.evaluation.metrics import VISMetric, video_metric
from mmvc.formats.rle import to_rle
from mmvc.registry import METRICS

CASES = ['main', 'ties', 'crowd', 'nogt', 'oneframe', 'ovis']
OVIS_NAMES = dict(so='_occ_light', mo='_occ_medium', ho='_occ_heavy')


def load_case(data_dir, case):
    folder = data_dir / 'metrics/vis'
    gt, results = (json.loads(gzip.open(folder / f'{case}_{kind}.json.gz').read()) for kind in ('gt', 'results'))
    expected = json.loads((folder / 'expected.json').read_text())[case]
    return gt, results, expected.get('ovis_cocoapi_oviseval', expected['DVIS_Plus_ytvoseval'])


def theirs(expected, name):
    return expected[name[:2] + OVIS_NAMES[name[2:]] if name[2:] in OVIS_NAMES else name]


def of_video(entries, video):
    return [entry for entry in entries if entry['video_id'] == video['id']]


@pytest.mark.parametrize('case', CASES)
def test_ap_equals_official(data_dir, case):
    gt, results, expected = load_case(data_dir, case)
    categories = {category['id']: [] for category in gt['categories']}
    for video in sorted(gt['videos'], key=lambda video: video['id']):
        matched = match_video(of_video(gt['annotations'], video), of_video(results, video), video['height'],
                              video['width'], video['length'], with_occlusion=case == 'ovis')
        for category_id, entry in matched.items():
            categories[category_id].append(entry)
    scores = track_scores(categories, range_names(case == 'ovis'))
    assert len(scores) == (18 if case == 'ovis' else 12)
    for name, value in scores.items():
        official = theirs(expected, name)
        assert math.isnan(value) if official == -1 else value == pytest.approx(official, abs=1e-9, rel=0), name
    per_category = {str(c): category_scores(videos).precision.mean() for c, videos in categories.items()}
    per_category = {c: value for c, value in per_category.items() if not math.isnan(value)}
    assert per_category == pytest.approx(expected['AP_per_category'], abs=1e-9, rel=0)


def encode(mask):
    return mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))


def test_track_iou_equals_pixels():
    rng = np.random.default_rng(0)
    masks = rng.random((2, 3, 4, 20, 30)) < 0.3  # two sides, tracks, frames
    masks[0, 0, 1] = masks[1, 2, 3] = masks[1, 2, 0] = False
    tracks = [[[encode(m) if m.any() else None for m in track] for track in side] for side in masks]
    inter = (masks[0][:, None] & masks[1][None]).sum((2, 3, 4))
    union = (masks[0][:, None] | masks[1][None]).sum((2, 3, 4))
    np.testing.assert_array_equal(track_iou(*tracks), inter / union)
    np.testing.assert_array_equal(track_areas(tracks[0][0]), masks[0, 0].sum((1, 2)))
    assert track_iou([[None, None]], [[None, None]]).tolist() == [[0.0]]
    assert track_iou([], tracks[1]).shape == (0, 3) and track_iou(tracks[0], []).shape == (3, 0)


def test_occlusion_score_is_that_of_the_worse_half():
    no, slight, severe = 'no_occlusion', 'slight_occlusion', 'severe_occlusion'
    assert occlusion_score([no, no, severe, None]) == (0.75 + 0) / 2
    assert occlusion_score([slight, None, severe]) == 0.75
    assert occlusion_score([None]) == occlusion_score([]) == 0


def test_areas_are_counted_where_the_annotation_has_none(data_dir):
    gt, results, _ = load_case(data_dir, 'oneframe')
    video = gt['videos'][0]
    args = of_video(results, video), video['height'], video['width'], video['length']
    annotations = of_video(gt['annotations'], video)
    without = [{key: value for key, value in a.items() if key != 'areas'} for a in annotations]
    for one, other in zip(match_video(annotations, *args).values(), match_video(without, *args).values()):
        assert all(np.array_equal(a, b) for a, b in zip(one, other))


# --- the registered metric ---


def make_sample(video, detections, label_of):
    frames = []
    shape = (0, video['height'], video['width'])
    for t in range(video['length']):
        here = [(i, d) for i, d in enumerate(detections) if d['segmentations'][t]]
        masks = [mask_utils.decode([to_rle(d['segmentations'][t], *shape[1:])])[..., 0] for _, d in here]
        frame = DetDataSample(metainfo=dict(video_id=video['id'], frame_id=t, video_length=video['length']))
        frame.pred_track_instances = InstanceData(
            labels=torch.tensor([label_of[d['category_id']] for _, d in here], dtype=torch.long),
            scores=torch.tensor([d['score'] for _, d in here], dtype=torch.float64),
            instances_ids=torch.tensor([i for i, _ in here], dtype=torch.long),
            masks=torch.from_numpy(np.stack(masks) > 0 if masks else np.zeros(shape, bool)))
        frames.append(frame)
    return TrackDataSample(video_data_samples=frames)


@pytest.fixture
def ovis(data_dir, tmp_path):
    gt, results, expected = load_case(data_dir, 'ovis')
    (tmp_path / 'gt.json').write_text(json.dumps(gt))
    # the labels of the dataset are in another order than the categories of the file
    classes = [category['name'] for category in reversed(gt['categories'])]
    label_of = {category['id']: classes.index(category['name']) for category in gt['categories']}
    # a detection without any mask does not exist in a model's output
    results = [d for d in results if any(d['segmentations'])]
    samples = [make_sample(video, of_video(results, video), label_of) for video in gt['videos']]
    return samples, expected, str(tmp_path / 'gt.json'), dict(classes=classes), results


@pytest.mark.parametrize('num_ranks', [1, 2, 3])
def test_metric_equals_official_over_ranks(ovis, num_ranks, monkeypatch):
    samples, expected, ann_file, dataset_meta, _ = ovis
    cuts = [0, 1, len(samples) - 1, len(samples)] if num_ranks == 3 else [0, len(samples) - 2, len(samples)]
    cuts = [0, len(samples)] if num_ranks == 1 else cuts
    parts = []
    for start, stop in zip(cuts[:-1], cuts[1:]):
        evaluator = Evaluator(METRICS.build(dict(type='VISMetric', ann_file=ann_file)))
        evaluator.dataset_meta = dataset_meta
        evaluator.process(samples[start:stop])
        parts.append(evaluator.metrics[0])
    assert len(parts) == num_ranks
    monkeypatch.setattr(video_metric, 'all_gather_object', lambda mine: [part.results.copy() for part in parts])
    numbers = parts[0].evaluate(len(samples))
    assert 'vis/APl' not in numbers and {'vis/AP', 'vis/AR100', 'vis/APho', 'vis/ARs'} <= set(numbers)
    for name, value in numbers.items():
        assert value == pytest.approx(100 * theirs(expected, name[4:]), abs=1e-7, rel=0), name


def test_metric_writes_results_json(ovis, tmp_path):
    """The written file, scored by the functions, gives the same numbers; it needs no annotations."""
    samples, expected, ann_file, dataset_meta, results = ovis
    content = json.loads(open(ann_file).read())
    (tmp_path / 'public.json').write_text(json.dumps(dict(content, annotations=None)))
    with pytest.raises(ValueError, match='no annotations: .* not public. Set format_only=True'):
        VISMetric(str(tmp_path / 'public.json'))
    metric = VISMetric(str(tmp_path / 'public.json'), output_dir=str(tmp_path / 'out'), format_only=True)
    metric.dataset_meta = dataset_meta
    metric.process({}, samples)
    assert metric.evaluate(len(samples)) == {}
    written = json.loads((tmp_path / 'out/results.json').read_text())
    written, results = (sorted(tracks, key=lambda d: (d['video_id'], d['category_id'], d['score']))
                        for tracks in (written, results))
    assert len(written) == len(results)
    for one, other in zip(written, results):
        assert one == dict(other, score=pytest.approx(other['score']), segmentations=one['segmentations'])
    categories = {category['id']: [] for category in content['categories']}
    for video in content['videos']:
        for category_id, entry in match_video(of_video(content['annotations'], video), of_video(written, video),
                                              video['height'], video['width'], video['length']).items():
            categories[category_id].append(entry)
    assert track_scores(categories)['AP'] == pytest.approx(expected['AP'], abs=1e-9)


@pytest.mark.parametrize('name', ['valid/instances.json', 'valid.json', 'annotations_valid.json'])
def test_metric_finds_the_annotations_of_each_release(ovis, tmp_path, name):
    root = tmp_path / 'data'
    (root / name).parent.mkdir(parents=True)
    (root / name).write_bytes(Path(ovis[2]).read_bytes())
    assert Path(VISMetric(data_root=str(root)).ann_file) == root / name


def test_subsets_are_scored_as_if_there_were_no_other_videos(ovis, tmp_path):
    samples, expected, ann_file, dataset_meta, results = ovis
    content = json.loads(Path(ann_file).read_text())
    halves = dict(S=content['videos'][::2], L=content['videos'][1::2])
    # a JSON numbers its videos anew; a text file names their folders
    (tmp_path / 'short.json').write_text(json.dumps(
        dict(content, videos=[dict(video, id=f'of {video["id"]}') for video in halves['S']], annotations=None)))
    (tmp_path / 'long.txt').write_text('\n'.join(Path(video['file_names'][0]).parent.name for video in halves['L']))
    files = dict(S=str(tmp_path / 'short.json'), L=str(tmp_path / 'long.txt'))
    numbers = scores_of(VISMetric(ann_file, subsets=files), samples, dataset_meta)
    assert numbers['vis/AP'] == pytest.approx(100 * expected['AP'], abs=1e-7)
    for name, videos in halves.items():
        ids = {video['id'] for video in videos}
        (tmp_path / 'alone.json').write_text(json.dumps(dict(
            content, videos=videos, annotations=[a for a in content['annotations'] if a['video_id'] in ids])))
        alone = scores_of(VISMetric(str(tmp_path / 'alone.json')),
                          [sample for sample in samples if sample[0].video_id in ids], dataset_meta)
        for number in ('AP', 'AP50', 'AP75', 'AR1', 'AR10', 'AR100'):
            assert numbers[f'vis/{number}_{name}'] == alone[f'vis/{number}'], number
    assert numbers['vis/AP_mean'] == pytest.approx((numbers['vis/AP_S'] + numbers['vis/AP_L']) / 2)
    assert len({numbers[f'vis/{name}'] for name in ('AP', 'AP_S', 'AP_L', 'AP_mean')}) == 4

    (tmp_path / 'results.json').write_text(json.dumps(results))
    report = evaluate_vis(tmp_path / 'results.json', ann_file, subsets=files)
    written = {f'vis/{name}': 100 * value for name, value in report.numbers.items() if not math.isnan(value)}
    assert written == pytest.approx(numbers, abs=1e-9)


@pytest.mark.parametrize('min_score, sparse', [
    pytest.param(0.0, False, marks=pytest.mark.slow), (0.6, False), (0.3, True)])
def test_tracking_numbers_equal_those_of_files(ovis, tmp_path, min_score, sparse):
    samples, expected, ann_file, dataset_meta, results = ovis
    content = json.loads(Path(ann_file).read_text())
    if sparse:
        for video in content['videos']:
            video['labelled_frames'] = list(range(0, video['length'], 2))
        for track in content['annotations']:  # a frame without labels has no mask
            for key in ('segmentations', 'areas', 'bboxes', 'occlusion'):
                track[key][1::2] = [None] * len(track[key][1::2])
    (tmp_path / 'marked.json').write_text(json.dumps(content))
    metric = VISMetric(str(tmp_path / 'marked.json'), output_dir=str(tmp_path / 'out'), tracking_min_score=min_score)
    numbers = scores_of(metric, samples, dataset_meta)  # its file has the same order of tracks with equal scores
    files = tmp_path / 'out/results.json', tmp_path / 'marked.json'
    reports = [evaluate_vis(*files, workers, tracking_min_score=min_score) for workers in (1, 2)]
    assert reports[0].numbers == pytest.approx(reports[1].numbers, abs=0, nan_ok=True)
    written = {f'vis/{name}': 100 * value for name, value in reports[0].numbers.items() if not math.isnan(value)}
    assert written == pytest.approx(numbers, abs=1e-9)
    assert {'vis/JF', 'vis/J_decay', 'vis/IDF1', 'vis/HOTA', 'vis/LocA', 'vis/mHOTA'} <= set(numbers)
    assert 0 < numbers['vis/HOTA'] < 100 and 0 < numbers['vis/JF'] < 100
    row = reports[0].classes[0]
    assert {'JF', 'IDF1', 'HOTA', 'AssA'} <= set(row) and {'JF', 'HOTA'} <= set(reports[0].videos[0])


def test_tracking_numbers_that_are_not_defined(ovis, tmp_path):
    content = json.loads(Path(ovis[2]).read_text())
    lonely = dict(content, annotations=[annotation for annotation in content['annotations']
                                        if annotation['video_id'] != content['videos'][0]['id']])
    (tmp_path / 'gt.json').write_text(json.dumps(lonely))
    (tmp_path / 'none.json').write_text('[]')
    report = evaluate_vis(tmp_path / 'none.json', tmp_path / 'gt.json', tracking_min_score=0.3)
    assert math.isnan(report.numbers['IDP']) and report.numbers['IDR'] == report.numbers['HOTA'] == 0
    assert 'IDP: not defined here, needs a mask in a frame with labels' in report.to_text()
    assert math.isnan(report.videos[0]['JF']) and not report.videos[0]['tracks']


def scores_of(metric, samples, dataset_meta):
    metric.dataset_meta = dataset_meta
    evaluator = Evaluator(metric)
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


def test_bad_subsets(ovis, tmp_path):
    _, _, ann_file, _, _ = ovis
    content = json.loads(Path(ann_file).read_text())
    content['videos'][0]['file_names'].reverse()
    (tmp_path / 'other.json').write_text(json.dumps(content))
    (tmp_path / 'empty.txt').write_text('\n')
    (tmp_path / 'typing.txt').write_text('no such video\n')
    for subsets, error in ((dict(L='other.json'), 'other.json" lists 1 videos that .*gt.json" does not have'),
                           (dict(L='typing.txt'), 'lists 1 videos .* does not have.*: no such video. List videos'),
                           (dict(L='empty.txt'), 'empty.txt" lists no videos'),
                           (dict(mean='empty.txt'), 'subset "mean"'),
                           ({'a b': 'empty.txt'}, 'subset "a b": a name must consist of letters')):
        with pytest.raises(ValueError, match=error):
            VISMetric(ann_file, subsets={name: str(tmp_path / file) for name, file in subsets.items()})
    with pytest.raises(FileNotFoundError):
        VISMetric(ann_file, subsets=dict(L=str(tmp_path / 'missing.json')))
    out = dict(output_dir=str(tmp_path / 'out'), format_only=True)  # nothing is scored, nothing is read
    assert VISMetric(ann_file, subsets=dict(L=str(tmp_path / 'missing.json')), **out).format_only


def test_metric_bad_input(ovis):
    with pytest.raises(ValueError, match='ann_file, or data_root'):
        VISMetric()
    samples, _, ann_file, dataset_meta, _ = ovis
    frames = samples[0].video_data_samples

    def fails(error, match, frames=frames, dataset_meta=dataset_meta):
        metric = VISMetric(ann_file)
        metric.dataset_meta = dataset_meta
        with pytest.raises(error, match=match):
            metric.process({}, [TrackDataSample(video_data_samples=frames).to_dict()])

    fails(ValueError, f'predictions for 3 of {len(frames)} frames', frames=frames[:3])
    fails(ValueError, "no such class'.*metainfo",
          dataset_meta=dict(classes=[*dataset_meta['classes'][1:], 'no such class']))
    stranger = frames[0].clone()
    stranger.pred_track_instances = InstanceData(masks=torch.zeros(0, 3, 3))
    fails(ValueError, 'resize them', frames=[stranger])
    del stranger.pred_track_instances
    fails(ValueError, 'pred_track_instances', frames=[stranger])
    stranger.set_metainfo(dict(video_id=77))
    fails(ValueError, 'video "77" is not in', frames=[stranger])
