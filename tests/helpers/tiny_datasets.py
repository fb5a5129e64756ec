# Copyright (c) The mmvc contributors. All rights reserved.
"""A dataset of two videos in every format, and what reads it from end to end."""

import json

import cv2
import numpy as np
from mmengine.registry import DefaultScope
from pycocotools import mask as mask_utils

from mmvc.datasets import CamVidDataset, COCOPseudoVideoDataset, VIPSegDataset, VSPWDataset, YouTubeVISDataset
from mmvc.datasets.metainfo.coco_mapping import COCO_TO_OVIS

HEIGHT, WIDTH, LENGTH = 12, 16, 2
VIDEOS = ('left', 'right')
CLASSES = ('floor', 'cup')
FLOOR, CUP = 7, 1 + 256 * 2 + 65536 * 3  # panoptic ids


def cup(index):
    """Mask of the cup in a frame."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order='F')
    mask[3:9, 2 + 3 * index:8 + 3 * index] = 1
    return mask


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def write_frames(folder):
    rng = np.random.RandomState(0)
    for video in VIDEOS:
        for index in range(LENGTH):
            write_image(folder / video / f'{index}.jpg', rng.randint(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8))


def write_vspw(root):
    for video in VIDEOS:
        for index in range(LENGTH):
            write_image(root / f'data/{video}/mask/{index}.png', cup(index) + 1)
            write_image(root / f'data/{video}/origin/{index}.jpg', np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    (root / 'train.txt').write_text('left\nright\n')


def write_camvid(root):
    for video in VIDEOS:
        for index in range(LENGTH):
            write_image(root / f'Annotations/{video}/{index}.png', cup(index))
            write_image(root / f'JPEGImages/{video}/{index}.jpg', np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    (root / 'train.txt').write_text('left\nright\n')


def write_vipseg(root):
    write_frames(root / 'images')
    names = [f'{index}.png' for index in range(LENGTH)]
    for video in VIDEOS:
        for index, name in enumerate(names):
            ids = np.where(cup(index) == 1, CUP, FLOOR)
            bgr = np.stack([ids >> 16, ids >> 8 & 255, ids & 255], axis=-1).astype(np.uint8)
            write_image(root / 'panomasksRGB' / video / name, bgr)
    segments = [dict(id=FLOOR, category_id=0, iscrowd=0, area=HEIGHT * WIDTH - 36),
                dict(id=CUP, category_id=1, iscrowd=0, area=36)]
    content = dict(
        videos=[dict(video_id=video, images=[dict(id=name[:-4], file_name=name, width=WIDTH, height=HEIGHT)
                                             for name in names]) for video in VIDEOS],
        annotations=[dict(video_id=video, annotations=[dict(file_name=name, image_id=name[:-4],
                                                            segments_info=segments) for name in names])
                     for video in VIDEOS],
        categories=[dict(id=index, name=name, isthing=index) for index, name in enumerate(CLASSES)])
    (root / 'train.json').write_text(json.dumps(content))


def rle(index):
    packed = mask_utils.encode(cup(index))
    return dict(size=[HEIGHT, WIDTH], counts=packed['counts'].decode())


def write_vis(root):
    write_frames(root / 'JPEGImages')
    polygon = [[2, 3, 8, 3, 8, 9, 2, 9]]
    content = dict(
        videos=[dict(id=number, width=WIDTH, height=HEIGHT, length=LENGTH,
                     file_names=[f'{video}/{index}.jpg' for index in range(LENGTH)])
                for number, video in enumerate(VIDEOS, 1)],
        categories=[dict(id=number, name=name) for number, name in enumerate(CLASSES, 1)],
        annotations=[
            dict(id=10, video_id=1, category_id=2, iscrowd=0, segmentations=[rle(0), rle(1)]),
            dict(id=11, video_id=1, category_id=1, iscrowd=0, segmentations=[None, polygon]),
            dict(id=12, video_id=2, category_id=2, iscrowd=0, segmentations=[rle(0), rle(1)]),
        ])
    (root / 'train.json').write_text(json.dumps(content))


def write_coco(root):
    names = list(COCO_TO_OVIS)
    for number in (1, 2):
        write_image(root / f'train2017/{number}.jpg', np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    content = dict(
        images=[dict(id=number, file_name=f'{number}.jpg', width=WIDTH, height=HEIGHT) for number in (1, 2)],
        categories=[dict(id=number, name=name) for number, name in enumerate(names, 1)],
        annotations=[
            dict(id=5, image_id=1, category_id=1, iscrowd=0, segmentation=[[2, 3, 8, 3, 8, 9, 2, 9]]),
            dict(id=6, image_id=2, category_id=2, iscrowd=0, segmentation=rle(1)),
        ])
    (root / 'train.json').write_text(json.dumps(content))


WRITERS = dict(vspw=write_vspw, camvid=write_camvid, vipseg=write_vipseg, vis=write_vis, coco=write_coco)
LOAD = dict(vspw='LoadVideoSegAnnotations', camvid='LoadVideoSegAnnotations', vipseg='LoadVideoSegAnnotations',
            vis='LoadFrameInstances', coco='LoadFrameInstances')


def build(kind, root, **options):
    """The dataset of a format."""
    options = dict(options, data_root=str(root), serialize_data=False, pipeline=[
        dict(type='SampleAllFrames'),
        dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrameFromFile'), dict(type=LOAD[kind])]),
        dict(type='PackVideoSegInputs')])
    metainfo = dict(classes=CLASSES)
    with DefaultScope.overwrite_default_scope('mmvc'):
        if kind == 'vspw':
            return VSPWDataset(ann_file='train.txt', metainfo=metainfo, **options)
        if kind == 'camvid':
            return CamVidDataset(ann_file='train.txt', **options)
        if kind == 'vipseg':
            return VIPSegDataset(ann_file='train.json', metainfo=metainfo, **options)
        if kind == 'vis':
            return YouTubeVISDataset(ann_file='train.json', data_prefix=dict(img_path='JPEGImages'),
                                     metainfo=metainfo, **options)
        return COCOPseudoVideoDataset(target='ovis', ann_file='train.json', **options)


def load_all(kind, root):
    """Every sample of the dataset."""
    dataset = build(kind, root)
    return [dataset[index] for index in range(len(dataset))]
