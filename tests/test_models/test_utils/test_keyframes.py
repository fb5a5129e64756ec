# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np
import pytest
import torch

from mmvc.models.utils import FeatureStore, KeyframeStore, PropagatedMasks
from mmvc.models.utils.keyframes import KeyframeSchedule, split_at_keyframes
from tests.helpers.tiny_inference import tiny_config, vivid_model

HEIGHT, WIDTH = 72, 104


def texture(seed, height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (height // 8, width // 8), np.uint8)
    return cv2.cvtColor(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2BGR)


def as_frame(image):
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def moving(num_frames, dx, dy, seed=0):
    """Windows onto a large texture, whose content moves by (dx, dy) pixels from frame to frame."""
    large = texture(seed, 3 * HEIGHT, 3 * WIDTH)
    return [as_frame(large[HEIGHT - dy * t:2 * HEIGHT - dy * t, WIDTH - dx * t:2 * WIDTH - dx * t])
            for t in range(num_frames)]


def test_the_flow_is_the_motion_since_the_keyframe():
    schedule = KeyframeSchedule(5)
    flows = [schedule.motion(frame) for frame in moving(6, dx=2, dy=-1)]
    assert flows[0] is None and flows[5] is None
    for t in range(1, 5):  # a place of the frame was further left and further down
        inner = flows[t][:, 6:-6, 8:-8]
        np.testing.assert_allclose(inner[0].mean() * WIDTH, -2 * t, atol=0.3)
        np.testing.assert_allclose(inner[1].mean() * HEIGHT, t, atol=0.3)


def test_a_new_scene_begins_with_a_keyframe():
    frames = [*moving(4, 1, 0), *moving(6, 1, 0, seed=1)]
    schedule = KeyframeSchedule(4)
    assert [i for i, frame in enumerate(frames) if schedule.motion(frame) is None] == [0, 4, 8]
    schedule = KeyframeSchedule(3)
    assert [i for i, frame in enumerate(frames) if schedule.motion(frame) is None] == [0, 3, 4, 7]


@pytest.mark.parametrize('size', [(16, 16), (17, 300), (33, 20)])
def test_small_frames(size):
    frame = as_frame(texture(0, *(max(16, side) for side in size))[:size[0], :size[1]])
    schedule = KeyframeSchedule(2)
    assert schedule.motion(frame) is None
    assert schedule.motion(frame).abs().max() < 0.01


def test_every_frame_without_an_interval():
    windows = [torch.zeros(3, 3, 4, 5, dtype=torch.uint8)]
    (window, flow), = split_at_keyframes(windows, 1)
    assert window is windows[0] and flow is None


def test_masks_move_along_the_flow():
    """By half of the width of a frame that fills a part of the padded input."""
    logits = torch.arange(12.).expand(2, 8, 12).clone()
    flow = torch.zeros(2, 4, 5)
    flow[0] = -2 / 9  # 2 pixels of the masks, whose frame has 9 columns
    moved = PropagatedMasks(logits, flow).warp(logits, (32, 36), (32, 48))
    torch.testing.assert_close(moved, (logits - 2).clamp(0))
    still = PropagatedMasks(logits, torch.zeros(2, 4, 5)).warp(logits, (30, 36), (32, 48))
    torch.testing.assert_close(still, logits)
    flow = torch.zeros(2, 4, 5)
    flow[1] = 0.5  # from below
    rows = torch.arange(8.)[:, None].expand(1, 8, 12)
    torch.testing.assert_close(PropagatedMasks(rows, flow).warp(rows, (16, 48), (32, 48)), (rows + 2).clamp(max=7))


@pytest.mark.parametrize('limit', [0, 100, 1e9])
def test_a_store_of_keyframes(limit):
    store = KeyframeStore(FeatureStore(memory_limit=limit))
    features, flows = torch.randn(3, 4, 2, 2), torch.randn(3, 2, 2, 2)
    store.extend(features[:1])
    store.propagate(flows[0])
    store.extend(features[1:])
    store.propagate(flows[1])
    store.propagate(flows[2])
    assert len(store) == 6 and store.keyframe_of == [0, 0, 1, 2, 2, 2]
    assert store.features.bytes_in_memory <= limit
    for item, keyframe, flow in zip(store, store.keyframe_of, [None, 0, None, None, 1, 2]):
        found = item if flow is None else item.features
        assert torch.equal(found, features[keyframe])
        assert flow is None or torch.equal(item.flow, flows[flow])


def build(stage, task, interval):
    cfg = tiny_config(stage, task)
    cfg.model.keyframe_interval = interval
    return vivid_model(cfg).eval()


def predict(model, frames, size=4, stream=False):
    windows = torch.stack(frames).split(size)
    if stream:
        return list(model.stream(windows, (HEIGHT, WIDTH)))
    return list(model.postprocessor.frames(model.predict_video(windows, (HEIGHT, WIDTH))))


def maps(samples):
    """What the tasks predict, as tensors."""
    for sample in samples:
        if 'pred_sem_seg' in sample:
            yield sample.pred_sem_seg.sem_seg
        elif 'pred_panoptic_seg' in sample:
            yield sample.pred_panoptic_seg.panoptic_seg
        else:
            yield sample.pred_track_instances.masks


@pytest.mark.parametrize('stage', ['MinVIS', 'DVISOnline', 'DVISOffline'])
@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_a_video_that_stands_still(stage, task, monkeypatch):
    """Every frame has the prediction of its keyframe, and only keyframes pass through the network."""
    model = build(stage, task, 3)
    seen = []
    process_window = model.process_window

    def watched(frames, state=None):
        seen.append(frames.shape[1])
        return process_window(frames, state)

    monkeypatch.setattr(model, 'process_window', watched)
    frames = moving(1, 0, 0) * 3 + moving(1, 0, 0, seed=1) * 2
    with torch.no_grad():
        found = list(maps(predict(model, frames)))
        assert seen == [1, 1]
        expected = list(maps(predict(build(stage, task, 1), [frames[0], frames[3]])))
    assert len(found) == 5
    for index, keyframe in enumerate([0, 0, 0, 1, 1]):
        assert (found[index] == expected[keyframe]).float().mean() > 0.999
    assert any(part.unique().numel() > 1 for part in found)


@pytest.mark.parametrize('stage, task', [('DVISOffline', 'vss'), ('DVISOnline', 'vps'), ('MinVIS', 'vis')])
def test_windows_do_not_matter(stage, task):
    model, frames = build(stage, task, 2), moving(5, 2, 1)
    with torch.no_grad():
        one, other = (list(maps(predict(model, frames, size))) for size in (1, 5))
    assert all(torch.equal(a, b) for a, b in zip(one, other))


@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_a_stream_keeps_classes_and_identities_of_the_keyframe(task):
    """At the keyframes it equals a stream of the keyframes alone; between them, tracks and their scores stay."""
    model, frames = build('DVISOnline', task, 2), moving(5, 2, 1)
    with torch.no_grad():
        found = predict(model, frames, 1, stream=True)
        expected = predict(build('DVISOnline', task, 1), frames[::2], 1, stream=True)
    assert len(found) == 5
    assert all(torch.equal(a, b) for a, b in zip(maps(found[::2]), maps(expected)))
    if task == 'vis':
        for keyframe, after in zip(found[::2], found[1::2]):
            for key in ('instances_ids', 'labels', 'scores'):
                assert torch.equal(keyframe.pred_track_instances[key], after.pred_track_instances[key])
