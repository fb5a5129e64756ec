# Copyright (c) The mmvc contributors. All rights reserved.
import json

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from pycocotools import mask as mask_utils

import mmvc  # noqa: F401  registers the scope
from mmvc.datasets.checks.from_config import SPLITS, check_config
from mmvc.engine import load_config
from mmvc.registry import DATASETS, TRANSFORMS


class Loaded:
    """A dataset that was imported, as its config loads it.

    Args:
        config (Path): The config.
        split (str): Split to load.
    """

    def __init__(self, config, split='train'):
        init_default_scope('mmvc')
        self.cfg = load_config(str(config))
        settings = dict(self.cfg[f'{split}_dataloader'].dataset, pipeline=[], test_mode=False,
                        serialize_data=False)
        self.dataset = DATASETS.build(settings)
        self.videos = {}
        for index in range(len(self.dataset)):
            info = self.dataset.get_data_info(index)
            name = info['video_id']
            self.videos[name] = info
        kind = 'LoadFrameInstances' if self.cfg.train_dataloader.dataset.type == 'YouTubeVISDataset' else \
            'LoadVideoSegAnnotations'
        self._transforms = [TRANSFORMS.build(dict(type=name)) for name in ('LoadFrameFromFile', kind)]

    def frame(self, video, index):
        """What the training pipeline loads of a frame."""
        info = self.videos[video]
        results = {**{key: value for key, value in info.items() if key != 'images'}, **info['images'][index]}
        for transform in self._transforms:
            results = transform(results)
        return results


@pytest.fixture
def load():
    return Loaded


@pytest.fixture
def problems():
    """What check_dataset says about the datasets of a config."""
    def check(config):
        init_default_scope('mmvc')
        cfg = load_config(str(config))
        for split in SPLITS:
            cfg[f'{split}_dataloader'].dataset.serialize_data = False  # mmengine collects garbage for it
        return check_config(cfg).problems
    return check


def tracks_of(path):
    """Masks (T, H, W) of the tracks in a file of YouTube-VIS, as ``(class, masks)`` by video and order."""
    content = json.loads(path.read_text())
    names = {category['id']: category['name'] for category in content['categories']}
    found = {}
    for video in content['videos']:
        key = video['file_names'][0].rpartition('/')[0]
        found[key] = []
        for track in content['annotations']:
            if track['video_id'] == video['id']:
                empty = np.zeros((video['height'], video['width']), bool)
                masks = [empty if rle is None else mask_utils.decode(rle).astype(bool)
                         for rle in track['segmentations']]
                found[key].append((names[track['category_id']], np.stack(masks)))
    return found


@pytest.fixture
def tracks():
    return tracks_of
