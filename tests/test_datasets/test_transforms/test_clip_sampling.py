# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
import pytest

from mmvc.datasets.transforms import SampleAllFrames, SampleClip


def video(length):
    return dict(
        video_id='v', video_length=length, images=[dict(img_path=f'{i}.jpg', frame_id=i) for i in range(length)])


@pytest.fixture(autouse=True)
def seed():
    np.random.seed(0)


@pytest.mark.parametrize('num_frames, frame_range, length', [(4, 8, 40), (5, 2, 12), (1, 0, 3), (3, 10, 5), (5, 2, 5)])
def test_clip_lies_in_one_window_and_in_order(num_frames, frame_range, length):
    sample = SampleClip(num_frames, frame_range)
    seen = set()
    for _ in range(300):
        clip = sample(video(length))['frame_id']
        assert len(set(clip)) == num_frames and clip == sorted(clip)
        assert clip[-1] - clip[0] <= 2 * frame_range
        seen.update(clip)
    assert seen == set(range(length))


def test_clip_is_contiguous_when_the_range_is_what_it_needs():
    for _ in range(100):
        clip = SampleClip(5, 2)(video(9))['frame_id']
        assert clip == list(range(clip[0], clip[0] + 5))


def test_every_clip_has_a_frame_that_reaches_all_others():
    """Some frame, the key, has all the others within the range, except where the video's end pushed the window."""
    for _ in range(300):
        clip = np.array(SampleClip(3, 4)(video(60))['frame_id'])
        assert any(np.abs(clip - key).max() <= 4 for key in clip)


def test_key_frame_is_uniform():
    counts = np.zeros(10)
    for _ in range(4000):
        counts[SampleClip(1, 0)(video(10))['frame_id'][0]] += 1
    assert abs(counts - 400).max() < 90  # 4.7 standard deviations


def test_frames_drawn_with_replacement():
    """15 frames of range 5: of the 10 others, a share of 1 - 0.9 ** 14 occurs, and each equally often."""
    sample = SampleClip(15, 5, replace=True)
    different, counts = [], np.zeros(11)
    for _ in range(2000):
        clip = sample(video(200))['frame_id']
        assert len(clip) == 15 and clip == sorted(clip)
        assert any(clip[0] >= key - 5 and clip[-1] <= key + 5 for key in set(clip)), 'the key reaches all others'
        different.append(len(set(clip)))
        if clip[-1] - clip[0] == 10 and clip[0] > 0 and clip[-1] < 199:  # then the key is known
            counts += np.bincount(np.array(clip) - clip[0], minlength=11)
    assert max(different) <= 11
    assert np.mean(different) == pytest.approx(1 + 10 * (1 - 0.9**14), abs=0.15)  # 5 standard deviations or more
    inner = counts[[1, 2, 3, 4, 6, 7, 8, 9]]  # the outermost ones are drawn at least once here, the key once more
    assert abs(inner / inner.mean() - 1).max() < 0.12


def test_window_is_cut_at_the_ends_when_frames_can_repeat():
    sample = SampleClip(6, 3, replace=True)
    seen = [sample(video(8))['frame_id'] for _ in range(2000)]
    assert {frame for clip in seen for frame in clip} == set(range(8))
    assert sum(clip[-1] == 7 for clip in seen) == pytest.approx(sum(clip[0] == 0 for clip in seen), rel=0.15)
    assert sample(video(1))['frame_id'] == [0] * 6
    short = [sample(video(2))['frame_id'] for _ in range(50)]
    assert {tuple(clip) for clip in short} == {(0, 1, 1, 1, 1, 1), (0, 0, 0, 0, 0, 1)}, 'the key is not drawn again'


def test_short_video_is_repeated():
    for _ in range(50):
        clip = SampleClip(7, 5)(video(3))['frame_id']
        assert len(clip) == 7 and set(clip) == {0, 1, 2} and clip == sorted(clip)
    assert SampleClip(4, 5)(video(1))['frame_id'] == [0] * 4


def test_reversal():
    assert SampleClip(3, 1, reverse_prob=1.)(video(3))['frame_id'] == [2, 1, 0]
    first = [SampleClip(3, 1, reverse_prob=0.5)(video(3))['frame_id'][0] for _ in range(400)]
    assert 140 < first.count(2) < 260


def test_facts_of_the_video_reach_every_frame():
    clip = SampleClip(2, 1)(dict(video(4), label_lut='lut'))
    assert {key: len(values) for key, values in clip.items()} == dict.fromkeys(clip, 2)
    assert clip['video_id'] == ['v', 'v'] and clip['video_length'] == [4, 4] and clip['label_lut'] == ['lut', 'lut']


def test_all_frames_in_order_also_when_labelled_in_part():
    partly = video(3)
    partly['images'][1]['seg_map_path'] = '1.png'
    results = SampleAllFrames()(partly)
    assert results['frame_id'] == [0, 1, 2]
    assert results['seg_map_path'] == [None, '1.png', None]


@pytest.mark.parametrize('kwargs', [
    dict(num_frames=0, frame_range=1),
    dict(num_frames=4, frame_range=1),
    dict(num_frames=2, frame_range=-1),
    dict(num_frames=2, frame_range=1, reverse_prob=2),
    dict(num_frames=2, frame_range=0, replace=True),
    dict(num_frames=1, frame_range=-1, replace=True),
])
def test_wrong_arguments(kwargs):
    with pytest.raises(ValueError, match='SampleClip'):
        SampleClip(**kwargs)
