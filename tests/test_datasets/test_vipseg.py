# Copyright (c) The mmvc contributors. All rights reserved.
import json
import shutil

import cv2
import numpy as np
import pytest

from mmvc.datasets import VIPSegDataset
from mmvc.datasets.transforms.entities import entities_from_panoptic

CLASSES = ('floor', 'cup')


def annotation(video, length=2):
    names = [f'{index:03d}.png' for index in range(length)]
    segments = [dict(id=7, category_id=0, iscrowd=0, area=60), dict(id=70000, category_id=1, iscrowd=1, area=4)]
    return (dict(video_id=video, images=[dict(id=n[:-4], width=8, height=8, file_name=n) for n in names]),
            dict(video_id=video, annotations=[dict(image_id=n[:-4], file_name=n, segments_info=segments)
                                              for n in names]))


def content_of(*videos):
    pairs = [annotation(video) for video in videos]
    return dict(
        videos=[video for video, _ in pairs],
        annotations=[frames for _, frames in pairs],
        categories=[dict(id=1, name='cup', isthing=1, color=[9, 9, 9]),
                    dict(id=0, name='floor', isthing=0, color=[1, 1, 1])])


@pytest.fixture
def root(tmp_path):
    for video in ('v', 'w'):
        for folder in ('images', 'panomasksRGB'):
            (tmp_path / folder / video).mkdir(parents=True)
    (tmp_path / 'train.json').write_text(json.dumps(content_of('v', 'w')))
    return tmp_path


def build(root, **kwargs):
    return VIPSegDataset(
        **{**dict(ann_file='train.json', data_root=str(root), metainfo=dict(classes=CLASSES)), **kwargs})


def rewrite(root, change):
    content = json.loads((root / 'train.json').read_text())
    change(content)
    (root / 'train.json').write_text(json.dumps(content))


def test_one_item_per_video(root):
    dataset = build(root)
    assert len(dataset) == 2
    video = dataset.get_data_info(1)
    assert (video['video_id'], video['video_length']) == ('w', 2)
    assert video['images'][1] == dict(
        img_path=f'{root}/images/w/001.jpg',
        frame_id=1,
        seg_map_path=f'{root}/panomasksRGB/w/001.png',
        segments_info=[
            dict(id=7, category_id=0, isthing=False, iscrowd=False),
            dict(id=70000, category_id=1, isthing=True, iscrowd=True)
        ])
    assert dataset.metainfo['thing_classes'] == ('cup', ) and len(dataset.metainfo['palette']) == 2


def test_testing_keeps_the_mask_but_not_the_segments(root):
    rewrite(root, lambda content: content['annotations'].pop())
    dataset = build(root, test_mode=True)
    assert dataset.get_data_info(0)['images'][0]['seg_map_path'].endswith('v/000.png')
    assert 'segments_info' not in dataset.get_data_info(0)['images'][0]
    assert 'seg_map_path' not in dataset.get_data_info(1)['images'][0]


def test_classes_of_vipseg(root):
    from mmvc.datasets.converters.vipseg import CATEGORIES
    rewrite(root, lambda content: content.update(categories=list(CATEGORIES)))
    dataset = build(root, metainfo=None)
    assert len(dataset.metainfo['classes']) == 124 and len(dataset.metainfo['thing_classes']) == 58


def test_crowds_are_no_entities():
    seg_map = np.zeros((8, 8), np.int32)
    seg_map[:, :4], seg_map[:, 4:] = 7, 70000
    segments = [dict(id=7, category_id=0, iscrowd=0), dict(id=70000, category_id=1, iscrowd=1)]
    assert entities_from_panoptic(seg_map, segments).instances_ids.tolist() == [7]



@pytest.mark.parametrize('damage, error, message', [
    (shutil.rmtree, FileNotFoundError, 'is not a folder'),
    (lambda root: (root / 'train.json').unlink(), FileNotFoundError, r'train\.json" does not exist'),
    (lambda root: (root / 'train.json').write_text('{"videos": ['), ValueError, r'train\.json" is not valid JSON'),
    (lambda root: rewrite(root, lambda c: c.pop('annotations')), ValueError, r'train\.json" has no annotations'),
    (lambda root: shutil.rmtree(root / 'images/w'), FileNotFoundError, '"w" of .* has no folder .*images/w'),
    (lambda root: rewrite(root, lambda c: c['annotations'].pop()), ValueError, r'"000\.png" of video "w" has no ann'),
    (lambda root: rewrite(root, lambda c: c['categories'].pop()), ValueError, "category 0 .* is None, .* 'floor'"),
    (lambda root: rewrite(root, lambda c: c['videos'][0].update(images=[])), ValueError, '"v" .* has no frames'),
    (lambda root: rewrite(
        root, lambda c: c['annotations'][0]['annotations'][0]['segments_info'][0].update(category_id=5)), ValueError,
     'segment 7 of .*000.png" has the category 5'),
])
def test_damaged_datasets(root, damage, error, message):
    damage(root)
    with pytest.raises(error, match=message):
        build(root)


def test_things_that_contradict_the_file(root):
    with pytest.raises(ValueError, match=r"differ by \['cup', 'floor'\]"):
        build(root, metainfo=dict(classes=CLASSES, thing_classes=('floor', )))


def test_an_id_that_is_not_listed_stops_training(root):
    for index in range(2):
        cv2.imwrite(str(root / f'images/v/00{index}.jpg'), np.zeros((8, 8, 3), np.uint8))
        cv2.imwrite(str(root / f'panomasksRGB/v/00{index}.png'), np.full((8, 8, 3), 5, np.uint8))
    from mmengine.registry import DefaultScope
    with DefaultScope.overwrite_default_scope('mmvc'):
        dataset = build(root, pipeline=[
            dict(type='SampleClip', num_frames=1, frame_range=0),
            dict(type='TransformBroadcaster',
                 transforms=[dict(type='LoadFrameFromFile'), dict(type='LoadVideoSegAnnotations')]),
        ])
    with pytest.raises(ValueError, match=r'panomasksRGB/v/00\d\.png" holds the segment ids \[328965\]'):
        dataset[0]
