# Copyright (c) The mmvc contributors. All rights reserved.
import json

import numpy as np
import pytest

from mmvc.importers.coco_panoptic import CocoPanoptic
from mmvc.importers.writer import import_videos
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.drawn_videos import SIZE, write_frames
from tests.helpers.panoptic_pngs import SEGMENTS, ids_of, write_png
from tests.helpers.read_source import read_source, same

CATEGORIES = [dict(id=7, name='road', isthing=0, color=[10, 20, 30], supercategory='x'),
              dict(id=90, name='car', isthing=1, color=[1, 2, 300])]
FRAMES = ['000', '001', '002', '010']


@pytest.fixture
def content():
    """Two videos; the last frame has no labels."""
    images, annotations = [], []
    for number, (video, index) in enumerate([(video, index) for video in 'ab' for index in range(4)]):
        name = f'{video}/{FRAMES[index]}'
        images.append(dict(id=number, file_name=f'{name}.jpg', height=SIZE[0], width=SIZE[1], license=1))
        if index < 3:
            annotations.append(dict(image_id=number, file_name=f'{name}.png', segments_info=[
                dict(id=segment, category_id=category, iscrowd=int(segment == 66051 and video == 'b'), area=1,
                     bbox=[0, 0, 1, 1]) for segment, category in SEGMENTS.items()]))
    return dict(info={}, licenses=[], images=images, annotations=annotations, categories=list(CATEGORIES))


@pytest.fixture
def coco(tmp_path, content):
    """Writes a dataset and returns the path of its JSON."""
    for video in 'ab':
        write_frames(tmp_path / 'images' / video, FRAMES)
        for index in range(3):
            write_png(tmp_path / 'panoptic_val' / video / f'{FRAMES[index]}.png', ids_of(index))

    def write():
        path = tmp_path / 'panoptic_val.json'
        path.write_text(json.dumps(content))
        return path
    return write


def expected(index, tracks=False):
    ids = ids_of(index)
    return [('road', None, ids == 70000), ('car', 301 if tracks else None, ids == 301),
            ('car', 66051 if tracks else None, ids == 66051)]


def test_masks(coco, tmp_path):
    path = coco()
    assert CocoPanoptic.matches(path)
    source = CocoPanoptic.from_path(path, tmp_path / 'images')
    road, car = source.categories
    assert (road.name, road.color, road.is_thing) == ('road', (10, 20, 30), False)
    assert (car.name, car.color, car.is_thing) == ('car', None, True)
    assert not source.has_tracks and not source.covers_frames
    found = read_source(source)
    assert list(found) == ['a', 'b'] and list(found['a']) == FRAMES
    for index in range(3):
        assert same(found['a'][FRAMES[index]], expected(index))
    assert found['a']['010'] is None
    *_, crowd = next(source.regions(source.videos()[1]))
    assert crowd.is_crowd and crowd.track is None


def test_images_beside_the_json(coco, tmp_path):
    assert list(read_source(CocoPanoptic(coco()))) == ['images/a', 'images/b']


def test_ids_that_are_tracks(coco, tmp_path, tracks):
    source = CocoPanoptic(coco(), tmp_path / 'images', ids_are_tracks=True)
    assert same(read_source(source)['a']['001'], expected(1, tracks=True))
    import_videos(source, tmp_path / 'out', 'instances', val=['b'])
    (name, masks), _ = tracks(tmp_path / 'out/train.json')['a']
    assert name == 'car' and (masks[2] == (ids_of(2) == 301)).all() and not masks[3].any()


def test_images_that_are_no_video(coco, content, tmp_path):
    write_frames(tmp_path / 'images/b', ['000'], size=(30, 40))
    content['images'][4].update(height=30, width=40)
    write_png(tmp_path / 'panoptic_val/b/000.png', np.full((30, 40), 70000))
    content['annotations'][3]['segments_info'] = [dict(id=70000, category_id=7)]
    source = CocoPanoptic(coco(), tmp_path / 'images', single_images=True)
    found = read_source(source)
    assert len(found) == 8 and same(found['a/001']['001'], expected(1, tracks=True))
    import_videos(source, tmp_path / 'out', 'panoptic', val=['b/002'])
    assert len(list((tmp_path / 'out/panomasksRGB').glob('*/*/*.png'))) == 6


def test_panoptic_layout_needs_tracks(coco, tmp_path):
    with pytest.raises(UsageError, match='needs track ids'):
        import_videos(CocoPanoptic(coco(), tmp_path / 'images'), tmp_path / 'out', 'panoptic')


@pytest.mark.parametrize(('change', 'message'), [
    (lambda c: c['annotations'][0].update(image_id=99), 'image 99 is for an image that the file does not list'),
    (lambda c: c['annotations'][0]['segments_info'][0].update(category_id=1), 'category 1, which the file does not'),
    (lambda c: c['annotations'][0]['segments_info'][0].update(id=301), 'a segment twice'),
    (lambda c: c['annotations'][0].update(file_name='../../secret.png'), 'leads out of its folder'),
    (lambda c: c['images'][0].update(file_name='/etc/passwd'), 'is an absolute path'),
    (lambda c: c['images'][1].update(id=0), 'image id 0 twice'),
    (lambda c: c['annotations'].append(c['annotations'][0]), 'image id 0 twice'),
    (lambda c: c.update(annotations=[]), 'no annotations'),
    (lambda c: c['categories'].append(dict(CATEGORIES[0], id=8)), "'road' twice"),
    (lambda c: c.pop('images'), 'has no images'),
    (lambda c: [image.update(height=23) for image in c['images']], r'image 0 has the size \(23, 32\)'),
    (lambda c: c['images'][0].update(height=23), 'different sizes.*--single-images'),
    (lambda c: c['images'][0].update(file_name='a/5.jpg'), 'no file "5.jpg" in .*--images'),
    (lambda c: c['annotations'][0]['segments_info'].pop(), 'only the PNG has the segments 66051'),
    (lambda c: c['annotations'][0]['segments_info'].append(dict(id=5, category_id=7)),
     'only the JSON lists the segments 5'),
])
def test_contradictions(coco, content, tmp_path, change, message):
    change(content)
    with pytest.raises(DataError, match=message):
        read_source(CocoPanoptic(coco(), tmp_path / 'images'))


def test_damaged_masks(coco, tmp_path):
    path = tmp_path / 'panoptic_val/a/000.png'
    source = CocoPanoptic(coco(), tmp_path / 'images')
    write_png(path, ids_of(0)[:, 1:])
    with pytest.raises(DataError, match=r'has the size \(24, 31\), its image \(24, 32\)'):
        read_source(source)
    path.write_bytes(b'')
    with pytest.raises(DataError, match='the file is empty'):
        read_source(source)


def test_the_folder_of_the_masks(coco, tmp_path):
    path = coco()
    (tmp_path / 'panoptic_val').rename(tmp_path / 'pngs')
    with pytest.raises(UsageError, match='--masks'):
        CocoPanoptic(path, tmp_path / 'images')
    assert len(read_source(CocoPanoptic(path, tmp_path / 'images', masks=tmp_path / 'pngs'))) == 2


@pytest.mark.parametrize('text', ['{"videos": [], "segments_info": []}', '{"images": []}', ''])
def test_other_files_do_not_match(tmp_path, text):
    (tmp_path / 'x.json').write_text(text)
    assert not CocoPanoptic.matches(tmp_path / 'x.json') and not CocoPanoptic.matches(tmp_path / 'missing.json')
