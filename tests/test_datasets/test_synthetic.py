# Copyright (c) The mmvc contributors. All rights reserved.
import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle

from mmvc.datasets.synthetic import (
    METAINFO,
    SyntheticVideo,
    SyntheticVideoConfig,
    generate_video,
    make_synthetic_dataset,
)

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/make_synthetic.py'
SMALL = SyntheticVideoConfig(size=(48, 80), num_frames=10)
NUM_TRAIN, NUM_VAL = 2, 1


@pytest.fixture(scope='module')
def clips():
    return [generate_video(SyntheticVideoConfig(size=(64, 96)), 0, index) for index in range(6)]


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    """One small dataset in all formats."""
    return make_synthetic_dataset(
        tmp_path_factory.mktemp('synthetic'), SMALL, formats=['vspw', 'vipseg', 'ytvis'], num_train=NUM_TRAIN,
        num_val=NUM_VAL, seed=3)


def clip_named(name):
    split, index = name.split('_')
    return generate_video(SMALL, 3, int(index), split)


def read(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image


def files_of(root):
    return {path.relative_to(root): path.read_bytes() for path in Path(root).rglob('*') if path.is_file()}


def test_shapes_and_types():
    clip = generate_video(SMALL, 0, 0)
    assert clip.frames.shape == (10, 48, 80, 3) and clip.frames.dtype == np.uint8
    assert clip.sem.shape == (10, 48, 80) and clip.sem.dtype == np.uint8
    assert clip.ids.shape == (10, 48, 80) and clip.ids.dtype == np.int32
    assert clip.meta['classes'] == METAINFO['classes'] and clip.meta['name'] == 'train_00000'
    assert len(set(METAINFO['palette'])) == len(METAINFO['classes']) == len(METAINFO['isthing'])


def test_seed_split_and_index_alone_decide():
    first = generate_video(SMALL, 5, 1, 'train')
    generate_video(SMALL, 5, 0, 'train')  # making another one in between changes nothing
    again = generate_video(SMALL, 5, 1, 'train')
    for a, b in zip(first[:3], again[:3]):
        np.testing.assert_array_equal(a, b)
    for seed, index, split in ((6, 1, 'train'), (5, 2, 'train'), (5, 1, 'val')):
        assert not np.array_equal(first.sem, generate_video(SMALL, seed, index, split).sem)


def test_frames_can_be_rendered_in_any_order():
    clip, video = generate_video(SMALL, 0, 4), SyntheticVideo(SMALL, 0, 4)
    for t in (7, 2, 7):
        frame = video.render(t)
        np.testing.assert_array_equal(frame.image, clip.frames[t])
        np.testing.assert_array_equal(frame.sem, clip.sem[t])
    with pytest.raises(IndexError, match='frames 0 to 9'):
        video.render(10)


@pytest.mark.parametrize('size', [(37, 53), (96, 40), (16, 16)])
def test_any_size_and_length(size):
    clip = generate_video(SyntheticVideoConfig(size=size, num_frames=1), 0, 0)
    assert clip.frames.shape == (1, *size, 3)


def test_identity_keeps_its_class(clips):
    for clip in clips:
        category = {item['id']: item['category'] for item in clip.meta['instances']}
        assert set(np.unique(clip.ids)) - {0} <= set(category)
        labelled = clip.sem != 255
        for identity, label in category.items():
            assert METAINFO['isthing'][label]
            assert set(np.unique(clip.sem[(clip.ids == identity) & labelled])) <= {label}
        # outside of the things there is only stuff
        assert not any(METAINFO['isthing'][label] for label in np.unique(clip.sem[(clip.ids == 0) & labelled]))


def test_a_thing_leaves_and_returns_with_its_identity(clips):
    for clip in clips:
        areas = (clip.ids == 1).sum((1, 2))  # the first thing is the one that surely leaves
        gone = np.flatnonzero(areas == 0)
        assert gone.size and areas[:gone[0]].any() and areas[gone[-1]:].any(), areas


def test_leaving_can_be_switched_off():
    config = SyntheticVideoConfig(size=(64, 96), leave_and_return=False)
    assert all(thing.excursion is None for thing in SyntheticVideo(config, 0, 0)._things)


def test_things_move_hide_one_another_and_all_classes_appear(clips):
    hidden = 0
    for index, clip in enumerate(clips):
        video = SyntheticVideo(SyntheticVideoConfig(size=(64, 96)), 0, index)
        for frame in video:
            visible = {identity: (frame.ids == identity).sum() for identity in frame.full_areas}
            assert all(0 <= visible[identity] <= full for identity, full in frame.full_areas.items())
            assert set(np.unique(frame.ids)) - {0} <= set(frame.full_areas)
            hidden += sum(0 < visible[identity] < 0.9 * full for identity, full in frame.full_areas.items())
        assert (clip.ids[0] != clip.ids[8]).any()
    assert hidden > 20
    assert set(range(len(METAINFO['classes']))) <= set(np.unique(np.stack([clip.sem for clip in clips])))


def test_camera_and_light_change_and_can_be_held():
    still = dict(size=(64, 96), num_things=(0, 0), void_blob_prob=0, noise=0, num_frames=12)
    moving = generate_video(SyntheticVideoConfig(**still), 0, 0)
    assert (moving.sem[0] != moving.sem[-1]).any() and not moving.ids.any()
    held = generate_video(SyntheticVideoConfig(**still, camera_motion=0, lighting_change=0), 0, 0)
    assert (held.sem == held.sem[0]).all()
    lit = generate_video(SyntheticVideoConfig(**still, camera_motion=0), 0, 0)
    ground = (held.sem[0] == METAINFO['classes'].index('ground')).astype(np.uint8)
    ground = cv2.erode(ground, np.ones((5, 5))) > 0  # stays as it is, apart from the blur of its neighbours
    assert np.ptp(held.frames[:, ground].mean((1, 2))) == 0
    assert np.ptp(lit.frames[:, ground].mean((1, 2))) > 2


def test_void_boundary_and_blob():
    settings = dict(size=(64, 96), num_frames=2)
    none = generate_video(SyntheticVideoConfig(**settings, void_boundary=0, void_blob_prob=0), 0, 0)
    assert not (none.sem == 255).any()
    line = generate_video(SyntheticVideoConfig(**settings, void_boundary=1, void_blob_prob=0), 0, 0)
    void = line.sem == 255
    assert 0.005 < void.mean() < 0.15
    np.testing.assert_array_equal(line.sem[~void], none.sem[~void])
    # what is left of two different segments is nowhere adjacent
    segments = np.where(none.ids > 0, none.ids + 256, none.sem)
    across = (segments[..., 1:] != segments[..., :-1]) & ~void[..., 1:] & ~void[..., :-1]
    assert not across.any()
    np.testing.assert_array_equal(line.ids, none.ids)
    wide = generate_video(SyntheticVideoConfig(**settings, void_boundary=3, void_blob_prob=0), 0, 0)
    assert (wide.sem == 255).sum() > 2 * void.sum()
    blobs = [generate_video(SyntheticVideoConfig(**settings, void_boundary=0, void_blob_prob=1), 0, i).sem == 255
             for i in range(4)]
    assert any(blob.any() for blob in blobs)


def test_labels_lie_on_the_image():
    """Over a still background, what the things change in the image is where the labels have them."""
    settings = dict(size=(96, 144), num_frames=1, camera_motion=0, void_boundary=0, void_blob_prob=0, noise=0)
    for index in range(3):
        full = generate_video(SyntheticVideoConfig(**settings), 1, index)
        empty = generate_video(SyntheticVideoConfig(**settings, num_things=(0, 0)), 1, index)
        changed = np.abs(full.frames[0].astype(int) - empty.frames[0]).max(-1) > 12
        things = full.ids[0] > 0
        around = cv2.dilate(things.astype(np.uint8), np.ones((3, 3))) > 0  # the blur's reach
        assert not changed[~around].any()
        assert changed[things].mean() > 0.85


def test_vspw(roots):
    root = roots['vspw']
    names = {split: (root / f'{split}.txt').read_text().split() for split in ('train', 'val')}
    assert names == dict(train=['train_00000', 'train_00001'], val=['val_00000'])
    for name in names['train'] + names['val']:
        clip = clip_named(name)
        images = sorted((root / 'data' / name / 'origin').iterdir())
        masks = sorted((root / 'data' / name / 'mask').iterdir())
        assert [p.name for p in masks] == [f'{t:08d}.png' for t in range(10)]
        assert [p.stem for p in images] == [p.stem for p in masks]
        for t in range(10):
            mask = read(masks[t])
            assert mask.dtype == np.uint8
            np.testing.assert_array_equal(mask, np.where(clip.sem[t] == 255, 0, clip.sem[t] + 1))
            assert np.abs(read(images[t]).astype(int) - clip.frames[t]).mean() < 8
    meta = json.loads((root / 'meta.json').read_text())
    assert tuple(meta['classes']) == METAINFO['classes']
    assert meta['thing_ids'] == [i for i, thing in enumerate(METAINFO['isthing']) if thing]


def test_vipseg(roots):
    root = roots['vipseg']
    both = json.loads((root / 'panoptic_gt_VIPSeg.json').read_text())
    assert len(both['videos']) == NUM_TRAIN + NUM_VAL
    isthing = {item['id']: item['isthing'] for item in both['categories']}
    for split, count in (('train', NUM_TRAIN), ('val', NUM_VAL)):
        index = json.loads((root / f'panoptic_gt_VIPSeg_{split}.json').read_text())
        assert index['categories'] == both['categories'] and len(index['videos']) == count
        for video, annotation in zip(index['videos'], index['annotations']):
            name = video['video_id']
            assert annotation['video_id'] == name
            clip, raw_of_id = clip_named(name), {}
            for t, (image, labels) in enumerate(zip(video['images'], annotation['annotations'])):
                assert image['id'] == labels['image_id'] and (image['height'], image['width']) == SMALL.size
                assert (root / 'images' / name / f'{Path(image["file_name"]).stem}.jpg').is_file()
                raw = read(root / 'panomasks' / name / image['file_name'])
                assert raw.dtype == np.uint16
                category = np.where(raw < 100, raw.astype(int) - 1, raw // 100 - 1)
                np.testing.assert_array_equal(np.where(raw == 0, 255, category), clip.sem[t])
                bgr = read(root / 'panomasksRGB' / name / image['file_name']).astype(int)
                blue, green, red = bgr.transpose(2, 0, 1)
                ids = red + 256 * green + 65536 * blue
                np.testing.assert_array_equal(ids == 0, raw == 0)
                for info in labels['segments_info']:
                    here = ids == info['id']
                    assert here.sum() == info['area'] and info['iscrowd'] == 0
                    assert set(np.unique(clip.sem[t][here])) == {info['category_id']}
                    value, = np.unique(raw[here])  # one raw value for an id, the same in all frames
                    assert raw_of_id.setdefault(info['id'], value) == value
                    assert (value >= 100) == isthing[info['category_id']]
                    if value >= 100:
                        assert len(np.unique(clip.ids[t][here])) == 1
                assert {info['id'] for info in labels['segments_info']} == set(np.unique(ids)) - {0}
            assert len(set(raw_of_id.values())) == len(raw_of_id)


def test_ytvis(roots):
    absent = occluded = 0
    for split, folder, count in (('train', 'train', NUM_TRAIN), ('val', 'valid', NUM_VAL)):
        root = roots['ytvis'] / folder
        index = json.loads((root / 'instances.json').read_text())
        assert [video['id'] for video in index['videos']] == list(range(1, count + 1))
        names = {item['id']: item['name'] for item in index['categories']}
        assert sorted(names) == list(range(1, sum(METAINFO['isthing']) + 1))
        for number, video in enumerate(index['videos']):
            clip, frames = generate_video(SMALL, 3, number, split), list(SyntheticVideo(SMALL, 3, number, split))
            assert video['length'] == 10 and all((root / 'JPEGImages' / f).is_file() for f in video['file_names'])
            instances = [item for item in clip.meta['instances'] if (clip.ids == item['id']).any()]
            tracks = [track for track in index['annotations'] if track['video_id'] == video['id']]
            assert len(tracks) == len(instances)
            for instance, track in zip(instances, tracks):
                assert names[track['category_id']] == METAINFO['classes'][instance['category']]
                assert track['iscrowd'] == 0
                for t in range(10):
                    mask, segmentation = clip.ids[t] == instance['id'], track['segmentations'][t]
                    if not mask.any():
                        absent += 1
                        assert all(track[key][t] is None for key in ('segmentations', 'bboxes', 'areas', 'occlusion'))
                        continue
                    assert isinstance(segmentation['counts'], str)
                    np.testing.assert_array_equal(rle.decode(segmentation), mask)
                    rows, columns = np.nonzero(mask)
                    assert track['areas'][t] == mask.sum()
                    assert track['bboxes'][t] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
                    share = mask.sum() / frames[t].full_areas[instance['id']]
                    expected = 'no' if share >= 0.95 else 'slight' if share >= 0.5 else 'severe'
                    assert track['occlusion'][t] == f'{expected}_occlusion'
                    occluded += expected != 'no'
    assert absent and occluded


def test_more_videos_and_workers_give_the_same_bytes(roots, tmp_path):
    make_synthetic_dataset(tmp_path, SMALL, formats=['vspw'], num_train=3, num_val=1, seed=3, workers=2)
    larger, smaller = files_of(tmp_path / 'vspw'), files_of(roots['vspw'])
    for path, content in smaller.items():
        if path.parts[0] == 'data':
            assert larger[path] == content, path
    assert len(list((tmp_path / 'vspw/data').iterdir())) == 4


def test_complete_is_kept_other_settings_are_refused(tmp_path):
    settings = dict(num_train=1, num_val=0)
    config = SyntheticVideoConfig(size=(16, 24), num_frames=2)
    root = make_synthetic_dataset(tmp_path, config, **settings)['vspw']
    mask = root / 'data/train_00000/mask/00000000.png'
    stamp = mask.stat().st_mtime_ns
    make_synthetic_dataset(tmp_path, config, **settings)
    assert mask.stat().st_mtime_ns == stamp
    with pytest.raises(FileExistsError, match='seed: 0 there, 1 asked for.*--overwrite'):
        make_synthetic_dataset(tmp_path, config, **settings, seed=1)
    before = mask.read_bytes()
    make_synthetic_dataset(tmp_path, config, **settings, seed=1, overwrite=True)
    assert mask.read_bytes() != before
    assert [path.name for path in tmp_path.iterdir()] == ['vspw']


def test_foreign_folder_is_never_replaced(tmp_path):
    (tmp_path / 'vspw').mkdir()
    (tmp_path / 'vspw/train.txt').write_text('mine')
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match='not a synthetic dataset'):
            make_synthetic_dataset(tmp_path, SMALL, num_train=1, num_val=0, overwrite=overwrite)
    assert (tmp_path / 'vspw/train.txt').read_text() == 'mine'


def test_interrupted_writing_leaves_nothing(tmp_path, monkeypatch):
    from mmvc.datasets.synthetic import writers

    def fail(self, name, frame, jpeg):
        raise OSError('disk full')

    monkeypatch.setattr(writers.VIPSegVideo, 'add', fail)
    with pytest.raises(OSError, match='disk full'):
        make_synthetic_dataset(tmp_path, SMALL, formats=['vspw', 'vipseg'], num_train=1, num_val=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('settings, message', [
    (dict(size=(8, 100)), 'size'),
    (dict(size=(64, )), 'size'),
    (dict(num_frames=0), 'num_frames'),
    (dict(num_things=(5, 2)), 'num_things'),
    (dict(num_things=(0, 101)), 'num_things'),
    (dict(thing_radius=(0, 0.2)), 'thing_radius'),
    (dict(void_boundary=-1), 'void_boundary'),
    (dict(void_blob_prob=1.5), 'void_blob_prob'),
    (dict(camera_motion=-1), 'camera_motion'),
])
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        SyntheticVideoConfig(**settings)


@pytest.mark.parametrize('arguments, message', [
    (dict(formats=['coco']), 'coco.*vspw'),
    (dict(formats=[]), 'formats'),
    (dict(num_train=0, num_val=0), 'at least one video'),
    (dict(num_train=-1), 'num_train'),
    (dict(seed=-1), 'seed'),
    (dict(jpeg_quality=0), 'jpeg_quality'),
    (dict(workers=0), 'workers'),
])
def test_bad_arguments(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make_synthetic_dataset(tmp_path, SMALL, **arguments)
    assert not list(tmp_path.iterdir())


def test_negative_seed():
    with pytest.raises(ValueError, match='seed=-1'):
        generate_video(SMALL, -1, 0)


def run_tool(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name='__main__')


def test_tool(tmp_path, monkeypatch, capsys):
    run_tool(monkeypatch, tmp_path, '--formats', 'vspw', 'ytvis', '--num-train', 1, '--num-val', 1, '--num-frames', 2,
             '--size', 32, 40, '--num-things', 1, 2)
    assert 'complete' in capsys.readouterr().out
    expected = generate_video(SyntheticVideoConfig(size=(32, 40), num_frames=2, num_things=(1, 2)), 0, 0, 'val')
    np.testing.assert_array_equal(read(tmp_path / 'vspw/data/val_00000/mask/00000001.png'),
                                  expected.sem[1] + np.uint8(1))
    assert (tmp_path / 'ytvis/valid/instances.json').is_file()
    with pytest.raises(SystemExit, match='error: .*num_frames: 2 there, 16 asked for'):
        run_tool(monkeypatch, tmp_path, '--formats', 'vspw', '--num-train', 1, '--num-val', 1, '--size', 32, 40,
                 '--num-things', 1, 2)
    with pytest.raises(SystemExit) as stop:
        run_tool(monkeypatch, '--help')
    assert stop.value.code == 0 and 'examples:' in capsys.readouterr().out
