# Copyright (c) The mmvc contributors. All rights reserved.
"""YouTube-VIS, OVIS and pseudo-videos of COCO."""
import json
import shutil

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope
from pycocotools import mask as mask_utils

from mmvc.datasets import COCOPseudoVideoDataset, OVISDataset, YouTubeVISDataset
from mmvc.datasets.metainfo.coco_mapping import TARGETS

HEIGHT, WIDTH = 20, 30


def square(left):
    """A mask of 6 x 8 pixels, and its encodings."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order='F')
    mask[4:12, left:left + 6] = 1
    packed = mask_utils.encode(mask)
    pixels = mask.T.reshape(-1)
    runs = np.diff([0, *(np.flatnonzero(np.diff(pixels)) + 1), pixels.size]).tolist()
    return mask, dict(
        text=dict(size=[HEIGHT, WIDTH], counts=packed['counts'].decode()),
        counts=dict(size=[HEIGHT, WIDTH], counts=runs),
        polygon=[[left, 4, left + 6, 4, left + 6, 12, left, 12]])


def categories(classes):
    return [dict(id=index, name=name) for index, name in enumerate(classes, 1)]


def vis_content(classes, encoding='text'):
    """Two videos; in the first, object 11 moves and is out of sight in frame 1, object 12 is a crowd."""
    track = [square(2 + 3 * t)[1][encoding] for t in range(3)]
    return dict(
        videos=[
            dict(id=1, width=WIDTH, height=HEIGHT, length=3, file_names=[f'a/{t}.jpg' for t in range(3)]),
            dict(id=2, width=WIDTH, height=HEIGHT, length=1, file_names=['b/0.jpg'])
        ],
        categories=categories(classes),
        annotations=[
            dict(id=11, video_id=1, category_id=2, iscrowd=0, segmentations=[track[0], None, track[2]]),
            dict(id=12, video_id=1, category_id=1, iscrowd=1, segmentations=[None, track[0], track[0]]),
            dict(id=13, video_id=2, category_id=1, iscrowd=0, segmentations=[track[1]]),
        ])


def write_frames(folder):
    for name in ('a/0', 'a/1', 'a/2', 'b/0'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f'{name}.jpg'), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))


@pytest.fixture
def ovis_root(tmp_path):
    write_frames(tmp_path / 'train')
    content = vis_content(OVISDataset.METAINFO['classes'])
    (tmp_path / 'annotations_train.json').write_text(json.dumps(content))
    (tmp_path / 'valid').symlink_to(tmp_path / 'train')
    (tmp_path / 'valid.json').write_text(json.dumps(dict(content, annotations=None)))
    return tmp_path


def rewrite(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def pipeline(load=True):
    transforms = [dict(type='LoadFrameFromFile'), *([dict(type='LoadFrameInstances')] if load else [])]
    return [
        dict(type='SampleAllFrames'),
        dict(type='TransformBroadcaster', transforms=transforms),
        dict(type='PackVideoSegInputs')
    ]


def test_class_lists():
    assert YouTubeVISDataset.VERSIONS['2019']['classes'][5] == 'sedan'
    assert YouTubeVISDataset.VERSIONS['2021']['classes'][4] == 'car'
    assert OVISDataset.METAINFO['classes'][24] == 'Vehical'
    for meta, number in ((YouTubeVISDataset.VERSIONS['2019'], 40), (YouTubeVISDataset.VERSIONS['2021'], 40),
                         (OVISDataset.METAINFO, 25)):
        assert len(set(meta['classes'])) == len(meta['palette']) == number
    for meta, mapping in TARGETS.values():
        assert set(mapping.values()) <= set(meta['classes'])


def test_items_and_instances(ovis_root):
    dataset = OVISDataset(data_root=str(ovis_root), split='train')
    video = dataset.get_data_info(0)
    assert (len(dataset), video['video_id'], video['video_length']) == (2, '1', 3)
    assert [image['img_path'] for image in video['images']] == [f'{ovis_root}/train/a/{t}.jpg' for t in range(3)]
    tracks = [[(instance['instance_id'], instance['bbox_label'], instance['ignore_flag'])
               for instance in image['instances']] for image in video['images']]
    assert tracks == [[(11, 1, 0)], [(12, 0, 1)], [(11, 1, 0), (12, 0, 1)]]
    assert isinstance(video['images'][0]['instances'][0]['mask']['counts'], str), 'masks stay encoded'


@pytest.mark.parametrize('encoding', ['text', 'counts', 'polygon'])
def test_entities_of_each_encoding(ovis_root, encoding):
    content = vis_content(OVISDataset.METAINFO['classes'], encoding)
    (ovis_root / 'annotations_train.json').write_text(json.dumps(content))
    with DefaultScope.overwrite_default_scope('mmvc'):
        dataset = OVISDataset(data_root=str(ovis_root), split='train', pipeline=pipeline())
    frames = [frame.gt_instances for frame in dataset[0]['data_samples']]
    assert [frame.instances_ids.tolist() for frame in frames] == [[11], [], [11]], 'a crowd is no entity'
    for t in (0, 2):
        assert frames[t].labels.tolist() == [1]
        assert (frames[t].masks.masks[0] == square(2 + 3 * t)[0]).all()
    assert frames[1].masks.masks.shape == (0, HEIGHT, WIDTH)


@pytest.mark.parametrize('name', ['train/instances.json', 'train.json', 'annotations_train.json',
                                  'instances_train.json'])
@pytest.mark.parametrize('folder', ['train/JPEGImages', 'train'])
def test_names_of_the_files(tmp_path, name, folder):
    write_frames(tmp_path / folder)
    (tmp_path / name).write_text(json.dumps(vis_content(YouTubeVISDataset.VERSIONS['2021']['classes'])))
    dataset = YouTubeVISDataset(data_root=str(tmp_path), split='train', version='2021')
    assert dataset.get_data_info(1)['images'][0]['img_path'] == f'{tmp_path}/{folder}/b/0.jpg'


def test_testing_without_annotations(ovis_root):
    with DefaultScope.overwrite_default_scope('mmvc'):
        dataset = OVISDataset(
            data_root=str(ovis_root), split='valid', test_mode=True, pipeline=pipeline(load=False))
    assert dataset[0]['inputs'].shape == (3, 3, HEIGHT, WIDTH)
    assert 'instances' not in dataset.get_data_info(0)['images'][0]
    with pytest.raises(ValueError, match=r'valid\.json" has no annotations.*test_mode=True'):
        OVISDataset(data_root=str(ovis_root), split='valid')


@pytest.mark.parametrize('change, message', [
    (lambda c: c['categories'].pop(), r"only the dataset has \['Vehical'\]"),
    (lambda c: c['annotations'][0]['segmentations'].pop(), 'annotation 11 .* masks for 2 frames, its video has 3'),
    (lambda c: c['annotations'][0].update(video_id=9), 'annotation 11 .* belongs to video 9'),
    (lambda c: c['annotations'][0].update(category_id=99), 'annotation 11 .* category 99'),
    (lambda c: c.update(videos=[]), 'has no videos.*mmvc convert annotations'),
    (lambda c: c.pop('categories'), 'has no categories'),
])
def test_damaged_annotations(ovis_root, change, message):
    rewrite(ovis_root / 'annotations_train.json', change)
    with pytest.raises(ValueError, match=message):
        OVISDataset(data_root=str(ovis_root), split='train')


def test_missing_files(ovis_root):
    shutil.rmtree(ovis_root / 'train/b')
    with pytest.raises(FileNotFoundError, match='video "2" .* has no folder .*train/b'):
        OVISDataset(data_root=str(ovis_root), split='train')
    (ovis_root / 'annotations_train.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'train/instances\.json" does not exist'):
        OVISDataset(data_root=str(ovis_root), split='train')


def test_versions():
    with pytest.raises(ValueError, match="one of 2019, 2021, 2022, got '2020'"):
        YouTubeVISDataset(version='2020', split='train')
    with pytest.raises(ValueError, match='must list the class names'):
        YouTubeVISDataset(split='train')
    meta = YouTubeVISDataset(version='2019', metainfo=dict(classes=('cup', 'plate')), lazy_init=True).metainfo
    assert meta['classes'] == ('cup', 'plate') and len(meta['palette']) == 2  # not those of the version


@pytest.fixture
def coco_root(tmp_path):
    (tmp_path / 'train2017').mkdir()
    polygon = square(4)[1]['polygon']
    names = ('person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'truck', 'boat', 'cat', 'dog', 'horse',
             'sheep', 'cow', 'elephant', 'bear', 'zebra', 'giraffe', 'toaster')
    content = dict(
        images=[dict(id=i, file_name=f'{i}.jpg', width=WIDTH, height=HEIGHT, license=1) for i in (1, 2, 3)],
        categories=[dict(id=index, name=name) for index, name in enumerate(names, 1)],
        annotations=[
            dict(id=5, image_id=1, category_id=7, iscrowd=0, segmentation=polygon),  # truck
            dict(id=6, image_id=1, category_id=18, iscrowd=0, segmentation=polygon),  # toaster
            dict(id=7, image_id=1, category_id=1, iscrowd=1, segmentation=square(4)[1]['counts']),
            dict(id=8, image_id=2, category_id=18, iscrowd=0, segmentation=polygon),
            dict(id=9, image_id=3, category_id=9, iscrowd=0, segmentation=polygon),  # cat
        ])
    (tmp_path / 'instances.json').write_text(json.dumps(content))
    cv2.imwrite(str(tmp_path / 'train2017/1.jpg'), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    return tmp_path


def test_pseudo_videos(coco_root):
    with DefaultScope.overwrite_default_scope('mmvc'):
        dataset = COCOPseudoVideoDataset(
            target='ovis', data_root=str(coco_root), ann_file='instances.json',
            pipeline=[dict(type='SampleClip', num_frames=4, frame_range=2), *pipeline()[1:]])
    assert [dataset.get_data_info(i)['video_id'] for i in range(len(dataset))] == ['1', '3']
    assert dataset.get_data_info(0)['pseudo_video'] is True
    assert dataset.metainfo['classes'] == OVISDataset.METAINFO['classes']
    frames = list(dataset[0]['data_samples'])
    assert len(frames) == 4
    for frame in frames:
        assert frame.gt_instances.instances_ids.tolist() == [5]
        assert OVISDataset.METAINFO['classes'][frame.gt_instances.labels[0]] == 'Vehical'


def test_pseudo_videos_of_other_files(coco_root):
    rewrite(coco_root / 'instances.json', lambda c: c['categories'][0].update(name='people'))
    with pytest.raises(ValueError, match=r"instances\.json\".*\['person'\] are missing"):
        COCOPseudoVideoDataset(target='ovis', data_root=str(coco_root), ann_file='instances.json')
    with pytest.raises(ValueError, match="target must be one of ovis, .* got 'coco'"):
        COCOPseudoVideoDataset(target='coco', ann_file='instances.json')
