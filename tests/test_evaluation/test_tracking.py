# Copyright (c) The mmvc contributors. All rights reserved.
"""J&F, IDF1 and HOTA against published numbers, and against plain loops over pixels and matchings."""

import itertools
import math

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_utils
from scipy.optimize import linear_sum_assignment

from mmvc.evaluation.functional import (
    FrameOverlap,
    add_hota,
    add_identities,
    boundary_accuracy,
    boundary_map,
    count_hota,
    count_identities,
    count_tracking,
    frame_overlaps,
    hota_scores,
    identity_scores,
    jf_scores,
    object_statistics,
    track_statistics,
    tracking_numbers,
    tracking_scores,
)

SIZE = 24, 40


def encode(mask):
    return mask_utils.encode(np.asfortranarray(mask, np.uint8)) if mask is not None and mask.any() else None


def overlap(truths, detections, iou):
    return FrameOverlap(np.array(truths, int), np.array(detections, int),
                        np.array(iou, float).reshape(len(truths), len(detections)))


def box(x, width=10, y=4, height=10):
    mask = np.zeros(SIZE, bool)
    mask[y:y + height, x:x + width] = True
    return mask


def entry(masks, category=1, score=1.0, **more):
    return dict(category_id=category, score=score, segmentations=[encode(mask) for mask in masks], **more)


def counts_of(truths, detections, **kwargs):
    return count_tracking(truths, detections, *SIZE, len((truths or detections)[0]['segmentations']), **kwargs)


def scores_of(truths, detections, **kwargs):
    return tracking_scores(counts_of(truths, detections, **kwargs).values())


# --- published numbers ---


def test_idf1_of_the_example_in_the_readme_of_py_motmetrics():
    """Three frames with given distances; it prints 83.3 % for all, 75.0 % for the first two, 80.0 % for both."""
    nan = math.nan
    frames = [([0, 1], [0, 1, 2], [[0.1, nan, 0.3], [0.5, 0.2, 0.3]]), ([0, 1], [0], [[0.2], [0.4]]),
              ([0, 1], [0, 2], [[0.6, 0.2], [0.1, 0.6]])]
    # any distance may be matched there: IoU 1 for a pair, 0 for none
    overlaps = [overlap(truths, found, ~np.isnan(distances)) for truths, found, distances in frames]
    full, part = (count_identities(of_frames, 2, 3) for of_frames in (overlaps, overlaps[:2]))
    assert identity_scores(full) == pytest.approx(dict.fromkeys(('IDF1', 'IDP', 'IDR'), 5 / 6))
    assert identity_scores(part) == pytest.approx(dict.fromkeys(('IDF1', 'IDP', 'IDR'), 0.75))
    assert identity_scores(add_identities([full, part])) == pytest.approx(dict.fromkeys(('IDF1', 'IDP', 'IDR'), 0.8))


def test_an_identity_switch_halves_the_association():
    """As in the tests of several public implementations: detection 1, association 1/2, so HOTA = sqrt(1/2)."""
    truth = [entry([box(4)] * 2)]
    switched = [entry([box(4), None]), entry([None, box(4)])]
    scores = scores_of(truth, switched)
    assert (scores['DetA'], scores['AssA'], scores['LocA']) == (1, 0.5, 1)
    assert scores['HOTA'] == pytest.approx(math.sqrt(0.5))
    assert (scores['IDF1'], scores['IDP'], scores['IDR']) == (0.5, 0.5, 0.5)
    assert (scores['J'], scores['F'], scores['JF']) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize('width, thresholds', [(6, 12), (10, 19), (2, 4)])
def test_thresholds_up_to_the_iou_match(width, thresholds):
    """IoU 0.6: 12 of the 19 thresholds match, so HOTA = DetA = AssA = 12 / 19."""
    scores = scores_of([entry([box(4)])], [entry([box(4, width)])])
    assert scores['HOTA'] == scores['DetA'] == scores['AssA'] == pytest.approx(thresholds / 19)
    assert scores['J'] == pytest.approx(width / 10)
    assert scores['LocA'] == pytest.approx((thresholds * width / 10 + 19 - thresholds) / 19)


# --- plain loops ---


def random_tracks(rng, number, num_frames=5):
    """Boxes that jitter about four places, sometimes absent."""
    tracks = []
    for _ in range(number):
        place = rng.integers(0, 4)
        tracks.append([None if rng.random() < 0.25 else
                       box(8 * place + rng.integers(0, 4), rng.integers(4, 11), *rng.integers((0, 5), (8, 12)))
                       for _ in range(num_frames)])
    return tracks


def iou_of(one, other):
    return (one & other).sum() / (one | other).sum()


def naive_hota(truths, found, num_frames):
    """The definition, with loops and all matchings of a frame tried."""
    pairs = [(g, d) for g in range(len(truths)) for d in range(len(found))]
    similarity = [{(g, d): iou_of(truths[g][t], found[d][t]) for g, d in pairs
                   if truths[g][t] is not None and found[d][t] is not None} for t in range(num_frames)]
    length = [[sum(mask is not None for mask in track) for track in tracks] for tracks in (truths, found)]
    alignment = {}
    for g, d in pairs:
        common = 0.0
        for of_frame in similarity:
            if of_frame.get((g, d)):
                others = sum(value for (a, b), value in of_frame.items() if a == g or b == d)
                common += of_frame[g, d] / others
        alignment[g, d] = common / (length[0][g] + length[1][d] - common) if length[0][g] + length[1][d] else 0
    scores = []
    for alpha in np.arange(0.05, 0.99, 0.05):
        matched, ious = [], []
        for of_frame in similarity:
            best = max(_matchings(sorted({g for g, _ in of_frame}), sorted({d for _, d in of_frame})),
                       key=lambda matching: sum(alignment[pair] * of_frame.get(pair, 0) for pair in matching))
            for pair in best:
                if of_frame[pair] >= alpha - 1e-12 and of_frame[pair] > 0:
                    matched.append(pair)
                    ious.append(of_frame[pair])
        tp = len(matched)
        det_a = tp / (sum(length[0]) + sum(length[1]) - tp)
        shares = [matched.count((g, d)) / (length[0][g] + length[1][d] - matched.count((g, d))) for g, d in matched]
        ass_a = np.mean(shares) if tp else 0
        scores.append([math.sqrt(det_a * ass_a), det_a, ass_a, np.mean(ious) if tp else 1])
    return dict(zip(('HOTA', 'DetA', 'AssA', 'LocA'), np.mean(scores, axis=0)))


def _matchings(rows, columns):
    if len(rows) <= len(columns):
        return [list(zip(rows, chosen)) for chosen in itertools.permutations(columns, len(rows))]
    return [list(zip(chosen, columns)) for chosen in itertools.permutations(rows, len(columns))]


def dense_identities(truths, found, num_frames):
    """Misses and false alarms by the square cost matrix of the definition, in which a track may stay alone."""
    num_truths, num_found = len(truths), len(found)
    cost = np.full((num_truths + num_found, ) * 2, 1e9)
    cost[num_truths:, num_found:] = 0
    for g, truth in enumerate(truths):
        cost[g, num_found + g] = sum(mask is not None for mask in truth)
    for d, track in enumerate(found):
        cost[num_truths + d, d] = sum(mask is not None for mask in track)
    for g, d in np.ndindex(num_truths, num_found):
        both = [(truths[g][t], found[d][t]) for t in range(num_frames)]
        matches = sum(one is not None and other is not None and iou_of(one, other) >= 0.5 for one, other in both)
        cost[g, d] = cost[g, num_found + g] + cost[num_truths + d, d] - 2 * matches
    total = sum(mask is not None for track in (*truths, *found) for mask in track)
    wrong = cost[linear_sum_assignment(cost)].sum()
    return (total - wrong) / total


@pytest.mark.parametrize('seed', range(12))
def test_random_tracks_equal_the_definitions(seed):
    rng = np.random.default_rng(seed)
    truths, found = random_tracks(rng, rng.integers(1, 4)), random_tracks(rng, rng.integers(1, 5))
    truths = [track for track in truths if any(mask is not None for mask in track)]
    scores = scores_of([entry(track) for track in truths], [entry(track) for track in found])
    for name, value in naive_hota(truths, found, 5).items():
        assert scores[name] == pytest.approx(value, abs=1e-12), name
    assert scores['IDF1'] == pytest.approx(dense_identities(truths, found, 5), abs=1e-12)
    objects = naive_jf(truths, found)
    for name, value in objects.items():
        assert scores[name] == pytest.approx(value, abs=1e-12), name


def naive_boundary(mask):
    marks = np.zeros_like(mask)
    height, width = mask.shape
    for y, x in np.ndindex(mask.shape):
        for other_y, other_x in ((y + 1, x), (y, x + 1), (y + 1, x + 1)):
            if other_y < height and other_x < width and mask[other_y, other_x] != mask[y, x]:
                marks[y, x] = True
    return marks


def naive_f(truth, found, radius):
    """F by dilation with a disk."""
    grid = np.arange(-radius, radius + 1)
    disk = (grid[:, None]**2 + grid**2 <= radius**2).astype(np.uint8)
    boundaries = [naive_boundary(mask) for mask in (truth, found)]
    true_near, found_near = (cv2.dilate(marks.astype(np.uint8), disk).astype(bool) for marks in boundaries)
    if not all(marks.any() for marks in boundaries):
        return float(boundaries[0].any() == boundaries[1].any())
    precision, recall = true_near[boundaries[1]].mean(), found_near[boundaries[0]].mean()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def naive_jf(truths, found):
    """All assignments of tracks tried; the mean over objects."""
    nothing = np.zeros(SIZE, bool)
    found = [*found, *[[None] * 5] * (len(truths) - len(found))]

    def filled(mask):
        return nothing if mask is None else mask

    region = np.array([[[1.0 if a is None and b is None else iou_of(filled(a), filled(b)) for a, b in zip(one, other)]
                        for other in found] for one in truths])
    contour = np.array([[[naive_f(filled(a), filled(b), radius=1) for a, b in zip(one, other)] for other in found]
                        for one in truths])
    best = max(itertools.permutations(range(len(found)), len(truths)),
               key=lambda chosen: sum((region + contour)[g, d].sum() for g, d in enumerate(chosen)))
    numbers = {}
    for name, values in (('J', region), ('F', contour)):
        rows = [values[g, d] for g, d in enumerate(best)]
        numbers[name] = np.mean(rows)
        numbers[f'{name}_recall'] = np.mean([np.mean(row > 0.5) for row in rows])
        numbers[f'{name}_decay'] = np.mean([row[:2].mean() - row[3:].mean() for row in rows])  # of five frames
    return dict(JF=(numbers['J'] + numbers['F']) / 2, **numbers)


def test_decay_compares_quarters_that_include_both_ends():
    """DAVIS cuts 10 frames at 1, 3, 6 (5.5 rounded up), 8 and 10, and takes both ends of the first and last part."""
    iou = np.arange(10, 0, -1)
    truth, found = [encode(box(4))] * 10, [encode(box(4, width)) for width in iou]
    overlaps = frame_overlaps([truth], [found], range(10))
    row = track_statistics([truth], [found], range(10), overlaps)[0]
    assert row[:3].tolist() == pytest.approx([0.55, 0.5, np.mean([1, 0.9, 0.8]) - np.mean([0.3, 0.2, 0.1])])


@pytest.mark.parametrize('size', [(120, 214), (37, 61)])
def test_boundary_accuracy_equals_dilation(size):
    rng = np.random.default_rng(1)
    blobs = [cv2.resize(rng.random((6, 8)).astype(np.float32), size[::-1]) > 0.55 for _ in range(6)]
    blobs.append(np.ones(size, bool))  # without a boundary
    blobs[1][:, -1] = blobs[1][-1] = True
    radius = math.ceil(0.008 * math.hypot(*size))
    for blob in blobs:
        np.testing.assert_array_equal(boundary_map(blob), naive_boundary(blob))
    values = boundary_accuracy([encode(blob) for blob in blobs[:3]], [encode(blob) for blob in blobs[3:]])
    expected = [[naive_f(one, other, radius) for other in blobs[3:]] for one in blobs[:3]]
    np.testing.assert_allclose(values, expected, atol=1e-12)
    assert boundary_accuracy([encode(blobs[-1])], [encode(blobs[-1])]) == 1


def test_given_identities_are_not_assigned_anew():
    """Swapped tracks are wrong although an assignment would swap them back."""
    left, right = [encode(box(2))] * 4, [encode(box(25))] * 4
    right[1] = None
    swapped = object_statistics([left, right], [right, left], range(4))
    assert swapped[:, 0].tolist() == [0, 0]
    assert jf_scores([object_statistics([left, right], [left, right], range(4))])['JF'] == 1
    part = object_statistics([left, right], [left, [None] * 4], [1, 2])
    assert part[:, 0].tolist() == [1, 0.5] and part[1, 3] == 0.5  # absent on both sides in frame 1
    overlaps = frame_overlaps([left, right], [right, left], range(4))
    assert jf_scores([track_statistics([left, right], [right, left], range(4), overlaps)])['JF'] == 1
    with pytest.raises(ValueError, match='1 predicted tracks for 2 objects'):
        object_statistics([left, right], [left], range(4))
    assert object_statistics([], [], range(4)).shape == (0, 6)


# --- rules ---


def test_a_perfect_prediction_has_100():
    truths = [entry([box(2), box(4), None, box(9)]), entry([box(20)] * 4, category=2), entry([None, box(25)] * 2)]
    numbers = tracking_numbers([counts_of(truths, truths)], [1, 2, 3])
    decays = {name: numbers.pop(name) for name in ('J_decay', 'F_decay')}
    assert set(numbers.values()) == {1.0} and set(decays.values()) == {0.0}


def test_a_class_is_part_of_the_identity():
    """The right masks of the wrong class are misses and false alarms."""
    counts = counts_of([entry([box(2)] * 2), entry([box(20)] * 2, category=2)],
                       [entry([box(2)] * 2), entry([box(20)] * 2, category=3)])
    numbers = tracking_numbers([counts], [1, 2, 3, 4])
    assert numbers['J'] == numbers['F'] == numbers['IDF1'] == 0.5
    assert numbers['DetA'] == pytest.approx(1 / 3)
    assert numbers['mHOTA'] == numbers['mIDF1'] == pytest.approx(1 / 3)  # category 4 does not occur


def test_low_scores_are_left_out():
    truths, found = [entry([box(2)])], [entry([box(2)], score=0.5), entry([box(20)], score=0.2)]
    assert scores_of(truths, found)['HOTA'] == 1
    assert scores_of(truths, found, min_score=0.0)['DetA'] == 0.5
    assert scores_of(truths, found, min_score=0.6)['IDR'] == 0


def test_frames_without_labels_do_not_count():
    truths = [entry([box(2), None, box(2), None]), entry([None, box(30), None, None])]
    found = [entry([box(2), box(5), box(2), box(9)]), entry([None, box(12), None, box(16)])]
    scores = scores_of(truths, found, labelled=[2, 0])
    assert scores['HOTA'] == scores['IDF1'] == scores['JF'] == 1  # of the object that the labelled frames show
    assert scores_of(truths, found)['HOTA'] < 0.7
    assert counts_of(truths, found, labelled=[]) == {}


def test_masks_on_a_crowd_are_no_false_alarms():
    crowd = entry([box(18, 20)] * 2, iscrowd=1)
    truths, found = [entry([box(2)] * 2), crowd], [entry([box(2)] * 2), entry([box(25)] * 2), entry([box(11)] * 2)]
    scores = scores_of(truths, found)
    assert scores['IDR'] == 1 and scores['IDP'] == 0.5  # the mask at 11 is on the crowd by less than half
    assert scores['DetA'] == 0.5
    # a mask that matches an object counts, crowd or not
    assert scores_of([entry([box(22)] * 2), crowd], [entry([box(22)] * 2)])['IDF1'] == 1


def test_videos_are_pooled():
    one = counts_of([entry([box(2)] * 3)], [entry([box(2)] * 3)])
    other = counts_of([entry([box(2)])], [entry([box(20)])])
    numbers = tracking_numbers([one, other], [1])
    assert numbers['IDF1'] == pytest.approx(3 / 4) and numbers['DetA'] == pytest.approx(3 / 5)
    assert numbers['AssA'] == 1 and numbers['J'] == 0.5  # a mean over matches, and over objects


def test_nothing_is_not_a_number():
    assert all(math.isnan(value) for value in tracking_numbers([{}], [1]).values())
    alarms = scores_of([], [entry([box(2)])])
    assert (alarms['HOTA'], alarms['LocA'], alarms['IDF1'], alarms['IDP']) == (0, 1, 0, 0)
    assert math.isnan(alarms['IDR']) and math.isnan(alarms['JF'])
    misses = scores_of([entry([box(2)])], [])
    assert (misses['HOTA'], misses['IDF1'], misses['IDR'], misses['JF']) == (0, 0, 0, 0)


def test_counts_are_of_plain_sizes():
    counts = count_hota([overlap([0], [0], [[1]])], 1, 1)
    assert hota_scores(add_hota([counts, counts])) == hota_scores(counts) and counts.tp.shape == (19, )
    assert jf_scores([]).keys() == {'JF', 'J', 'J_recall', 'J_decay', 'F', 'F_recall', 'F_decay'}
