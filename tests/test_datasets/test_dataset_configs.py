# Copyright (c) The mmvc contributors. All rights reserved.
"""The datasets and pipelines of the benchmarks' configs, on small data in their formats: from files to samples."""
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmvc.datasets.converters.vipseg import CATEGORIES
from mmvc.datasets.metainfo.coco_mapping import TARGETS
from mmvc.engine.config import load_config, reroot
from mmvc.registry import DATASETS, METRICS, TRANSFORMS

CONFIGS = Path(__file__).parents[2] / 'configs'
NAMES = dict(
    vspw='dvispp/dvispp_r50_vspw',
    vipseg='dvispp/dvispp_r50_vipseg',
    ovis='dvispp/dvispp_r50_ovis',
    youtube_vis_2019='dvispp/dvispp_r50_ytvis2019',
    youtube_vis_2021='dvispp/dvispp_r50_ytvis2021',
    youtube_vis_2022='videomt/videomt_vitl_dinov3_ytvis2022')
HEIGHT, WIDTH = 90, 160


def load(name, stage=None):
    """Config of a stage of DVIS++ on a dataset, or of VidEoMT on YouTube-VIS 2022."""
    return load_config(str(CONFIGS / f'{NAMES[name]}.py'), stage=stage)


def write_frame(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.RandomState(0).randint(0, 255, (HEIGHT, WIDTH, 3), np.uint8))


def write_mask(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), mask)


def write_data(name, cfg):
    """A video of two frames under the config's data roots; one polygon covers the middle of every frame."""
    root = Path(cfg.data_root)
    polygon = [[40, 20, 120, 20, 120, 70, 40, 70]]
    if name == 'vspw':
        for t in range(2):
            write_frame(root / f'data/v/origin/{t}.jpg')
            write_mask(root / f'data/v/mask/{t}.png', np.full((HEIGHT, WIDTH), 61, np.uint8))
        for split in ('train', 'val'):
            (root / f'{split}.txt').write_text('v\n')
        return
    if name == 'vipseg':
        frames = [dict(id=str(t), width=WIDTH, height=HEIGHT, file_name=f'{t}.png') for t in range(2)]
        segments = [dict(id=60, category_id=60, iscrowd=0, area=WIDTH * HEIGHT)]
        for t in range(2):
            write_frame(root / f'images/v/{t}.jpg')
            write_mask(root / f'panomasksRGB/v/{t}.png', np.tile(np.uint8([0, 0, 60]), (HEIGHT, WIDTH, 1)))
        content = dict(
            videos=[dict(video_id='v', images=frames)],
            annotations=[dict(video_id='v', annotations=[
                dict(file_name=frame['file_name'], segments_info=segments) for frame in frames])],
            categories=CATEGORIES)
        for split in ('train', 'val'):
            (root / f'panoptic_gt_VIPSeg_{split}.json').write_text(json.dumps(content))
        return
    classes = DATASETS.get(cfg.dataset_type)
    meta = classes.METAINFO if name == 'ovis' else classes.VERSIONS[name[-4:]]
    for split in ('train', 'valid'):
        for t in range(2):
            write_frame(root / split / f'JPEGImages/v/{t}.jpg')
        content = dict(
            videos=[dict(id=1, width=WIDTH, height=HEIGHT, length=2, file_names=['v/0.jpg', 'v/1.jpg'])],
            categories=[dict(id=i, name=label) for i, label in enumerate(meta['classes'], 1)],
            annotations=[dict(id=1, video_id=1, category_id=1, iscrowd=0, segmentations=[polygon] * 2)]
            if split == 'train' else None)
        layouts = dict(ovis='annotations_{}.json', youtube_vis_2019='{}.json')
        path = root / layouts.get(name, '{}/instances.json').format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    coco = Path(cfg.coco_root)
    write_frame(coco / 'train2017/1.jpg')
    names = list(TARGETS[name.replace('2022', '2021')][1])
    (coco / 'annotations').mkdir()
    (coco / 'annotations/instances_train2017.json').write_text(
        json.dumps(
            dict(
                images=[dict(id=1, file_name='1.jpg', width=WIDTH, height=HEIGHT)],
                categories=[dict(id=i, name=label) for i, label in enumerate(names, 1)],
                annotations=[dict(id=1, image_id=1, category_id=1, iscrowd=0, segmentation=polygon)])))


@pytest.fixture(params=list(NAMES))
def named_cfg(request, tmp_path):
    """Each config, with its data roots below ``tmp_path``."""
    cfg = load(request.param, 'segmenter').to_dict()
    for old in {cfg['data_root'], cfg.get('coco_root', cfg['data_root'])}:
        (tmp_path / old).mkdir(parents=True)
        cfg = reroot(cfg, old, str(tmp_path / old))
    cfg = Config(cfg)
    assert str(tmp_path) in cfg.data_root
    write_data(request.param, cfg)
    with DefaultScope.overwrite_default_scope('mmvc'):
        yield request.param, cfg


def sides(sample):
    return sample['inputs'].shape[-2:]


def test_training_and_testing(named_cfg):
    name, cfg = named_cfg
    assert cfg.num_classes == {'vspw': 124, 'vipseg': 124, 'ovis': 25}.get(name, 40)
    train = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(train.metainfo['classes']) == cfg.num_classes
    expected = dict(vspw=4, vipseg=5, youtube_vis_2022=1).get(name, 10)
    for index in range(len(train)):
        sample = train[index]
        assert sample['inputs'].shape[:2] == (expected, 3) and sample['inputs'].dtype == torch.uint8
        for frame in sample['data_samples']:
            entities = frame.gt_instances
            assert entities.masks.masks.shape[1:] == frame.img_shape == tuple(sides(sample))
            assert len(entities) == 1 and entities.labels[0] < cfg.num_classes
    test = DATASETS.build(cfg.test_dataloader.dataset)
    (sample, ) = list(test)
    assert sample['inputs'].shape == (2, 3, *((720, 1280) if name in ('vspw', 'vipseg') else (480, 853)))
    assert len(test.metainfo['classes']) == cfg.num_classes
    assert METRICS.build(cfg.test_evaluator)


@pytest.mark.parametrize('named_cfg', ['youtube_vis_2022'], indirect=True)
def test_long_videos_are_scored_where_the_ground_truth_is(named_cfg):
    _, cfg = named_cfg
    root = Path(cfg.data_root)
    truth = json.loads((root / 'train/instances.json').read_text())
    for name in ('gt', 'gt_short', 'gt_long'):
        (root / f'{name}.json').write_text(json.dumps(truth))
    metric = METRICS.build(dict(cfg.test_evaluator, format_only=False, ann_file=str(root / 'gt.json')))
    mask = np.zeros((2, HEIGHT, WIDTH), bool)
    mask[:, 20:70, 40:120] = True
    metric.process({}, [dict(video_data_samples=[
        dict(video_id='1', frame_id=t, video_length=2, pred_track_instances=dict(
            labels=np.array([0]), scores=np.array([0.9]), instances_ids=np.array([3]), masks=mask[t:t + 1]))
        for t in range(2)])])
    numbers = metric.evaluate(1)
    assert [numbers[f'vis/{name}'] for name in ('AP', 'AP_S', 'AP_L', 'AR10_L', 'AP_mean')] == [pytest.approx(100)] * 5


def test_ratio_of_joint_training(named_cfg):
    name, cfg = named_cfg
    if name in ('vspw', 'vipseg'):
        assert 'coco_root' not in cfg
        return
    train = DATASETS.build(dict(cfg.train_dataloader.dataset, pipeline=[]))
    assert [train[index].get('pseudo_video', False) for index in range(len(train))] == [False, True]


def frames_of(size, length=2):
    return dict(img=[np.zeros((*size, 3), np.uint8)] * length, img_shape=[size] * length)


def outcome_sizes(transforms, size, seeds):
    """Sizes of a clip after geometric transforms."""
    with DefaultScope.overwrite_default_scope('mmvc'):
        pipeline = TRANSFORMS.build(dict(type='Compose', transforms=transforms))
    outcomes = set()
    for seed in seeds:
        np.random.seed(seed)
        shapes = {image.shape[:2] for image in pipeline(frames_of(size))['img']}
        assert len(shapes) == 1, 'sizes are drawn per clip'
        outcomes |= shapes
    return outcomes


@pytest.mark.parametrize('name', ['vspw', 'vipseg'])
def test_sizes_of_vss_and_vps(name):
    load_and_augment, of_refiner = (
        load(name, stage).train_dataloader.dataset.pipeline[1] for stage in ('segmenter', 'offline'))
    geometry = dict(load_and_augment, transforms=load_and_augment.transforms[2:])
    scales = geometry['transforms'][0].scales
    assert [tuple(scale) for scale in scales] == [(1333, side) for side in range(480, 801, 32)] and len(scales) == 11
    sizes = outcome_sizes([geometry], (480, 640), range(60))
    assert {height for height, _ in sizes} == set(range(480, 801, 32))
    assert outcome_sizes([geometry], (300, 900), range(5)) == {(444, 1333)}, 'the longest side is 1333'
    refiner = dict(of_refiner, transforms=of_refiner.transforms[2:])
    assert refiner['share_random_params']
    cropped = outcome_sizes([refiner], (480, 853), range(40))
    for height, width in cropped:
        if name == 'vspw':
            assert height <= 720 and 600 <= width <= 720 and (height >= 600 or height in range(480, 600, 32))
        else:
            assert width == 608 and height in (480, 512, 544, 576, 608)
    assert max(height for height, _ in cropped) > 600


def test_sizes_of_vis():
    load_and_augment = load('ovis', 'segmenter').train_dataloader.dataset.pipeline[1]
    sides_of_recipe = [320, 352, 392, 416, 448, 480, 512, 544, 576, 608, 640]
    _, crop, resize, _ = load_and_augment.transforms
    assert [tuple(size) for size in resize.transforms[0].scales] == [(768, side) for side in sides_of_recipe]
    assert {min(size) for size in outcome_sizes([resize], (480, 480), range(80))} == set(sides_of_recipe)
    assert all(max(size) <= 768 for size in outcome_sizes([resize], (400, 900), range(10)))
    windows = outcome_sizes([crop], (720, 1280), range(60))
    assert (720, 1280) in windows, 'half of the clips stay whole'
    windows.remove((720, 1280))
    assert all(384 <= height <= 600 and 384 <= width <= 600 for height, width in windows) and len(windows) > 15
