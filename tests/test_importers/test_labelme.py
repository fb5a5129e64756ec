# Copyright (c) The mmvc contributors. All rights reserved.
import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from mmvc.importers.labelme import LabelMe
from mmvc.importers.writer import import_videos
from mmvc.utils.errors import DataError
from tests.helpers.drawn_videos import SIZE, box, draw, write_frames
from tests.helpers.read_source import read_source, same

FRAMES = ['f1', 'f2', 'f10', 'f11']


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format='PNG')
    return base64.b64encode(stream.getvalue()).decode()


def shape(label, points, kind='polygon', group=None, **more):
    return dict(label=label, points=points, group_id=group, shape_type=kind, flags={}, **more)


def corners(top, left, height, width):
    return [[left, top], [left + width, top], [left + width, top + height], [left, top + height]]


def crop(index):
    """A cross of 5 x 5 pixels."""
    mask = np.zeros((5, 5), bool)
    mask[2], mask[:, 2] = True, True
    return mask


def write_json(path, shapes, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(
        version='5.4.1', flags={}, shapes=shapes, imagePath=f'{path.stem}.jpg', imageData=None, imageHeight=SIZE[0],
        imageWidth=SIZE[1]) | changes))
    return path


def shapes_of(index, group=None):
    return [shape('road', corners(12, 0, 12, 32)),
            shape('car', [[2 + index, 4], [10 + index, 10]], 'rectangle', group),
            shape('person', [[20, 5], [24, 9]], 'mask', mask=png(crop(index)))]


def expected(index, group=None):
    person = np.zeros(SIZE, bool)
    person[5:10, 20:25] = crop(index)
    return [('road', None, box(12, 0, 12, 32)), ('car', group, box(4, 2 + index, 6, 8)), ('person', None, person)]


@pytest.fixture
def folder(tmp_path):
    """A video whose third frame has no JSON."""
    write_frames(tmp_path / 'street', FRAMES)
    for index in (0, 1, 3):
        write_json(tmp_path / 'street' / f'{FRAMES[index]}.json', shapes_of(index, group=4))
    return tmp_path / 'street'


def test_shapes(folder):
    assert LabelMe.matches(folder)
    source = LabelMe.from_path(folder)
    assert [category.name for category in source.categories] == ['car', 'person', 'road']
    assert source.has_tracks and not source.covers_frames
    found = read_source(source)
    assert list(found) == ['street'] and list(found['street']) == FRAMES
    for index, name in enumerate(FRAMES):
        assert found['street'][name] is None if index == 2 else same(found['street'][name], expected(index, 4))


def test_tracks_reach_the_dataset(folder, tmp_path, tracks):
    import_videos(LabelMe(folder), tmp_path / 'out', 'instances', classes=['car'])
    (name, masks), = tracks(tmp_path / 'out/train.json')['street']
    assert name == 'car' and [bool(mask.any()) for mask in masks] == [True, True, False, True]
    assert (masks[3] == expected(3)[1][2]).all()


def test_folders_are_videos(tmp_path):
    for video in ('b', 'a/left'):
        write_frames(tmp_path / 'images' / video, FRAMES[:1])
        write_json(tmp_path / 'labels' / video / 'f1.json', shapes_of(0), imagePath=f'..\\..\\images\\{video}\\f1.jpg')
    source = LabelMe(tmp_path / 'labels', tmp_path / 'images')
    assert not source.has_tracks
    found = read_source(source)
    assert list(found) == ['a/left', 'b'] and same(found['b']['f1'], expected(0))
    assert source.videos()[0].frames[0].image == tmp_path / 'images/a/left/f1.jpg'


def test_parts_of_one_object(folder):
    write_json(folder / 'f1.json', [shape('car', corners(0, 0, 4, 4), group=4), shape('road', corners(0, 0, 9, 9)),
                                    shape('car', corners(8, 8, 4, 4), group=4), shape('car', corners(9, 0, 2, 2))])
    road, car, other = read_source(LabelMe(folder))['street']['f1']
    assert same([road, car], [('road', None, box(0, 0, 9, 9)), ('car', 4, box(0, 0, 4, 4) | box(8, 8, 4, 4))])
    assert same([other], [('car', None, box(9, 0, 2, 2))])


def test_ignored_pixels_are_void(folder, tmp_path):
    write_json(folder / 'f1.json', [*shapes_of(0, 4), shape('__ignore__', corners(0, 0, 24, 5))])
    assert same(read_source(LabelMe(folder))['street']['f1'],
                [*expected(0, 4), ('VOID', None, box(0, 0, 24, 5))])


def test_a_circle(folder):
    write_json(folder / 'f1.json', [shape('car', [[10, 10], [10, 14]], 'circle')])
    (_, _, mask), = read_source(LabelMe(folder))['street']['f1']
    assert abs(int(mask.sum()) - np.pi * 16) < 4 and mask[10, 10] and not mask[6, 6]


def test_lines_and_points_are_left_out(folder):
    write_json(folder / 'f1.json', [*shapes_of(0, 4), shape('edge', [[1, 1], [2, 2]], 'line'),
                                    shape('nose', [[1, 1]], 'point')])
    source = LabelMe(folder)
    assert [category.name for category in source.categories] == ['car', 'person', 'road']
    assert same(read_source(source)['street']['f1'], expected(0, 4))
    assert source.notes == ['3 of 11 shapes are boxes: their masks are filled boxes',
                            '2 lines and points were left out, because they have no area']


def test_order_of_the_categories(folder):
    (folder / 'labels.txt').write_text('__ignore__\n_background_\nroad\ncar\nperson\nbird\n')
    assert [category.name for category in LabelMe(folder).categories] == ['road', 'car', 'person', 'bird']
    (folder / 'labels.txt').write_text('road\n')
    with pytest.raises(DataError, match='has no label "car"'):
        LabelMe(folder)


def test_images_inside_of_the_json(tmp_path):
    for index, name in enumerate(FRAMES[:2]):
        write_json(tmp_path / 'x' / f'{name}.json', shapes_of(index), imageData=png(draw(index)))
    source = LabelMe(tmp_path / 'x')
    videos = source.videos()
    assert same(read_source(source)['x']['f2'], expected(1))
    assert (np.asarray(Image.open(videos[0].frames[1].image)) == draw(1)).all()
    copies = videos[0].frames[1].image.parent
    import_videos(source, tmp_path / 'out')
    del source
    assert not copies.exists()


@pytest.mark.parametrize(('shapes', 'changes', 'message'), [
    ([shape('a', [[1, 1], [2, 2]], 'cube')], {}, r'shapes\[0\] \("a"\): the kind of shape "cube" is not known'),
    ([shape('a', [[1, 1]])], {}, '1 corners'),
    ([shape('a', [[1, 1], [2, 'x']])], {}, "shapes.*'x'"),
    ([shape('a', [[1, 1], [1e7, 2], [3, 3]])], {}, 'leaves its frame'),
    ([shape('a', [[1, 1], [2, 2]], 'mask')], {}, 'needs 2 points .* and the key mask'),
    ([shape('a', [[1, 1], [2, 2]], 'mask', mask='?')], {}, 'is not base64'),
    ([shape('a', [[1, 1], [2, 2]], 'mask', mask='YWJj')], {}, 'cannot be decoded'),
    ([shape('a', [[1, 1], [2, 2]], 'mask', mask=png(crop(0)))], {}, r'shape \(5, 5\), its points .* \(2, 2\)'),
    ([shape('a', [[30, 1], [34, 5]], 'mask', mask=png(crop(0)))], {}, 'leaves the image'),
    ([shape('a', [[-2, 1], [2, 5]], 'mask', mask=png(crop(0)))], {}, 'leaves the image'),
    ([], dict(imageHeight=25), r'imageHeight and imageWidth are \(25, 32\)'),
    ([], dict(imagePath='missing.jpg'), 'no image .*--images'),
    ([], dict(imagePath='missing.jpg', imageData='YWJj'), 'imageData cannot be decoded'),
    ([], dict(imagePath='missing.jpg', imageData='?'), 'imageData is not base64'),
    ([], dict(imagePath='x' * 300), 'longer than 255'),
    ([], dict(imagePath='..'), 'leads out of its folder'),
    ([], dict(imagePath='../f2.jpg'), 'are both for'),
    (3, {}, 'shapes is 3, not a list'),
])
def test_faults_name_file_and_shape(folder, shapes, changes, message):
    write_json(folder / 'f1.json', shapes, **changes)
    with pytest.raises(DataError, match=f'f1.json.*{message}'):
        read_source(LabelMe(folder))


def test_a_folder_without_json(tmp_path):
    assert not LabelMe.matches(tmp_path) and not LabelMe.matches(tmp_path / 'missing')
    with pytest.raises(DataError, match='no JSON files'):
        LabelMe(tmp_path)
    (tmp_path / 'a.json').write_text('{"images": []}')
    assert not LabelMe.matches(tmp_path)
    with pytest.raises(DataError, match='has no shapes, imagePath'):
        LabelMe(tmp_path)


def test_labels_that_count_their_groups_on_their_own(tmp_path):
    write_frames(tmp_path / 'street', FRAMES)
    for name, labels in (('f1', ['car', 'road']), ('f2', ['road'])):
        shapes = [shape(label, corners(2, 2, 4, 4), group=1) for label in labels]
        content = dict(shapes=shapes, imagePath=f'{name}.jpg', imageData=None)
        (tmp_path / 'street' / f'{name}.json').write_text(json.dumps(content))
    found = read_source(LabelMe(tmp_path / 'street'))['street']
    assert [(label, track) for label, track, _ in found['f1']] == [('car', 'car 1'), ('road', 'road 1')]
    assert [(label, track) for label, track, _ in found['f2']] == [('road', 'road 1')]
