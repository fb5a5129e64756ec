# Copyright (c) The mmvc contributors. All rights reserved.
"""Numbers of videos of which only some frames are labelled, in metrics and from files."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData, PixelData
from pycocotools import mask as mask_utils

from mmvc.evaluation.files import evaluate_vis, evaluate_vps, evaluate_vss
from mmvc.evaluation.functional import VideoConsistency, match_video
from mmvc.evaluation.metrics import VISMetric, VPSMetric, VSSMetric
from mmvc.formats.label_maps import encode_panoptic_map
from mmvc.formats.vspw import find_unlabelled, list_masks
from mmvc.utils.errors import DataError, UsageError

HEIGHT, WIDTH, LENGTH = 8, 12, 24
VIDEOS = ('left', 'right')
CLASSES = ('floor', 'cup', 'plate')
LABELLED = dict(left=[0, 3, *range(6, 16), 20], right=[*range(9), 23])


def blocks(rng, length):
    """Maps of a few classes, 0 to 2, that stay mostly the same over time."""
    first = np.kron(rng.randint(0, 3, (2, 3)), np.ones((HEIGHT // 2, WIDTH // 3), int))
    maps = [first]
    for _ in range(length - 1):
        image = maps[-1].copy()
        y, x = rng.randint(HEIGHT), rng.randint(WIDTH)
        image[y:y + 2, x:x + 2] = rng.randint(3)
        maps.append(image)
    return np.stack(maps).astype(np.uint8)


@pytest.fixture
def maps():
    """True and predicted classes (T, H, W) by video."""
    rng = np.random.RandomState(3)
    truth = {video: blocks(rng, LENGTH) for video in VIDEOS}
    noise = rng.rand(len(VIDEOS), LENGTH, HEIGHT, WIDTH) < 0.1
    return truth, {video: np.where(wrong, 1, truth[video]).astype(np.uint8) for video, wrong in zip(VIDEOS, noise)}


# --- video consistency ---


@pytest.mark.parametrize('n', [1, 2, 5, 8])
def test_windows_are_labelled_frames_in_a_row(maps, n):
    truth, pred = maps
    for video in VIDEOS:
        consistency = VideoConsistency((n, ))
        for t in range(LENGTH):
            if t in LABELLED[video]:
                consistency.update(truth[video][t], pred[video][t])
            else:
                consistency.skip()
        expected = []
        for start in range(LENGTH - n):  # the last window of the video is left out
            window = slice(start, start + n)
            if all(t in LABELLED[video] for t in range(LENGTH)[window]):
                constant, kept = ((x[window] == x[start]).all(0) for x in (truth[video], pred[video]))
                expected.append((constant.sum(), (constant & kept).sum()))
        assert consistency.windows[n] == expected
        assert expected or n > 8


def test_a_video_without_gaps_has_the_same_windows(maps):
    truth, pred = maps
    whole, tail = VideoConsistency((4, )), VideoConsistency((4, ))
    tail.skip()
    for gt, of_frame in zip(truth['left'], pred['left']):
        whole.update(gt, of_frame)
        tail.update(gt, of_frame)
    assert whole.windows == tail.windows
    tail.skip()
    assert len(tail.windows[4]) == len(whole.windows[4]) + 1, 'now a frame follows the last window'


# --- metrics and files give the same numbers ---


def assert_equal_numbers(metric_numbers, report):
    """Numbers of a metric, in percent, and of a report."""
    numbers = {name: 100 * value for name, value in report.numbers.items() if not np.isnan(value)}
    assert metric_numbers == pytest.approx(numbers, abs=1e-9, rel=0)
    assert len(numbers) > 3


def score(metric, samples, meta=None, videos=None):
    metric.dataset_meta = meta
    if videos is not None:
        metric.check_data(videos)
    metric.process(None, samples)
    return metric.compute_metrics(metric.results)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


@pytest.fixture
def vss(maps, tmp_path):
    """Ground truth of the labelled frames, predictions of all frames, and samples of a test."""
    truth, pred = maps
    samples, videos = [], []
    for video in VIDEOS:
        frames, images = [], []
        for t in range(LENGTH):
            image, mask = tmp_path / f'gt/data/{video}/origin/{t}.jpg', tmp_path / f'gt/data/{video}/mask/{t}.png'
            write(image, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
            write(tmp_path / f'pred/{video}/{t}.png', pred[video][t])
            own = dict(img_path=str(image), frame_id=t, video_id=video)
            if t in LABELLED[video]:
                write(mask, truth[video][t] + 1)
                own['seg_map_path'] = str(mask)
            else:
                own['labelled'] = False
            images.append(own)
            frames.append(DetDataSample(
                metainfo=own, pred_sem_seg=PixelData(sem_seg=torch.tensor(pred[video][t])[None])))
        samples.append(TrackDataSample(video_data_samples=frames))
        videos.append(dict(video_id=video, images=images))
    (tmp_path / 'gt/val.txt').write_text('\n'.join(VIDEOS))
    return tmp_path, samples, videos


META = dict(classes=CLASSES, label_offset=1, void_values=(0, ))


def test_vss(vss):
    root, samples, videos = vss
    numbers = score(VSSMetric(), samples, META, videos)
    masks = list_masks(root / 'gt')
    unlabelled = find_unlabelled(root / 'gt', masks)
    report = evaluate_vss(root / 'pred', masks, CLASSES, unlabelled=unlabelled, sparse_labels=True)
    assert_equal_numbers(numbers, report)
    assert 'VC8' in numbers and 'VC16' not in numbers
    assert '23 of 48 frames (47.9%) are labelled' in report.to_text()
    assert not report.missing and not report.unused
    assert [row['frames'] for row in report.videos] == [13, 10]


def test_vss_is_that_of_the_labelled_frames(vss):
    """mIoU does not change if the other frames are taken out of the data."""
    root, samples, _ = vss
    numbers = score(VSSMetric(), samples, META)
    for sample in samples:
        sample.video_data_samples = [frame for frame in sample if frame.get('labelled', True)]
    cut = score(VSSMetric(), samples, META)
    assert {name: value for name, value in numbers.items() if 'VC' not in name} == \
        {name: value for name, value in cut.items() if 'VC' not in name}
    assert cut['VC8'] != numbers['VC8'], 'frames that do not follow one another are no window'


def test_vss_without_the_option_is_refused(vss):
    root, samples, videos = vss
    masks = list_masks(root / 'gt')
    with pytest.raises(FileNotFoundError, match='--sparse-labels'):
        evaluate_vss(root / 'pred', masks, CLASSES, unlabelled=find_unlabelled(root / 'gt', masks))
    for video in videos:
        for image in video['images']:
            image.pop('labelled', None)
    with pytest.raises(UsageError, match='sparse_labels=True of the dataset'):
        VSSMetric().check_data(videos)


def test_vss_still_refuses_what_is_missing(vss):
    root, _, videos = vss
    masks = list_masks(root / 'gt')
    unlabelled = find_unlabelled(root / 'gt', masks)
    write(root / 'pred/left/99.png', np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(FileNotFoundError, match='have a prediction and no ground truth: left/99'):
        evaluate_vss(root / 'pred', masks, CLASSES, unlabelled=unlabelled, sparse_labels=True)
    (root / 'pred/left/99.png').unlink()
    (root / 'pred/left/1.png').unlink()  # not labelled: not needed
    evaluate_vss(root / 'pred', masks, CLASSES, unlabelled=unlabelled, sparse_labels=True)
    (root / 'pred/left/3.png').unlink()
    with pytest.raises(FileNotFoundError, match='no prediction: left/3'):
        evaluate_vss(root / 'pred', masks, CLASSES, unlabelled=unlabelled, sparse_labels=True)
    report = evaluate_vss(root / 'pred', masks, CLASSES, unlabelled=unlabelled, sparse_labels=True, allow_missing=True)
    assert report.missing == ['left/3'] and report.videos[0]['missing'] == 1
    (root / 'gt/data/left/mask/3.png').unlink()
    with pytest.raises(FileNotFoundError, match='do not exist'):
        VSSMetric().check_data(videos)
    for image in videos[1]['images']:
        image.update(labelled=False)
    with pytest.raises(UsageError, match='no frame of video "right" is labelled'):
        VSSMetric().check_data(videos[1:])


def test_vss_needs_images_to_find_the_gaps(vss):
    root, _, _ = vss
    masks = list_masks(root / 'gt')
    with pytest.raises(FileNotFoundError, match='no images in .*--images'):
        find_unlabelled(root / 'gt', masks, 'nowhere/{video}', needs_images=True)


@pytest.fixture
def vps(maps, tmp_path):
    truth, pred = maps
    categories = [dict(id=index, name=name, isthing=int(index > 0)) for index, name in enumerate(CLASSES)]
    gt = dict(videos=[], annotations=[], categories=categories)
    results, samples, videos = [], [], []

    def segments(ids):
        return [dict(id=int(i), category_id=int(i) - 1, iscrowd=0, area=int((ids == i).sum()))
                for i in np.unique(ids)]

    for video in VIDEOS:
        frames, images, annotated, predicted = [], [], [], []
        for t in range(LENGTH):
            image, mask = tmp_path / f'gt/images/{video}/{t}.jpg', tmp_path / f'gt/panomasksRGB/{video}/{t}.png'
            write(image, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
            ids, found = truth[video][t].astype(np.int32) + 1, pred[video][t].astype(np.int32) + 1
            path = tmp_path / f'pred/pan_pred/{video}/{t}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_panoptic_map(found))
            predicted.append(dict(file_name=f'{t}.png', segments_info=segments(found)))
            own = dict(img_path=str(image), frame_id=t, video_id=video)
            if t in LABELLED[video]:
                mask.parent.mkdir(parents=True, exist_ok=True)
                mask.write_bytes(encode_panoptic_map(ids))
                annotated.append(dict(file_name=f'{t}.png', segments_info=segments(ids)))
                own['seg_map_path'] = str(mask)
            else:
                own['labelled'] = False
            images.append(own)
            frames.append(DetDataSample(
                metainfo=dict(own, segments_info=segments(found)),
                pred_panoptic_seg=PixelData(panoptic_seg=torch.tensor(found)[None])))
        gt['videos'].append(dict(video_id=video, images=[
            dict(id=str(t), file_name=f'{t}.png', width=WIDTH, height=HEIGHT) for t in range(LENGTH)]))
        gt['annotations'].append(dict(video_id=video, annotations=annotated))
        results.append(dict(video_id=video, annotations=predicted))
        samples.append(TrackDataSample(video_data_samples=frames))
        videos.append(dict(video_id=video, images=images))
    ann_file = tmp_path / 'gt/panoptic_gt_VIPSeg_val.json'
    ann_file.write_text(json.dumps(gt))
    (tmp_path / 'pred/pred.json').write_text(json.dumps(dict(annotations=results)))
    return tmp_path, ann_file, samples, videos


def test_vps(vps):
    root, ann_file, samples, videos = vps
    numbers = score(VPSMetric(str(ann_file)), samples, dict(classes=CLASSES), videos)
    report = evaluate_vps(root / 'pred', ann_file, str(root / 'gt/panomasksRGB/{video}'), sparse_labels=True)
    assert_equal_numbers(numbers, report)
    assert '23 of 48 frames (47.9%) are labelled' in report.to_text() and not report.unused
    for sample in samples:  # windows and tubes are those of the labelled frames
        sample.video_data_samples = [frame for frame in sample if frame.get('labelled', True)]
    assert score(VPSMetric(str(ann_file)), samples, dict(classes=CLASSES)) == numbers


def test_vps_refuses(vps):
    root, ann_file, _, videos = vps
    masks = str(root / 'gt/panomasksRGB/{video}')
    with pytest.raises(FileNotFoundError, match='--sparse-labels'):
        evaluate_vps(root / 'pred', ann_file, masks)
    content = json.loads(ann_file.read_text())
    content['annotations'][0]['annotations'] = [dict(frame, segments_info=[])
                                                for frame in content['annotations'][0]['annotations']]
    ann_file.write_text(json.dumps(content))
    for path in (root / 'gt/panomasksRGB/left').iterdir():
        path.unlink()
    with pytest.raises(DataError, match='no frame of video "left" is labelled'):
        evaluate_vps(root / 'pred', ann_file, masks, sparse_labels=True)


def encode(mask):
    rle = mask_utils.encode(np.asfortranarray(mask, np.uint8))
    return dict(size=list(rle['size']), counts=rle['counts'].decode())


@pytest.fixture
def vis(maps, tmp_path):
    truth, pred = maps
    content = dict(videos=[], annotations=[], categories=[dict(id=5, name='cup'), dict(id=9, name='plate')])
    results, samples, videos = [], [], []
    for number, video in enumerate(VIDEOS, 1):
        labelled = LABELLED[video]
        content['videos'].append(dict(
            id=number, width=WIDTH, height=HEIGHT, labelled_frames=labelled[::-1],
            file_names=[f'{video}/{t}.jpg' for t in range(LENGTH)]))
        for label, category in ((1, 5), (2, 9)):
            content['annotations'].append(dict(
                id=len(content['annotations']) + 1, video_id=number, category_id=category, iscrowd=0,
                segmentations=[encode(truth[video][t] == label) if t in labelled and (truth[video][t] == label).any()
                               else None for t in range(LENGTH)]))
            results.append(dict(video_id=number, category_id=category, score=0.5 + 0.1 * label, segmentations=[
                encode(pred[video][t] == label) if (pred[video][t] == label).any() else None for t in range(LENGTH)]))
        # a track that no labelled frame shows: nobody knows whether it is right
        results.append(dict(video_id=number, category_id=5, score=0.9, segmentations=[
            None if t in labelled else encode(np.ones((HEIGHT, WIDTH))) for t in range(LENGTH)]))
        frames = []
        for t in range(LENGTH):
            masks = [pred[video][t] == 1, pred[video][t] == 2, np.full((HEIGHT, WIDTH), t not in labelled)]
            frames.append(DetDataSample(metainfo=dict(video_id=str(number), frame_id=t)))
            frames[-1].pred_track_instances = InstanceData(
                masks=torch.tensor(np.stack(masks)), labels=torch.tensor([0, 1, 0]),
                scores=torch.tensor([0.6, 0.7, 0.9], dtype=torch.float64), instances_ids=torch.arange(3))
        samples.append(TrackDataSample(video_data_samples=frames))
        videos.append(dict(video_id=str(number), video_length=LENGTH,
                           images=[dict(frame_id=t) for t in range(LENGTH)]))
    path = tmp_path / 'valid.json'
    path.write_text(json.dumps(content))
    (tmp_path / 'results.json').write_text(json.dumps(results))
    return path, tmp_path / 'results.json', samples, videos


def test_vis(vis, tmp_path):
    ann_file, results, samples, videos = vis
    numbers = score(VISMetric(str(ann_file)), samples, dict(classes=('cup', 'plate')), videos)
    report = evaluate_vis(results, ann_file)
    assert_equal_numbers(numbers, report)
    assert '23 of 48 frames (47.9%) are labelled' in report.to_text()
    truth, found = json.loads(ann_file.read_text()), json.loads(results.read_text())
    for video in truth['videos']:  # the same files without the other frames
        kept = sorted(video.pop('labelled_frames'))
        video['file_names'] = [video['file_names'][t] for t in kept]
        for track in (*truth['annotations'], *found):
            if track['video_id'] == video['id']:
                track['segmentations'] = [track['segmentations'][t] for t in kept]
    (tmp_path / 'cut.json').write_text(json.dumps(truth))
    (tmp_path / 'cut_results.json').write_text(json.dumps([track for track in found if any(track['segmentations'])]))
    cut = evaluate_vis(tmp_path / 'cut_results.json', tmp_path / 'cut.json')
    assert cut.numbers == pytest.approx(report.numbers, nan_ok=True)


def test_vis_with_all_frames_labelled_counts_empty_detections():
    """As the official script does; only a track that is visible in other frames is left out."""
    mask = encode(np.ones((HEIGHT, WIDTH)))
    truth = [dict(category_id=1, segmentations=[mask, None])]
    empty = dict(category_id=1, score=0.9, segmentations=[None, None])
    elsewhere = dict(category_id=1, score=0.9, segmentations=[None, mask])
    for labelled, detections, expected in ((None, [empty, elsewhere], 2), ([0], [empty, elsewhere], 1)):
        matched = match_video(truth, detections, HEIGHT, WIDTH, 2, labelled=labelled)
        assert len(matched[1].scores) == expected


def test_areas_and_occlusion_are_those_of_the_labelled_frames():
    """A track that is large in a labelled frame is large, whatever the annotation says of others."""
    mask = encode(np.ones((HEIGHT, WIDTH)))
    truth = [dict(category_id=1, segmentations=[mask, None], areas=[300**2, 10],
                  occlusion=['no_occlusion', 'severe_occlusion'])]
    matched = match_video(truth, [], HEIGHT, WIDTH, 2, with_occlusion=True, labelled=[0])
    assert matched[1].num_truths.tolist() == [1, 0, 0, 1, 1, 0, 0]
