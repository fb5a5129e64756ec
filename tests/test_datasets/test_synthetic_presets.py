# Copyright (c) The mmvc contributors. All rights reserved.
"""Settings of the synthetic videos under which models fail in a known way."""

import hashlib
import json
from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mmvc.datasets.synthetic import (
    METAINFO,
    PRESETS,
    SyntheticVideo,
    SyntheticVideoConfig,
    generate_video,
    make_synthetic_dataset,
)

CLASSES = METAINFO['classes']
SMALL = dict(size=(48, 72), num_frames=10)


def videos(preset, count=12, **settings):
    config = SyntheticVideoConfig(**{**SMALL, **PRESETS[preset], **settings})
    return [SyntheticVideo(config, 0, index) for index in range(count)]


def things(preset, **settings):
    return [(video, thing) for video in videos(preset, **settings) for thing in video._things if thing.cue]


def test_the_default_gives_the_same_pixels_as_before():
    digest = hashlib.sha256()
    for array in generate_video(SyntheticVideoConfig(**SMALL, noise=0, lighting_change=0), 3, 1, 'val')[1:3]:
        digest.update(array.tobytes())
    assert digest.hexdigest()[:16] == '5460cde219d2ed68'


@pytest.mark.parametrize('preset', PRESETS)
def test_presets_render(preset):
    clip = generate_video(SyntheticVideoConfig(**{**SMALL, **PRESETS[preset]}), 0, 0)
    assert clip.ids.any()


def test_context_things_stay_on_their_side_of_the_horizon():
    found = Counter()
    for video, thing in things('context'):
        above = [thing.path(t)[1] < video._layout.horizon(thing.path(t)[0]) for t in range(len(video))]
        name = CLASSES[thing.label]
        found[name] += 1
        assert name in ('kite', 'crate') and np.mean(above) == (name == 'kite')
    assert min(found['kite'], found['crate']) > 5


def test_context_and_motion_things_look_alike_whatever_their_class():
    for preset, pair in (('context', {'kite', 'crate'}), ('motion', {'ball', 'ring'})):
        looks = {(thing.outline, thing.looks_ahead) for _, thing in things(preset)}
        assert len(looks) == 1 and {CLASSES[thing.label] for _, thing in things(preset)} == pair


def test_motion_tells_the_class_and_places_do_not():
    places = dict(ball=[], ring=[])
    for video, thing in things('motion', num_frames=30, count=25):
        path = np.array([thing.path(t) for t in range(len(video))])
        name, moved = CLASSES[thing.label], np.ptp(path, axis=0)
        axis = int(name == 'ball')
        assert moved[axis] > 0.2 and moved[1 - axis] == 0
        places[name].extend(path)
    spread = [np.std(places[name], axis=0) for name in ('ball', 'ring')]
    np.testing.assert_allclose(*spread, rtol=0.4)


def test_a_glimpse_shows_the_class_and_all_other_frames_do_not():
    found = things('glimpse', num_frames=16)
    assert len({thing.label for _, thing in found}) == 6
    for video, thing in found:
        shown = [t for t in range(len(video)) if thing.looks(t)[1] is thing.sprite]
        assert len(shown) == 4 and shown == sorted(thing.cover.lifted)
    # all classes have the same cover, and neither turn nor mirror image gives the class away
    assert len({(thing.cover.outline, thing.looks_ahead) for _, thing in found}) == 1


def test_the_frames_of_a_glimpse_are_drawn_as_the_thing():
    config = SyntheticVideoConfig(**{**SMALL, **PRESETS['glimpse']}, num_things=(1, 1), noise=0, lighting_change=0,
                                  void_blob_prob=0)
    video = next(video for video in (SyntheticVideo(config, 0, i) for i in range(20)) if video._things[0].cue)
    thing, = video._things
    covered = replace(thing, cover=replace(thing.cover, lifted=frozenset()))
    changed = []
    for t in range(len(video)):
        as_drawn = video.render(t)
        video._things = [covered]
        changed.append(not np.array_equal(as_drawn.image, video.render(t).image))
        video._things = [thing]
        assert set(np.unique(as_drawn.ids)) == {0, 1}
    assert {t for t, different in enumerate(changed) if different} == thing.cover.lifted


def test_occlusion_and_imbalance():
    def hidden(preset):
        shares = [(frame.ids == identity).sum() / full for video in videos(preset, 6) for frame in video
                  for identity, full in frame.full_areas.items()]
        return np.mean(np.array(shares) < 0.5)

    assert hidden('occlusion') > 1.5 * hidden('default')
    counts = Counter(thing.label for video in videos('imbalance', 40, num_things=(6, 6)) for thing in video._things)
    assert counts[CLASSES.index('ball')] > 4 * counts[CLASSES.index('ring')]


def test_objects_are_written(tmp_path):
    config = SyntheticVideoConfig(**{**SMALL, **PRESETS['testbed']})
    root = make_synthetic_dataset(tmp_path, config, num_train=1, num_val=0, with_objects=True)['vspw']
    things = json.loads((root / 'objects/train_00000.json').read_text())
    for t, frame in enumerate(SyntheticVideo(config, 0, 0)):
        ids = cv2.imread(str(root / f'objects/train_00000/{t:08d}.png'), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(ids, frame.ids)
        for thing in things:
            full = frame.full_areas.get(thing['id'])
            share = None if full is None else pytest.approx((ids == thing['id']).sum() / full, abs=1e-4)
            assert thing['visible'][t] == share


def test_datasets_from_before_an_option_existed_are_kept(tmp_path):
    config = SyntheticVideoConfig(size=(16, 24), num_frames=2)
    root = make_synthetic_dataset(tmp_path, config, num_train=1, num_val=0)['vspw']
    manifest = json.loads((root / 'meta.json').read_text())
    for name in ('context_prob', 'motion_prob', 'texture_prob', 'glimpse_prob', 'occlusion_prob', 'imbalance'):
        del manifest['parameters'][name]
    (root / 'meta.json').write_text(json.dumps(manifest))
    make_synthetic_dataset(tmp_path, config, num_train=1, num_val=0)
    with pytest.raises(FileExistsError, match='context_prob: 0.0 there, 0.5 asked for'):
        make_synthetic_dataset(tmp_path, SyntheticVideoConfig(size=(16, 24), num_frames=2, context_prob=0.5),
                               num_train=1, num_val=0)


@pytest.mark.parametrize('settings, message', [
    (dict(context_prob=0.7, motion_prob=0.4), 'sum to 1 at most'),
    (dict(glimpse_prob=0.6, texture_prob=0.5), 'sum to 1 at most'), (dict(imbalance=0.5), 'imbalance'),
    (dict(occlusion_prob=1.5), 'occlusion_prob'), (dict(occlusion_prob=0.1, num_things=(1, 60)), 'companions')])
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        SyntheticVideoConfig(**settings)
