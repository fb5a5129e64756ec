# Copyright (c) The mmvc contributors. All rights reserved.
import gzip
import json
import math

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData

from mmvc.evaluation.functional import (
    PAPER_WINDOWS,
    SCRIPT_WINDOWS,
    SegmentationTrackingQuality,
    VideoPanopticQuality,
    compare_panoptic,
    mean_panoptic_quality,
    panoptic_quality,
    stq,
    vpq,
)
from mmvc.evaluation.metrics import VPSMetric, video_metric
from mmvc.formats.label_maps import encode_panoptic_map, read_panoptic_map
from mmvc.formats.vipseg import isthing_of
from mmvc.registry import METRICS

CASES = ['basic', 'short', 'tooshort', 'emptypred', 'predvoid', 'firstthing', 'catswitch', 'crowd', 'half', 'all']
WINDOWS = (1, 2, 3, 4, 6, 8)
STQ_KEYS = dict(
    none='stq_deeplab2_ids_from_1', annotated='stq_deeplab2_crowd_as_instance_0', first_segment='stq_vipseg')


def load_case(data_dir, case):
    folder = data_dir / 'metrics/vps'
    arrays = np.load(folder / f'{case}.npz')
    gt = json.loads(gzip.open(folder / f'{case}_gt.json.gz').read())
    pred = json.loads(gzip.open(folder / f'{case}_pred.json.gz').read())
    expected = json.loads((folder / 'expected.json').read_text())[case]
    pred_of = {video['video_id']: video['annotations'] for video in pred['annotations']}
    videos = {}
    for video in gt['annotations']:
        name = video['video_id']
        videos[name] = [
            (gt_map, pred_map, gt_frame['segments_info'], pred_frame['segments_info'])
            for gt_map, pred_map, gt_frame, pred_frame in zip(
                arrays[f'gt_id_{name}'], arrays[f'pred_id_{name}'], video['annotations'], pred_of[name])]
    return videos, gt, expected


def close(value, expected):
    if expected is None or isinstance(expected, str):  # the script stopped with an error
        return math.isnan(value)
    return value == pytest.approx(expected, abs=1e-9, rel=0)


@pytest.mark.parametrize('case', CASES)
def test_vpq_equals_official(data_dir, case):
    videos, gt, expected = load_case(data_dir, case)
    isthing = isthing_of(gt['categories'])
    counts = 0
    for frames in videos.values():
        quality = VideoPanopticQuality(len(isthing), WINDOWS)
        for frame in frames:
            quality.update(compare_panoptic(*frame))
        counts = counts + quality.counts
    official = expected['vpq_vipseg']
    for k, of_k in official['per_k'].items():
        ours = counts[WINDOWS.index(int(k))]
        means, per_class = mean_panoptic_quality(ours, isthing), panoptic_quality(ours)
        for group, values in of_k.items():
            if group == 'per_class':
                assert [int(c) for c in values] == np.flatnonzero(~np.isnan(per_class['pq'])).tolist()
                for c, value in values.items():
                    assert ours[int(c), 1:].tolist() == [value['tp'], value['fp'], value['fn']]
                    assert close(ours[int(c), 0], value['iou'])
                    assert all(close(per_class[key][int(c)], value[key]) for key in ('pq', 'sq', 'rq'))
            elif isinstance(values, str):
                assert means[group]['n'] == 0 and math.isnan(means[group]['pq'])
            else:
                assert all(close(means[group][key], values[key]) for key in ('pq', 'sq', 'rq', 'n'))
    for k in '123':
        means = mean_panoptic_quality(counts[WINDOWS.index(int(k))], isthing)
        assert all(close(means[group]['pq'], value)
                   for group, value in expected['vpq_mcahny_vps_k_1_2_3_4'][k].items())
    names = dict(All='vpq_all', Things='vpq_thing', Stuff='vpq_stuff')
    for average_over, key in ((PAPER_WINDOWS, 'mean_paper_k_1_2_4_6'), (SCRIPT_WINDOWS, 'mean_script_k_1_2_4_6_8')):
        for group, value in vpq(counts, WINDOWS, isthing, average_over).items():
            assert close(100 * value, official.get(key, {}).get(names[group]))


@pytest.mark.parametrize('case', CASES)
def test_stq_equals_official(data_dir, case):
    videos, gt, expected = load_case(data_dir, case)
    isthing = isthing_of(gt['categories'])
    for crowd, key in STQ_KEYS.items():
        if key not in expected:
            continue
        per_video = []
        for frames in videos.values():
            quality = SegmentationTrackingQuality(isthing, crowd)
            for frame in frames:
                quality.update(compare_panoptic(*frame))
            per_video.append(quality.compute())
        for name, value in stq(per_video).items():
            assert close(value, expected[key][name])
        for index, counts in enumerate(per_video):
            for name, value in stq([counts]).items():
                assert close(value, expected[key][f'{name}_per_seq'][index])


def to_segments(classes, instances):
    """Ids and segments_info of (class, instance) maps; instance 0 of class 0, the only thing, is a crowd."""
    pairs = list(zip(classes, instances))
    ids = {pair: index + 1 for index, pair in enumerate(dict.fromkeys(pairs))}
    segments = [dict(id=i, category_id=c, iscrowd=int(c == 0 and n == 0)) for (c, n), i in ids.items()]
    return np.array([[ids[pair] for pair in pairs]]), segments


def test_stq_equals_deeplab2_published_examples(data_dir):
    published = json.loads((data_dir / 'metrics/deeplab2_published.json').read_text())['stq']
    assert len(published['examples']) == 12
    for example in published['examples']:
        gt_map, gt_segments = to_segments(example['gt_class'], example['gt_instance'])
        pred_map, pred_segments = to_segments(example['pred_class'], example['pred_instance'])
        quality = SegmentationTrackingQuality([True, False], crowd='annotated')
        quality.update(compare_panoptic(gt_map, pred_map, gt_segments, pred_segments))
        scores = stq([quality.compute()])
        for ours, theirs in dict(STQ='STQ', AQ='AQ', SQ='IoU').items():
            assert scores[ours] == pytest.approx(example[theirs], abs=1e-8), example['name']


def test_pq_equals_deeplab2_published_example(data_dir):
    """One frame, windows of one frame: the panoptic quality of images."""
    example = json.loads((data_dir / 'metrics/deeplab2_published.json').read_text())['pq_images']
    example = example['non_contiguous_ignore']
    num_classes, ignored = example['num_classes'], example['ignored_label']

    def convert(name):
        classes, instances = (np.array(example[f'{name}_{kind}']) for kind in ('class', 'instance'))
        # there only instance 0 of the ignored label is void, its other instances are a class that is not averaged
        void = (classes == ignored) & (instances == 0)
        ids = np.where(void, 0, np.minimum(classes, num_classes) * 256 + instances + 1)
        return ids, [dict(id=i, category_id=(i - 1) // 256) for i in np.unique(ids[ids > 0]).tolist()]

    (gt_map, gt_segments), (pred_map, pred_segments) = convert('gt'), convert('pred')
    quality = VideoPanopticQuality(num_classes + 1, (1, ))
    quality.update(compare_panoptic(gt_map, pred_map, gt_segments, pred_segments))
    counts = quality.counts[0, :num_classes]
    means = mean_panoptic_quality(counts, [True] * num_classes)['All']
    for key in ('pq', 'sq', 'rq'):
        assert means[key] == pytest.approx(example[key], abs=1e-9)
    np.testing.assert_allclose(counts.mean(axis=0)[1:], [example[key] for key in ('tp', 'fp', 'fn')])


def test_compare_panoptic_bad_input():
    ids = np.array([[1, 2]])
    segments = [dict(id=1, category_id=0), dict(id=2, category_id=1)]
    assert compare_panoptic(ids, ids, segments, [*segments, dict(id=3, category_id=1)]).pred.keys() == {1, 2}
    with pytest.raises(ValueError, match='prediction has pixels of segment 2'):
        compare_panoptic(ids, ids, segments, segments[:1])
    with pytest.raises(ValueError, match='ground truth has pixels of segment 1, 2'):
        compare_panoptic(ids, ids, [], segments)
    with pytest.raises(ValueError, match='twice'):
        compare_panoptic(ids, ids, [segments[0]] * 2, segments)
    with pytest.raises(ValueError, match='size'):
        compare_panoptic(ids, ids.T, segments, segments)
    with pytest.raises(ValueError, match='crowd="maybe"'):
        SegmentationTrackingQuality([True], 'maybe')
    with pytest.raises(ValueError, match='category ids'):
        isthing_of([dict(id=1, isthing=1)])


# --- the registered metric ---


@pytest.fixture
def case_all(data_dir, tmp_path):
    videos, gt, expected = load_case(data_dir, 'all')
    (tmp_path / 'gt.json').write_text(json.dumps(gt))
    samples = []
    for name, frames in videos.items():
        (tmp_path / 'gt' / name).mkdir(parents=True)
        video = []
        for t, (gt_map, pred_map, _, pred_segments) in enumerate(frames):
            path = tmp_path / 'gt' / name / f'{t:08d}.png'
            path.write_bytes(encode_panoptic_map(gt_map))
            frame = DetDataSample(metainfo=dict(
                video_id=name, frame_id=t, video_length=len(frames), img_path=f'{name}/{t:08d}.jpg',
                seg_map_path=str(path), segments_info=pred_segments))
            frame.pred_panoptic_seg = PixelData(panoptic_seg=torch.from_numpy(pred_map.astype(np.int32))[None])
            video.append(frame)
        samples.append(TrackDataSample(video_data_samples=video))
    return samples, expected, str(tmp_path / 'gt.json')


def check(numbers, expected):
    paper = expected['vpq_vipseg']['mean_paper_k_1_2_4_6']
    script = expected['vpq_vipseg']['mean_script_k_1_2_4_6_8']
    wanted = {
        **{f'vps/VPQ{suffix}': paper[f'vpq_{kind}']
           for suffix, kind in {'': 'all', '_thing': 'thing', '_stuff': 'stuff'}.items()},
        **{f'vps/VPQ_script{suffix}': script[f'vpq_{kind}']
           for suffix, kind in {'': 'all', '_thing': 'thing', '_stuff': 'stuff'}.items()},
        **{f'vps/VPQ{k}': 100 * of_k['All']['pq'] for k, of_k in expected['vpq_vipseg']['per_k'].items()},
        **{f'vps/{name}': 100 * expected['stq_deeplab2_ids_from_1'][name] for name in ('STQ', 'AQ', 'SQ')},
        **{f'vps/{name}_vipseg_script': 100 * expected['stq_vipseg'][name] for name in ('STQ', 'AQ')},
    }
    assert set(numbers) == set(wanted)
    for name, value in wanted.items():
        assert numbers[name] == pytest.approx(value, abs=1e-7, rel=0), name


@pytest.mark.parametrize('split', [[18], [11, 7], [1, 14, 3]])
def test_metric_equals_official_over_ranks(case_all, split, monkeypatch):
    samples, expected, ann_file = case_all
    parts, start = [], 0
    for length in split:
        evaluator = Evaluator(METRICS.build(dict(type='VPSMetric', ann_file=ann_file)))
        evaluator.process(samples[start:start + length])
        parts.append(evaluator.metrics[0])
        start += length
    assert start == len(samples)
    monkeypatch.setattr(video_metric, 'all_gather_object', lambda mine: [part.results.copy() for part in parts])
    check(parts[-1].evaluate(len(samples)), expected)


def test_metric_writes_the_format_of_the_server(case_all, tmp_path):
    samples, expected, _ = case_all
    out = tmp_path / 'out'
    metric = VPSMetric(output_dir=str(out), format_only=True)
    metric.process({}, samples)
    assert metric.evaluate(len(samples)) == {}
    written = json.loads((out / 'pred.json').read_text())['annotations']
    for video, sample in zip(written, sorted(samples, key=lambda s: s.video_data_samples[0].video_id)):
        assert len(video['annotations']) == len(sample.video_data_samples)
        for entry, frame in zip(video['annotations'], sample.video_data_samples):
            ids = read_panoptic_map(str(out / 'pan_pred' / video['video_id'] / entry['file_name']))
            np.testing.assert_array_equal(ids, frame.pred_panoptic_seg.panoptic_seg[0])
            listed = {segment['id']: segment for segment in entry['segments_info']}
            assert set(listed) == set(np.unique(ids)) - {0}
            assert all(listed[i]['area'] == (ids == i).sum() for i in listed)
            theirs = {segment['id']: segment['category_id'] for segment in frame.segments_info}
            assert all(listed[i]['category_id'] == theirs[i] for i in listed)


def test_metric_leaves_out_what_is_not_defined(data_dir, tmp_path, case_all):
    """One video of two frames without things: no VPQ over windows of 4, no AQ."""
    ids = np.ones((2, 4, 6), np.int64)
    categories = [dict(id=0, name='sky', isthing=0), dict(id=1, name='cat', isthing=1)]
    segments = [dict(id=1, category_id=0, iscrowd=0)]
    gt = dict(categories=categories, annotations=[dict(video_id='v', annotations=[
        dict(file_name=f'{t}.png', segments_info=segments) for t in range(2)])])
    (tmp_path / 'small.json').write_text(json.dumps(gt))
    frames = []
    for t in range(2):
        (tmp_path / f'{t}.png').write_bytes(encode_panoptic_map(ids[t]))
        frame = DetDataSample(metainfo=dict(video_id='v', seg_map_path=str(tmp_path / f'{t}.png'),
                                            img_path=f'{t}.jpg', segments_info=segments))
        frame.pred_panoptic_seg = PixelData(panoptic_seg=torch.from_numpy(ids[t])[None])
        frames.append(frame)
    metric = VPSMetric(str(tmp_path / 'small.json'))
    metric.process({}, [TrackDataSample(video_data_samples=frames)])
    assert metric.evaluate(1) == {'vps/VPQ1': 100, 'vps/VPQ2': 100, 'vps/SQ': 100}

    def fails(error, match):
        with pytest.raises(error, match=match):
            metric.process({}, [TrackDataSample(video_data_samples=frames)])
        assert not metric.results

    frames[1].set_metainfo(dict(segments_info=[]))
    fails(ValueError, '1.png": the prediction has pixels of segment 1')
    frames[1].set_metainfo(dict(seg_map_path=str(tmp_path / '7.png')))
    fails(ValueError, 'no frame "7" of video "v"')
    del frames[1].pred_panoptic_seg
    fails(ValueError, 'pred_panoptic_seg')
    frames[0].set_metainfo(dict(video_id='w'))
    fails(ValueError, 'video "w" is not in')
    with pytest.raises(ValueError, match='needs ann_file'):
        VPSMetric()
