# Copyright (c) The mmvc contributors. All rights reserved.
"""The three task outputs against those of the official VidEoMT code (``encoder_only/postprocess.npz``): equal.

The smallest margin of a decision is 1e-5, so that rounding does not change any.
"""

import json

import numpy as np
import pytest
import torch

from mmvc.models.task_modules.postprocessors import VideoPrediction
from mmvc.registry import TASK_UTILS


@pytest.fixture
def recorded(data_dir):
    with np.load(data_dir / 'encoder_only/postprocess.npz') as arrays:
        return dict(arrays)


@pytest.fixture
def meta(recorded):
    return json.loads(str(recorded['meta']))


@pytest.fixture
def prediction(recorded, meta):
    class_logits = torch.from_numpy(recorded['in/logits']).mean(dim=0)
    assert torch.equal(class_logits, torch.from_numpy(recorded['out/clip_logits']))
    sizes = (tuple(meta[name]) for name in ('padded', 'image', 'output'))
    masks = torch.from_numpy(recorded['in/masks']).transpose(0, 1)
    return VideoPrediction(class_logits.softmax(-1), None, masks, *sizes)


def test_vss(recorded, prediction):
    frames = list(TASK_UTILS.build(dict(type='VSSPostprocessor')).frames(prediction))
    assert np.array_equal(torch.cat([frame.pred_sem_seg.sem_seg for frame in frames]), recorded['out/vss/labels'])


def test_vis(recorded, meta, prediction):
    frames = list(TASK_UTILS.build(dict(type='VISPostprocessor', max_per_video=meta['max_num'])).frames(prediction))
    width = meta['output'][1]
    masks = np.unpackbits(recorded['out/vis/masks'], axis=-1)[..., :width].astype(bool)
    for t, frame in enumerate(frames):
        tracks = frame.pred_track_instances
        assert np.array_equal(tracks.scores, recorded['out/vis/scores'])
        assert np.array_equal(tracks.labels, recorded['out/vis/labels'])
        assert np.array_equal(tracks.masks, masks[:, t])


@pytest.mark.parametrize('thresholds', [(0.8, 0.8), (0.5, 0.8), (0.8, 0.0), (0.3, 0.5)])
def test_vps(recorded, meta, prediction, thresholds):
    score_threshold, overlap_threshold = thresholds
    prefix = f'out/vps/{score_threshold}_{overlap_threshold}'
    frames = list(
        TASK_UTILS.build(
            dict(
                type='VPSPostprocessor',
                thing_classes=range(meta['things']),
                score_threshold=score_threshold,
                overlap_threshold=overlap_threshold)).frames(prediction))
    segments = torch.cat([frame.pred_panoptic_seg.panoptic_seg for frame in frames])
    assert np.array_equal(segments, recorded[f'{prefix}/segments'])
    rows = {(s['id'], s['category_id'], int(s['isthing'])) for frame in frames for s in frame.segments_info}
    assert sorted(rows) == [tuple(row) for row in recorded[f'{prefix}/infos'].tolist()]


@pytest.mark.parametrize('task', ['vss', 'vis'])
def test_stream_ends_with_the_output_for_the_whole_video(recorded, prediction, task):
    """With the scores of the whole video, a frame alone gives the same."""
    segment = TASK_UTILS.build(dict(type=f'{task.upper()}Postprocessor')).start_stream()
    last = VideoPrediction(prediction.class_probs, None, prediction.mask_features[-1:], prediction.padded_shape,
                           prediction.img_shape, prediction.ori_shape)
    frame = segment(last)
    if task == 'vss':
        assert np.array_equal(frame.pred_sem_seg.sem_seg[0], recorded['out/vss/labels'][-1])
    else:
        assert np.array_equal(frame.pred_track_instances.instances_ids, recorded['out/vis/ids'])  # queries
