# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np
import pytest

from mmvc.challenge.correction import (
    VSPW_GROUPS,
    AmbiguousGroup,
    GroupTable,
    VideoSegments,
    draw_picture,
    make_question,
    parse_answer,
)
from mmvc.datasets.metainfo.vspw import VSPW_CLASSES

CLASSES = ('sky', 'sea', 'river', 'water', 'car', 'bus', 'ship_or_boat', 'raft')
SKY, SEA, RIVER, WATER, CAR, BUS, BOAT, RAFT = range(8)
TABLE = GroupTable([
    AmbiguousGroup('water', ('sea', 'river'), also=('water', ), always=True),
    AmbiguousGroup('vehicle', ('car', 'bus')),
], CLASSES)


def video(num_frames=4, size=(40, 60)):
    return np.full((num_frames, *size), SKY, np.uint8)


def test_a_change_of_class_along_a_track():
    labels = video()
    for t in range(4):
        labels[t, 10:30, 5 + 2 * t:25 + 2 * t] = BUS if t == 2 else CAR
    found = VideoSegments(labels, TABLE)
    [segment] = found.segments
    assert segment.pixels == {CAR: 1200, BUS: 400} and segment.label == CAR and len(segment.areas) == 4
    assert [item.reason for item in found.find_doubtful()] == ['class change']
    assert found.find_doubtful(min_change=0.3) == []
    assert found.find_doubtful(min_area=0.2) == []
    for t in range(4):
        assert np.array_equal(found.mask(segment, t), labels[t] != SKY)


def test_neighbours_of_one_group_stay_apart():
    labels = video()
    for t in range(4):
        labels[t, 10:30, 5 + t:25 + t] = CAR
        labels[t, 10:30, 25 + t:50 + t] = BUS  # touches the car and moves onto its place
    found = VideoSegments(labels, TABLE)
    assert sorted(list(segment.pixels) for segment in found.segments) == [[CAR], [BUS]]
    assert found.find_doubtful() == []


def test_separate_things_and_gaps_in_time():
    labels = video(5)
    labels[:2, 5:15, 5:15] = CAR
    labels[3:, 5:15, 5:15] = CAR  # hidden in frame 2: a segment of its own
    labels[:, 25:35, 40:50] = CAR
    segments = VideoSegments(labels, TABLE).segments
    assert sorted(sorted(segment.areas) for segment in segments) == [[0, 1], [0, 1, 2, 3, 4], [3, 4]]


def test_parts_that_meet_later_are_one_segment():
    labels = video(3)
    labels[:2, 20:30, :25] = SEA
    labels[:2, 20:30, 35:] = SEA
    labels[2, 20:30] = SEA
    [segment] = VideoSegments(labels, TABLE).segments
    assert segment.pixels == {SEA: 2 * 500 + 600} and len(segment.regions) == 5


def test_always_and_margins():
    labels = video()
    labels[:, 20:] = WATER
    labels[:, 5:15, 5:30] = CAR
    margins = np.ones(labels.shape)
    found = VideoSegments(labels, TABLE, margins)
    assert [segment.reason for segment in found.find_doubtful()] == ['always']
    margins[:, 5:15, 5:30] = 0.15
    found = VideoSegments(labels, TABLE, margins)
    assert sorted(segment.reason for segment in found.find_doubtful()) == ['always', 'low margin']
    assert sorted(segment.margin for segment in found.segments) == pytest.approx([0.15, 1.0])
    assert len(found.find_doubtful(max_margin=0.1)) == 1


def test_no_segments():
    found = VideoSegments(video(), TABLE)
    assert found.segments == [] and found.find_doubtful() == []


def test_groups_of_vspw_fit_its_classes():
    table = GroupTable(VSPW_GROUPS, VSPW_CLASSES)
    assert {VSPW_CLASSES[label] for label in np.flatnonzero(table.group_of >= 0)} >= {'sea', 'river', 'lake', 'water'}
    assert (table.group_of[124:] == -1).all()


@pytest.mark.parametrize('build, message', [
    (lambda: AmbiguousGroup('x', ('sea', )), 'two or more'),
    (lambda: AmbiguousGroup('x', ('sea', 'river'), ('sea', )), 'no class twice'),
    (lambda: GroupTable([AmbiguousGroup('x', ('sea', 'pond'))], CLASSES), 'no class "pond"'),
    (lambda: GroupTable([AmbiguousGroup('x', ('sea', 'river')), AmbiguousGroup('y', ('car', 'sea'))], CLASSES),
     '"sea" is in the groups "x" and "y"'),
])
def test_wrong_groups(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_question_is_that_of_the_paper():
    assert make_question('water', ('sea', 'river', 'ship_or_boat')) == \
        'Is the water in the image a sea, river, ship or boat? Please give me the only answer.'


@pytest.mark.parametrize('answer, expected', [
    ('river', 'river'), (' River.\n', 'river'), ('"a river"', 'river'), ('The sea', 'sea'), ('**Sea**', 'sea'),
    ('It is a river.', 'river'), ("It's the sea!", 'sea'), ('The water in the image is a river.', 'river'),
    ('ship or boat', 'ship_or_boat'), ('ship_or_boat', 'ship_or_boat'), ('A boat.', 'ship_or_boat'),
    ('lake', None), ('', None), ('river or sea', None), ('not a river', None), ('It is not a river.', None),
    ('I think it is a river', None), ('river, sea', None), ('rivers', None), ('river because it flows', None),
    ('or', None), ('a', None),
])
def test_answers_are_read_strictly(answer, expected):
    assert parse_answer(answer, 'water', ('sea', 'river', 'ship_or_boat')) == expected


def test_an_alternative_of_two_classes_is_no_answer():
    classes = ('car_or_van', 'van_or_truck')
    assert parse_answer('van', 'vehicle', classes) is None
    assert parse_answer('truck', 'vehicle', classes) == 'van_or_truck'


def decode(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_pictures():
    image = np.full((100, 200, 3), 120, np.uint8)
    image[40:60, 80:120] = (200, 0, 0)
    mask = np.zeros((100, 200), bool)
    mask[40:60, 80:120] = True
    crop = decode(draw_picture(image, mask))
    assert crop.shape == (30, 60, 3)  # a quarter of the box on each side
    assert crop[15, 30, 0] > 180 and abs(int(crop[1, 1, 0]) - 120) < 20
    marked = decode(draw_picture(image, mask, 'mark'))
    assert marked.shape == image.shape
    assert marked[40, 100, 2] > 150 and marked[50, 100, 2] < 60, 'outline red, inside as it was'
    assert decode(draw_picture(image, mask, 'mark', max_side=50)).shape == (25, 50, 3)
    corner = np.zeros_like(mask)
    corner[0, 199] = True
    assert decode(draw_picture(image, corner)).size > 0
    with pytest.raises(ValueError, match="'circle'"):
        draw_picture(image, mask, 'circle')
    with pytest.raises(ValueError, match='mask of 0 pixels'):
        draw_picture(image, np.zeros_like(mask))
