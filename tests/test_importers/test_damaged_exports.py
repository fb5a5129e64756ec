# Copyright (c) The mmvc contributors. All rights reserved.
"""Random damage: a reader gives regions of the right form, or an error of one line."""

import copy
import json
import random

import numpy as np
import pytest

from mmvc.importers.coco_panoptic import CocoPanoptic
from mmvc.importers.label_studio import LabelStudio
from mmvc.importers.labelme import LabelMe
from mmvc.importers.object_categories import ObjectCategories
from mmvc.importers.yolo_seg import YoloSeg
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.brush_encoder import encode_brush
from tests.helpers.drawn_videos import SIZE, box, write_frames
from tests.helpers.panoptic_pngs import SEGMENTS, ids_of, write_png
from tests.helpers.read_source import read_source

VALUES = (None, True, -1, 0, 3, 10**30, 0.5, -1e300, float('nan'), float('inf'), '', 'x', '../x', '/etc', '\0',
          '\ud800', 'a' * 300, [], {}, [[]], [1], {'x': 1})


def places(content, path=()):
    yield path
    for key, value in content.items() if isinstance(content, dict) else \
            enumerate(content) if isinstance(content, list) else ():
        yield from places(value, (*path, key))


def damage(content, rng):
    """A copy with a value replaced, removed or repeated."""
    content = copy.deepcopy(content)
    *above, key = rng.choice([path for path in places(content) if path])
    parent = content
    for step in above:
        parent = parent[step]
    action = rng.choice(['replace', 'replace', 'remove', 'repeat'])
    if action == 'replace':
        parent[key] = rng.choice(VALUES)
    elif action == 'remove':
        del parent[key]
    elif isinstance(parent, list):
        parent.append(parent[key])
    return content


def read(open_source):
    """Read everything; errors of one line are fine."""
    try:
        for frames in read_source(open_source()).values():
            for regions in frames.values():
                assert all(mask.shape == SIZE and mask.dtype == bool for _, _, mask in regions or ())
    except (DataError, UsageError) as error:
        assert '\n' not in str(error)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('damaged')
    write_frames(folder / 'street', ['0', '1'])
    write_png(folder / 'panoptic/street/0.png', ids_of(0))
    return folder


def coco():
    segments = [dict(id=segment, category_id=category, iscrowd=0) for segment, category in SEGMENTS.items()]
    return dict(images=[dict(id=number, file_name=f'street/{number}.jpg', height=24, width=32) for number in range(2)],
                annotations=[dict(image_id=0, file_name='street/0.png', segments_info=segments)],
                categories=[dict(id=7, name='road', isthing=0, color=[1, 2, 3]), dict(id=90, name='car', isthing=1)])


def labelme():
    shapes = [dict(label='car', points=[[1, 2], [8, 2], [8, 9]], group_id=1, shape_type='polygon'),
              dict(label='car', points=[[1, 2], [8, 9]], group_id=None, shape_type='circle'),
              dict(label='road', points=[[1, 2], [8, 9]], group_id=1, shape_type='mask', mask='YWJj')]
    return dict(shapes=shapes, imagePath='../street/0.jpg', imageData='YWJj', imageHeight=24, imageWidth=32)


def label_studio():
    size = dict(original_width=32, original_height=24, image_rotation=0)
    results = [dict(id='a', type='brushlabels', value=dict(rle=encode_brush(box(2, 3, 4, 5)), format='rle',
                                                           brushlabels=['car']), **size),
               dict(id='b', type='polygonlabels', value=dict(points=[[1, 2], [50, 2], [50, 90]],
                                                             polygonlabels=['road']), **size),
               dict(id='c', type='rectanglelabels', value=dict(x=1, y=2, width=30, height=40, rotation=5,
                                                               rectanglelabels=['car']), **size)]
    return [dict(id=1, data=dict(image='/data/upload/0.jpg'), annotations=[dict(result=results)])]


@pytest.mark.parametrize('seed', range(120))
def test_json(folder, seed):
    rng = random.Random(seed)
    path = folder / 'panoptic.json'
    path.write_text(json.dumps(damage(coco(), rng)))
    read(lambda: CocoPanoptic(path))
    path.write_text(json.dumps(damage(label_studio(), rng)))
    read(lambda: LabelStudio(path, boxes_as_masks=True))
    path.unlink()
    (folder / 'labels').mkdir(exist_ok=True)
    (folder / 'labels/0.json').write_text(json.dumps(damage(labelme(), rng)))
    read(lambda: LabelMe(folder / 'labels', folder / 'street'))


@pytest.mark.parametrize('seed', range(60))
def test_text(folder, seed):
    rng = random.Random(seed)
    lines = ['0 0.1 0.1 0.5 0.1 0.5 0.6 4\n', '1 0 0 1 0 1 1 0 1 5\n']
    words = ' '.join(lines).split(' ')
    words[rng.randrange(len(words))] = rng.choice(['', 'x', '-1', '1e400', 'nan', '\0', '٣', '9' * 5000, '0.5\n0'])
    (folder / 'street/0.txt').write_text(' '.join(words))
    (folder / 'data.yaml').write_text('names: [a, b]\ntrain: street\n')
    read(lambda: YoloSeg(folder))
    content = {'street': {'1': 'car'}} if seed % 2 else {'videos': {'street': {'objects': {'1': {'category': 'car'}}}}}
    (folder / 'names.json').write_text(json.dumps(damage(content, rng)))
    try:
        assert ObjectCategories(folder / 'names.json').categories
    except DataError as error:
        assert '\n' not in str(error)


@pytest.mark.parametrize('seed', range(60))
def test_pngs(folder, seed):
    rng = np.random.default_rng(seed)
    path = folder / 'panoptic/street/0.png'
    intact = path.read_bytes()
    content = bytearray(intact)
    content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
    path.write_bytes(content[:rng.integers(1, 2 * len(content))])
    (folder / 'panoptic.json').write_text(json.dumps(coco()))
    try:
        read(lambda: CocoPanoptic(folder / 'panoptic.json'))
    finally:
        path.write_bytes(intact)
