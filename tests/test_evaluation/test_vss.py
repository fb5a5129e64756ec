# Copyright (c) The mmvc contributors. All rights reserved.
import json
import math

import numpy as np
import pytest
import torch
import torch.distributed as torch_dist
import torch.multiprocessing as mp
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from PIL import Image

from mmvc.evaluation.functional import (
    ConfusionMatrix,
    VideoConsistency,
    majority_class_baseline,
    mean_consistency,
    per_class_iou,
    pooled_vc16,
    semantic_scores,
    video_miou,
)
from mmvc.evaluation.metrics import VSSMetric, video_metric
from mmvc.formats.label_maps import read_label_map
from mmvc.registry import METRICS

CASES = ['main', 'short', 'perfect', 'degenerate', 'pred255']
META = dict(classes=[f'class{i}' for i in range(124)], label_offset=1)


def load_case(data_dir, case):
    arrays = np.load(data_dir / 'metrics/vss' / f'{case}.npz')
    names = sorted(key[3:] for key in arrays.files if key.startswith('gt_'))
    expected = json.loads((data_dir / 'metrics/vss/expected.json').read_text())[case]
    return {name: (arrays[f'gt_{name}'], arrays[f'pred_{name}']) for name in names}, expected


def count(videos, num_classes=124, label_offset=1):
    counted = {}
    for name, (gts, preds) in videos.items():
        confusion, consistency = ConfusionMatrix(num_classes, label_offset), VideoConsistency()
        for gt, pred in zip(gts, preds):
            confusion.update(gt, pred)
            consistency.update(gt, pred)
        counted[name] = (confusion.counts, consistency.windows)
    return counted


def close(value, expected):
    return (expected is None and math.isnan(value)) or value == pytest.approx(expected, abs=1e-9, rel=0)


@pytest.mark.parametrize('case', CASES)
def test_video_consistency_equals_official(data_dir, case):
    videos, expected = load_case(data_dir, case)
    counted = count(videos)
    official = expected['VSPW_baseline_VC_perclip']
    for n in (8, 16):
        for name, (_, windows) in counted.items():
            clips = [math.nan if v is None else v for v in expected['videos'][name][f'VC{n}_clips']]
            values = [kept / common if common else math.nan for common, kept in windows[n]]
            np.testing.assert_allclose(values, clips, atol=1e-9, rtol=0)
        pooled = [pair for _, windows in counted.values() for pair in windows[n]]
        assert close(mean_consistency(pooled), official[f'VC{n}'])
        assert len(pooled) == official[f'num_clips_VC{n}']
        assert sum(common == 0 for common, _ in pooled) == official[f'num_nan_clips_VC{n}']
    dvis = pooled_vc16(*([pair for _, windows in counted.values() for pair in windows[n]] for n in (8, 16)))
    assert close(dvis, expected['DVIS_Plus_eval_vc']['VC16'])


@pytest.mark.parametrize('case', ['main', 'short', 'perfect', 'degenerate'])
def test_semantic_scores_equal_official(data_dir, case):
    videos, expected = load_case(data_dir, case)
    counted = count(videos)
    counts = sum(counts for counts, _ in counted.values())
    official = expected['DVIS_Plus_eval_miou']
    scores = semantic_scores(counts)
    for ours, theirs in dict(mIoU='mIoU', aAcc='Acc', mAcc='Acc_class', fwIoU='fwIoU').items():
        assert close(scores[ours], official[theirs])
    iou = per_class_iou(counts)
    assert np.flatnonzero(~np.isnan(iou)).tolist() == official['classes_in_gt']
    for index, value in official['IoU_per_class_in_gt'].items():
        assert close(iou[int(index)], value)
    assert counts.sum() == official['confusion_total_pixels']
    for name, (video_counts, _) in counted.items():
        assert close(semantic_scores(video_counts)['mIoU'], expected['videos'][name]['mIoU'])
    if case != 'degenerate':  # there the official mean is not defined, because one video is all void
        assert close(video_miou(c for c, _ in counted.values()), expected['VSPW_baseline_test']['video_mIoU'])


def test_no_prediction_is_a_miss():
    confusion = ConfusionMatrix(2)
    confusion.update(np.array([[1, 1, 2, 0]], np.uint8), np.array([[0, 255, 1, 255]], np.uint8))
    np.testing.assert_array_equal(confusion.counts, [[1, 0, 1], [0, 1, 0]])
    np.testing.assert_allclose(per_class_iou(confusion.counts), [0.5, 1])


def test_offset_and_void():
    """CamVid: classes from 0, void 11."""
    confusion = ConfusionMatrix(11, label_offset=0)
    confusion.update(np.array([[0, 10, 11, 11]], np.uint8), np.array([[0, 9, 3, 4]], np.uint8))
    assert confusion.counts.sum() == 2 and confusion.counts[0, 0] == 1 and confusion.counts[10, 9] == 1


def test_merge_and_bad_input():
    a, b = ConfusionMatrix(3), ConfusionMatrix(3)
    a.update(np.array([[1, 2]], np.uint8), np.array([[0, 0]], np.uint8))
    b.merge(a)
    b.merge(a)
    np.testing.assert_array_equal(b.counts, 2 * a.counts)
    with pytest.raises(ValueError, match='predicted class 3, 7 is out of range: expected 0..2'):
        a.update(np.ones((1, 2), np.uint8), np.array([[3, 7]], np.uint8))
    with pytest.raises(ValueError, match='values -1..300'):
        a.update(np.ones((1, 2), np.uint8), np.array([[-1, 300]]))
    with pytest.raises(ValueError, match='size'):
        a.update(np.ones((1, 2), np.uint8), np.ones((2, 1), np.uint8))
    with pytest.raises(ValueError, match='cannot merge'):
        a.merge(ConfusionMatrix(4))
    with pytest.raises(ValueError, match='does not fit'):
        ConfusionMatrix(256)
    with pytest.raises(ValueError, match='window_sizes'):
        VideoConsistency((0, 8))


def test_majority_class_baseline():
    confusion = ConfusionMatrix(3)
    confusion.update(np.array([[1, 2, 2, 2]], np.uint8), np.array([[2, 2, 2, 2]], np.uint8))
    assert majority_class_baseline(confusion.counts)['mIoU'] == pytest.approx((3 / 4 + 0) / 2)
    assert majority_class_baseline(confusion.counts)['aAcc'] == pytest.approx(3 / 4)


def test_window_of_one_frame_leaves_out_the_last():
    consistency = VideoConsistency((1, 3))
    frame = np.zeros((2, 2), np.uint8)
    for _ in range(4):
        consistency.update(frame, frame)
    assert consistency.windows == {1: [(4, 4)] * 3, 3: [(4, 4)]}


# --- the registered metric ---


def write_png(path, values, palette=False):
    image = Image.fromarray(values)
    if palette:
        image = image.convert('P')
        image.putpalette(list(range(255, -1, -1)) * 3)
        image.putdata(values.reshape(-1).tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return str(path)


def make_sample(root, name, gts, preds):
    frames = []
    for t, (gt, pred) in enumerate(zip(gts, preds)):
        path = write_png(root / name / f'{t:05d}.png', gt)
        frame = DetDataSample(metainfo=dict(
            video_id=name, frame_id=t, video_length=len(gts), seg_map_path=path, ori_shape=gt.shape))
        frame.pred_sem_seg = PixelData(sem_seg=torch.from_numpy(pred)[None])
        frames.append(frame)
    return TrackDataSample(video_data_samples=frames)


@pytest.fixture
def samples(data_dir, tmp_path):
    videos, expected = load_case(data_dir, 'main')
    return [make_sample(tmp_path, name, *arrays) for name, arrays in videos.items()], expected


def evaluate(samples):
    evaluator = Evaluator(METRICS.build(dict(type='VSSMetric')))
    evaluator.dataset_meta = META
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(len(samples))


def test_metric_equals_official(samples):
    samples, expected = samples
    numbers = evaluate(samples)
    wanted = {
        'vss/mIoU': expected['DVIS_Plus_eval_miou']['mIoU'],
        'vss/fwIoU': expected['DVIS_Plus_eval_miou']['fwIoU'],
        'vss/aAcc': expected['DVIS_Plus_eval_miou']['Acc'],
        'vss/mAcc': expected['DVIS_Plus_eval_miou']['Acc_class'],
        'vss/video_mIoU': expected['VSPW_baseline_test']['video_mIoU'],
        'vss/VC8': expected['VSPW_baseline_VC_perclip']['VC8'],
        'vss/VC16': expected['VSPW_baseline_VC_perclip']['VC16'],
        'vss/VC16_pooled': expected['DVIS_Plus_eval_vc']['VC16'],
    }
    assert set(numbers) == {*wanted, 'vss/mIoU_trivial'}
    for name, value in wanted.items():
        assert numbers[name] == pytest.approx(100 * value, abs=1e-7, rel=0)
    assert 0 < numbers['vss/mIoU_trivial'] < numbers['vss/mIoU']


def test_metric_frame_by_frame_as_an_image_model_gives_them(samples):
    """Single frames, the map under mmseg's name, dicts as mmengine's evaluator passes them."""
    samples, _ = samples
    frames = []
    for sample in samples:
        for frame in sample.video_data_samples:
            frame = frame.clone()
            frame.pred_sem_seg = PixelData(data=frame.pred_sem_seg.sem_seg)
            frames.append(frame)
    assert evaluate(frames) == evaluate(samples)
    metric = VSSMetric()
    metric.dataset_meta = META
    metric.process({}, frames[:3])
    with pytest.raises(ValueError, match='frame 4 came where frame 3 was expected'):
        metric.process({}, frames[4:5])
    with pytest.raises(ValueError, match='are missing: all frames'):
        metric.evaluate(1)


@pytest.mark.parametrize('split', [[8], [5, 3], [1, 7], [2, 5, 1]])
def test_metric_over_ranks(samples, split, monkeypatch):
    """Uneven splits, and a video that the sampler repeats to fill up the last batch."""
    samples, _ = samples
    alone = evaluate(samples)
    parts, start = [], 0
    for length in split:
        metric = VSSMetric()
        metric.dataset_meta = META
        metric.process({}, samples[start:start + length])
        parts.append(metric)
        start += length
    parts[-1].process({}, samples[:1])
    monkeypatch.setattr(video_metric, 'all_gather_object', lambda mine: [part.results.copy() for part in parts])
    assert parts[0].evaluate(len(samples)) == alone


def test_metric_keeps_counts_only(samples):
    samples, _ = samples
    metric = VSSMetric()
    metric.dataset_meta = META
    metric.process({}, samples[:1])
    entry = metric.results[0]
    assert len(metric.results) == 1 and entry.video_id == 'v00'
    assert entry.counts.confusion.cells.size < 2000
    assert all(isinstance(value, int) for pair in entry.counts.windows[8] for value in pair)


def _run_rank(rank, init_file, root, videos, numbers):
    torch_dist.init_process_group('gloo', init_method=f'file://{init_file}', rank=rank, world_size=2)
    samples = [make_sample(root / str(rank), name, *arrays) for name, arrays in videos.items()]
    numbers.put(evaluate(samples[:3] if rank == 0 else samples[3:]))
    torch_dist.destroy_process_group()


def test_metric_two_processes(data_dir, tmp_path, samples):
    videos, _ = load_case(data_dir, 'main')
    context = mp.get_context('spawn')
    numbers = context.Queue()
    workers = [context.Process(target=_run_rank, args=(rank, tmp_path / 'init', tmp_path / 'ranks', videos, numbers))
               for rank in range(2)]
    for worker in workers:
        worker.start()
    both = [numbers.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    assert both[0] == both[1] == evaluate(samples[0])


def test_metric_short_and_void_videos_give_no_nan(tmp_path):
    void = np.zeros((3, 4, 6), np.uint8)
    numbers = evaluate([make_sample(tmp_path, 'short', void + 1, void), make_sample(tmp_path, 'void', void, void)])
    assert numbers['vss/mIoU'] == 100 and not any('VC' in name for name in numbers)
    numbers = evaluate([make_sample(tmp_path, 'void', np.zeros((10, 4, 6), np.uint8), np.zeros((10, 4, 6), np.uint8))])
    assert numbers == {'vss/VC8': 100.0, 'vss/VC16_pooled': 100.0}


def test_metric_bad_input(tmp_path):
    frames = np.zeros((2, 4, 6), np.uint8)
    sample = make_sample(tmp_path, 'a', frames, frames)
    frame = sample.video_data_samples[1]

    def fails(error, match, sample=sample, dataset_meta=META):
        metric = VSSMetric()
        metric.dataset_meta = dataset_meta
        with pytest.raises(error, match=match):
            metric.process({}, [sample if isinstance(sample, dict) else sample.to_dict()])
        assert metric.results == []

    frame.pred_sem_seg = PixelData(sem_seg=torch.zeros(1, 2, 3, dtype=torch.uint8))
    fails(ValueError, r'a/00001.png": prediction of size \(2, 3\) for a ground truth of size \(4, 6\)')
    frame.pred_sem_seg = PixelData(sem_seg=torch.full((1, 4, 6), 200, dtype=torch.uint8))
    fails(ValueError, 'a/00001.png": predicted class 200 is out of range')
    frame.pred_sem_seg = PixelData(sem_seg=torch.zeros(1, 4, 6, dtype=torch.uint8))
    write_png(tmp_path / 'a/00001.png', np.zeros((5, 6), np.uint8))
    fails(ValueError, 'a/00001.png')
    (tmp_path / 'a/00001.png').write_bytes(b'\x89PNG\r\n\x1a\n')
    fails(ValueError, 'a/00001.png" cannot be decoded')
    (tmp_path / 'a/00001.png').unlink()
    fails(FileNotFoundError, 'a/00001.png" does not exist')
    fails(ValueError, 'label_offset', dataset_meta=dict(classes=['a']))
    fails(ValueError, 'num_classes', dataset_meta=dict(label_offset=1))
    fails(ValueError, 'without frames', sample=dict(video_data_samples=[]))
    frame.set_metainfo(dict(seg_map_path=None))
    fails(ValueError, 'format_only=True')
    del frame.pred_sem_seg
    frame.set_metainfo(dict(seg_map_path=write_png(tmp_path / 'a/00001.png', frames[1])))
    fails(ValueError, 'pred_sem_seg')
    fails(ValueError, 'lacks "video_id"', sample=TrackDataSample(video_data_samples=[DetDataSample()]))
    with pytest.raises(ValueError, match='needs output_dir'):
        VSSMetric(format_only=True)


def test_format_only(tmp_path):
    preds = np.random.default_rng(0).integers(0, 124, (3, 4, 6), dtype=np.uint8)
    sample = make_sample(tmp_path / 'gt', 'a', np.zeros_like(preds), preds)
    for t, frame in enumerate(sample.video_data_samples):
        frame.set_metainfo(dict(seg_map_path=None, img_path=f'images/a/{t:05d}.jpg'))
    metric = VSSMetric(output_dir=str(tmp_path / 'out'), format_only=True)
    metric.process({}, [sample])
    assert metric.evaluate(1) == {}
    for t, pred in enumerate(preds):
        np.testing.assert_array_equal(read_label_map(str(tmp_path / f'out/a/{t:05d}.png')), pred)


@pytest.mark.parametrize('folder', ['Annotations', 'Annotations/left', '.'])
def test_predictions_are_not_written_over_the_masks(tmp_path, folder):
    path = tmp_path / 'Annotations/left/0.png'
    path.parent.mkdir(parents=True)
    Image.fromarray(np.ones((4, 6), np.uint8)).save(path)
    metric = VSSMetric(num_classes=2, label_offset=0, output_dir=str(tmp_path / folder))
    sample = dict(video_id='left', img_path='0.jpg', seg_map_path=str(path),
                  pred_sem_seg=dict(sem_seg=torch.zeros(1, 4, 6, dtype=torch.uint8)))
    with pytest.raises(ValueError, match='would overwrite or mix with the input'):
        metric.process(None, [dict(video_data_samples=[sample])])
    assert (read_label_map(str(path)) == 1).all()


@pytest.mark.parametrize('video', ['/abs', '../up', 'a\nb'])
def test_a_video_that_leaves_the_folder_is_not_written(tmp_path, video):
    metric = VSSMetric(num_classes=2, label_offset=0, output_dir=str(tmp_path / 'out'), format_only=True)
    sample = dict(video_id=video, img_path='0.jpg', pred_sem_seg=dict(sem_seg=torch.zeros(1, 4, 6, dtype=torch.uint8)))
    with pytest.raises(ValueError, match='the name'):
        metric.process(None, [dict(video_data_samples=[sample])])
    assert list(tmp_path.iterdir()) == []
