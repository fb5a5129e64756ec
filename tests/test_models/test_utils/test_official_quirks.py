# Copyright (c) The mmvc contributors. All rights reserved.
"""What the official code of the encoder-only models does differently."""

import pytest
import torch

from mmvc.models.task_modules.assigners import ClipHungarianMatcher
from mmvc.models.utils.official_quirks import official_final_order, official_targets
from tests.helpers.golden_utils import random_targets


@pytest.fixture
def target():
    """Three objects in two frames: always, in frame 0 only, in frame 1 only."""
    target = random_targets(3, 60, 2, 8, 10, present=torch.tensor([[1, 1], [1, 0], [0, 1]], dtype=torch.bool))
    target.labels = torch.tensor([3, 1, 2])
    return target


@pytest.mark.parametrize('num_classes, label, match_label', [(40, 39, 40), (25, 24, 25), (54, 53, 54), (60, 54, 54)])
def test_vis_classes_come_from_the_last_frame(target, num_classes, label, match_label):
    official, = official_targets([target], num_classes, is_vis=True)
    assert official.labels.tolist() == [3, label, 2]
    assert official.match_labels.tolist() == [3, match_label, 2]
    assert torch.equal(official.present, target.present) and torch.equal(official.masks, target.masks)
    assert target.labels.tolist() == [3, 1, 2] and 'match_labels' not in target  # the input stays


def test_object_absent_in_the_last_frame_is_matched_by_the_empty_class(target):
    official, = official_targets([target], num_classes=5, is_vis=True)
    cls_scores = torch.zeros(1, 2, 4, 6)
    cls_scores[:, :, 2, 1], cls_scores[:, :, 3, 5] = 9.0, 9.0  # query 2 shows class 1, query 3 nothing
    mask_preds = torch.zeros(1, 2, 4, 4, 5)
    for targets, query in ((target, 2), (official, 3)):
        (queries, objects), = ClipHungarianMatcher(num_points=16).assign(cls_scores, mask_preds, [targets])
        assert dict(zip(objects.tolist(), queries.tolist()))[1] == query


def test_vss_and_vps_objects_count_as_present_in_all_frames(target):
    official, = official_targets([target], num_classes=60, is_vis=False)
    assert official.present.all() and torch.equal(official.labels, target.labels)
    assert target.present.tolist() == [[True, True], [True, False], [False, True]]


def test_vss_and_vps_chunks_have_all_objects_of_their_clip(target):
    """The chunk is frame 1, which does not show object 1: it is matched there on an empty mask."""
    chunk = target[[0, 2]]
    chunk.masks, chunk.present = chunk.masks[:, 1:], chunk.present[:, 1:]
    official, = official_targets([chunk], num_classes=60, is_vis=False, whole_clips=[target])
    assert official.labels.tolist() == [3, 2, 1] and official.present.tolist() == [[True]] * 3
    assert torch.equal(official.masks[:2], chunk.masks) and not official.masks[2].any()


def test_targets_of_empty_clips(target):
    for is_vis in (False, True):
        empty, full = official_targets([target[:0], target], num_classes=5, is_vis=is_vis)
        assert len(empty) == 0 and len(full) == 3 and empty.present.shape == (0, 2)


def test_final_predictions_of_several_clips_are_mixed_up():
    clips = torch.arange(6).view(2, 3)[..., None].expand(2, 3, 4)
    assert official_final_order(clips)[..., 0].tolist() == [[0, 3, 1], [4, 2, 5]]
    assert torch.equal(official_final_order(clips[:1]), clips[:1])
