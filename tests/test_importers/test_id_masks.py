# Copyright (c) The mmvc contributors. All rights reserved.
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmvc.importers.id_masks import IdMasks
from mmvc.importers.writer import import_videos
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.drawn_videos import SIZE, box, write_frames
from tests.helpers.read_source import read_source, same

NAMES = ['00000', '00001', '00002', '00010']


def masks_of(index):
    """Masks of the objects 1 and 3 in a frame; 3 leaves after two frames."""
    masks = {1: box(4, 2 + index, 8, 6)}
    return masks if index > 1 else masks | {3: box(14, 20 - index, 6, 8)}


def id_map(index):
    ids = np.zeros(SIZE, np.uint8)
    for number, mask in masks_of(index).items():
        ids[mask] = number
    return ids


def write_palette(path, ids):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(ids, mode='P')
    image.putpalette([value for index in range(256) for value in (index * 37 % 256, index * 91 % 256, 5)])
    image.save(path)


def expected(index, names=None):
    return [((names or {}).get(number, 'object'), number, mask) for number, mask in masks_of(index).items()]


@pytest.fixture
def davis(tmp_path):
    """Two videos in the layout of DAVIS 2017; the second one has labels for every second frame."""
    root = tmp_path / 'DAVIS'
    for video, step in dict(bear=1, dog=2).items():
        write_frames(root / 'JPEGImages/480p' / video, NAMES)
        for index in range(0, 4, step):
            write_palette(root / 'Annotations/480p' / video / f'{NAMES[index]}.png', id_map(index))
    (root / 'ImageSets/2017').mkdir(parents=True)
    (root / 'ImageSets/2017/val.txt').write_text('dog\n')
    (root / 'ImageSets/2016').mkdir(parents=True)
    pair = '/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png'
    (root / 'ImageSets/2016/train.txt').write_text(f'{pair}\n')
    return root


def test_davis(davis):
    assert IdMasks.matches(davis) and not IdMasks.matches(davis / 'Annotations')
    source = IdMasks.from_path(davis)
    found = read_source(source)
    assert list(found) == ['bear', 'dog'] and list(found['bear']) == NAMES
    assert source.has_tracks and source.covers_frames and source.videos()[0].size == SIZE
    for index, name in enumerate(NAMES):
        assert same(found['bear'][name], expected(index))
        assert found['dog'][name] is None if index % 2 else same(found['dog'][name], expected(index))


def test_tracks_reach_the_dataset(davis, tmp_path, tracks):
    import_videos(IdMasks(davis), tmp_path / 'out', 'instances', val=['dog'])
    (first, masks), (_, other) = tracks(tmp_path / 'out/train.json')['bear']
    assert first == 'object' and all((masks[i] == masks_of(i)[1]).all() for i in range(4))
    assert (other[1] == masks_of(1)[3]).all() and not other[2:].any()


@pytest.mark.parametrize(('split', 'videos'), [('val', ['dog']), ('2017/val', ['dog']), ('train', ['bear'])])
def test_split(davis, split, videos):
    assert [video.name for video in IdMasks(davis, split=split).videos()] == videos


def test_a_split_must_be_one_list(davis):
    (davis / 'ImageSets/2016/val.txt').write_text('bear\n')
    with pytest.raises(UsageError, match=r'2 lists "val.txt".*such as 2017/val'):
        IdMasks(davis, split='val')
    (davis / 'ImageSets/2017/val.txt').write_text('cat\n')
    with pytest.raises(DataError, match='no masks for the videos cat'):
        IdMasks(davis, split='2017/val').videos()


def test_two_resolutions_need_a_choice(davis):
    (davis / 'Annotations/Full-Resolution').mkdir()
    with pytest.raises(UsageError, match='2 resolutions'):
        IdMasks(davis)
    assert len(IdMasks(davis / 'Annotations/480p').videos()) == 2


@pytest.mark.parametrize('content', [
    {'bear': {'1': 'bear', '3': 'cub'}, 'dog': {'1': 'dog', '003': 'cub'}},
    {'videos': {'bear': {'objects': {'1': {'category': 'bear', 'frames': []}, '3': {'category': 'cub'}}},
                'dog': {'objects': {'1': {'category': 'dog'}, '3': {'category': 'cub'}}}}},
], ids=['mapping', 'youtube-vos'])
def test_categories(davis, tmp_path, content):
    path = tmp_path / 'names.json'
    path.write_text(json.dumps(content))
    source = IdMasks(davis, categories=path)
    assert [category.name for category in source.categories] == ['bear', 'cub', 'dog']
    found = read_source(source)
    assert same(found['bear']['00001'], expected(1, {1: 'bear', 3: 'cub'}))
    assert same(found['dog']['00000'], expected(0, {1: 'dog', 3: 'cub'}))


def test_meta_json_is_found_if_it_is_of_youtube_vos(davis):
    (davis / 'meta.json').write_text('{"classes": ["a"]}')
    assert [category.name for category in IdMasks(davis).categories] == ['object']
    (davis / 'meta.json').write_text('{"videos": {"bear": {"objects": {"1": {"category": "bear"}}}}}')
    source = IdMasks(davis)
    assert [category.name for category in source.categories] == ['bear']
    with pytest.raises(DataError, match='no category for the object 3 of the video "bear"'):
        read_source(source)


@pytest.mark.parametrize(('text', 'message'), [
    ('{', 'not valid JSON'), ('[]', 'not an object'), ('{}', 'names no object'),
    ('{"bear": ["a"]}', 'bear is .* not an object'), ('{"bear": {"1": 2}}', '1 is 2, not text'),
    ('{"videos": {"bear": {"objects": {"1": {}}}}}', 'has no category'),
])
def test_bad_categories(davis, tmp_path, text, message):
    (tmp_path / 'names.json').write_text(text)
    with pytest.raises(DataError, match=message):
        IdMasks(davis, categories=tmp_path / 'names.json')


def test_a_folder_for_each_object(tmp_path):
    for video in ('a', 'b/left'):
        write_frames(tmp_path / 'frames' / video, NAMES)
        for index, name in enumerate(NAMES[:3]):
            for number, mask in masks_of(index).items():
                path = tmp_path / 'masks' / video / f'{number:03d}' / f'{name}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), mask.astype(np.uint8) * 255)
    found = read_source(IdMasks(tmp_path / 'masks', tmp_path / 'frames'))
    assert list(found) == ['a', 'b/left']
    for index, name in enumerate(NAMES):
        for video in found:
            assert found[video][name] is None if index == 3 else same(found[video][name], expected(index))


def test_one_video_without_folders(tmp_path):
    write_frames(tmp_path / 'street', NAMES)
    for index, name in enumerate(NAMES):
        write_palette(tmp_path / 'masks' / f'{name}.png', id_map(index))
    found = read_source(IdMasks(tmp_path / 'masks', tmp_path / 'street'))
    assert list(found) == ['street'] and same(found['street']['00010'], expected(3))


def test_255_is_void(davis):
    ids = id_map(1)
    ids[0:3] = 255
    write_palette(davis / 'Annotations/480p/bear/00001.png', ids)
    found = read_source(IdMasks(davis))['bear']['00001']
    assert same(found, [*expected(1), ('VOID', None, ids == 255)])


def test_binary_masks_of_davis_2016(davis, tmp_path):
    for index, name in enumerate(NAMES):
        for video in ('bear', 'dog'):
            write_palette(davis / f'Annotations/480p/{video}/{name}.png', masks_of(index)[1].astype(np.uint8) * 255)
    with pytest.raises(DataError, match='no value but 0 and 255.*--binary'):
        read_source(IdMasks(davis))
    found = read_source(IdMasks(davis, binary=True))
    assert same(found['dog']['00002'], [('object', 1, masks_of(2)[1])])


@pytest.mark.parametrize(('change', 'message'), [
    (lambda path: write_palette(path, id_map(1)[:-1]), r'has the size \(23, 32\), its video \(24, 32\)'),
    (lambda path: path.write_bytes(path.read_bytes()[:-20]), 'cannot be decoded'),
    (lambda path: path.write_bytes(b''), 'the file is empty'),
    (lambda path: cv2.imwrite(str(path), np.full((*SIZE, 3), (0, 0, 7), np.uint8)), 'is a colour image'),
    (lambda path: Image.fromarray(id_map(1)).save(path, format='JPEG'), 'is a JPEG'),
])
def test_damaged_masks(davis, change, message):
    change(davis / 'Annotations/480p/bear/00001.png')
    with pytest.raises(DataError, match=message):
        read_source(IdMasks(davis))


def test_an_object_mask_with_several_values(davis):
    with pytest.raises(DataError, match='values 1, 3 besides 0'):
        read_source(IdMasks(davis, binary=True))


def test_masks_need_frames(davis, tmp_path):
    with pytest.raises(UsageError, match='not known.*--images'):
        IdMasks(tmp_path)
    with pytest.raises(UsageError, match='"missing" is no folder'):
        IdMasks(davis, Path('missing'))
    write_palette(davis / 'Annotations/480p/cat/00000.png', id_map(0))
    with pytest.raises(DataError, match='no frames for the masks in ".*cat"'):
        IdMasks(davis).videos()
    (davis / 'Annotations/480p/cat/00000.png').unlink()
    write_palette(davis / 'Annotations/480p/bear/99999.png', id_map(0))
    with pytest.raises(DataError, match='no images for the masks 99999'):
        IdMasks(davis).videos()


def test_frames_of_one_size(davis):
    write_frames(davis / 'JPEGImages/480p/bear', ['00002'], size=(32, 24))
    with pytest.raises(DataError, match=r'has the size \(32, 24\), and .* has \(24, 32\)'):
        IdMasks(davis).videos()


@pytest.mark.parametrize('bits', [1, 16])
def test_other_depths(tmp_path, bits):
    write_frames(tmp_path / 'frames/bear', NAMES)
    (tmp_path / 'masks/bear').mkdir(parents=True)
    mask = masks_of(0)[1]
    pixels = mask if bits == 1 else np.where(mask, 300, 0).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / 'masks/bear/00001.png')
    found = read_source(IdMasks(tmp_path / 'masks', tmp_path / 'frames'))['bear']['00001']
    assert same(found, [('object', 1 if bits == 1 else 300, mask)])


@pytest.mark.parametrize('channels', [2, 3, 4])
def test_grey_masks_in_colour(tmp_path, channels):
    write_frames(tmp_path / 'frames/bear', NAMES)
    (tmp_path / 'masks/bear').mkdir(parents=True)
    pixels = np.repeat(np.where(masks_of(0)[1], 255, 0).astype(np.uint8)[..., None], channels, axis=2)
    if channels != 3:
        pixels[..., -1] = 255
    Image.fromarray(pixels).save(tmp_path / 'masks/bear/00001.png')
    found = read_source(IdMasks(tmp_path / 'masks', tmp_path / 'frames', binary=True))['bear']['00001']
    assert same(found, [('object', 1, masks_of(0)[1])])


@pytest.mark.parametrize('color', [(5, 0, 0), (5, 5, 5, 0)])
def test_colours_name_no_importer(tmp_path, color):
    write_frames(tmp_path / 'frames/bear', NAMES)
    (tmp_path / 'masks/bear').mkdir(parents=True)
    Image.fromarray(np.full((*SIZE, len(color)), color, np.uint8)).save(tmp_path / 'masks/bear/00001.png')
    with pytest.raises(DataError, match='is a colour image .* not colours$'):
        read_source(IdMasks(tmp_path / 'masks', tmp_path / 'frames'))
