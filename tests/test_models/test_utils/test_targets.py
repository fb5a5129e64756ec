# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmvc.models.utils import clip_targets, frame_targets, get_sample_weights
from tests.helpers.tiny_models import make_sample

CPU = torch.device('cpu')


@pytest.fixture
def masks():
    """Four objects in three frames: 0 always, 1 from frame 1 on, 2 in frame 2 only, 3 in frames 0 and 2."""
    masks = np.zeros((4, 3, 6, 8), dtype=np.uint8)
    for identity, seen in enumerate(([0, 1, 2], [1, 2], [2], [0, 2])):
        for t in seen:
            masks[identity, t, identity, :t + 1] = 1
    return masks


@pytest.fixture
def sample(masks):
    return make_sample([5, 6, 7, 8], masks)


def test_frame_targets(sample, masks):
    targets = frame_targets([sample, sample], CPU)
    assert [target.instances_ids.tolist() for target in targets] == [[0, 3], [0, 1], [0, 1, 2, 3]] * 2
    assert [target.labels.tolist() for target in targets] == [[5, 8], [5, 6], [5, 6, 7, 8]] * 2
    for t, target in enumerate(targets[:3]):
        assert target.masks.dtype == torch.uint8
        assert torch.equal(target.masks, torch.from_numpy(masks[target.instances_ids, t]))


def test_clip_targets_align_objects_by_identity(sample, masks):
    target, _ = clip_targets([sample, sample], CPU)
    assert target.instances_ids.tolist() == [0, 3, 1, 2]  # by first appearance
    assert target.labels.tolist() == [5, 8, 6, 7]
    assert target.present.int().tolist() == [[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1]]
    assert torch.equal(target.masks, torch.from_numpy(masks[[0, 3, 1, 2]]))


def test_clip_targets_in_a_frame_of_another_order(sample, masks):
    """The order of objects differs from frame to frame."""
    gt = sample[2].gt_instances
    order = torch.tensor([2, 0, 3, 1])
    sample[2].gt_instances = InstanceData(
        labels=gt.labels[order], instances_ids=gt.instances_ids[order], masks=gt.masks[order.numpy()])
    target, = clip_targets([sample], CPU)
    assert target.instances_ids.tolist() == [0, 3, 1, 2]
    assert torch.equal(target.masks, torch.from_numpy(masks[[0, 3, 1, 2]]))


def test_large_identities(masks):
    """VPS ids are arbitrary int32 numbers."""
    sample = make_sample([5, 6, 7, 8], masks)
    for frame in sample:
        frame.gt_instances.instances_ids += 2**31
    assert clip_targets([sample], CPU)[0].instances_ids.tolist() == [i + 2**31 for i in (0, 3, 1, 2)]


def test_clips_without_objects():
    sample = make_sample([], np.zeros((0, 2, 6, 8), dtype=np.uint8))
    target, = clip_targets([sample], CPU)
    assert target.masks.shape == (0, 2, 6, 8) and target.present.shape == (0, 2)
    assert target.labels.dtype == torch.int64 and len(target.labels) == 0
    assert [len(frame.labels) for frame in frame_targets([sample], CPU)] == [0, 0]


def test_sample_weights(masks):
    clean, masked, unmarked = (make_sample([5, 6, 7, 8], masks, **meta)
                               for meta in (dict(masked=False), dict(masked=True), {}))
    weights = get_sample_weights([clean, masked, unmarked], 0.25, CPU)
    assert weights.tolist() == [1.0, 0.25, 1.0] and weights.dtype == torch.float32
