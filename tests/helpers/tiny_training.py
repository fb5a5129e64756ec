# Copyright (c) The mmvc contributors. All rights reserved.
"""A training of two tiny videos, small enough to be run many times, and a model that a video can poison."""

import cv2
import numpy as np
import torch
import torch.nn as nn
from mmengine.model import BaseModel

from mmvc.registry import MODELS

VIDEOS = ('a', 'b', 'c', 'd')
HEIGHT, WIDTH, LENGTH = 16, 24, 3
CONFIG = """
custom_imports = dict(imports=['tests.helpers.tiny_training'])
default_scope = 'mmvc'
data_root = 'nowhere'
model = dict(type='PoisonedModel')
dataset = dict(type='VSPWDataset', data_root=data_root, ann_file='train.txt', img_suffix='.png',
               metainfo=dict(classes=('dark', 'bright')),
               pipeline=[dict(type='SampleClip', num_frames=2, frame_range=1),
                         dict(type='TransformBroadcaster',
                              transforms=[dict(type='LoadFrameFromFile'), dict(type='LoadVideoSegAnnotations')]),
                         dict(type='PackVideoSegInputs')])
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dataset, collate_fn=dict(type='pseudo_collate'),
                        sampler=dict(type='InfiniteSampler', shuffle=True))
train_cfg = dict(type='ResumableTrainLoop', max_iters=6)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
default_hooks = dict(checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=2),
                     logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
                     bad_samples=dict(type='BadSampleHook'), nan_guard=dict(type='NaNGuardHook'),
                     host_memory=dict(type='HostMemoryHook', interval=1))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
visualizer = dict(type='VideoSegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
"""


def write_config(folder) -> str:
    path = folder / 'tiny.py'
    path.write_text(CONFIG)
    return str(path)


def write_videos(root, videos=VIDEOS) -> str:
    """Write videos of noise with masks of two classes, as VSPW."""
    rng = np.random.RandomState(0)
    for video in videos:
        for kind in ('origin', 'mask'):
            (root / 'data' / video / kind).mkdir(parents=True)
        for index in range(LENGTH):
            folder = root / 'data' / video
            frame = rng.randint(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
            mask = rng.randint(0, 3, (HEIGHT, WIDTH)).astype(np.uint8)
            cv2.imwrite(str(folder / 'origin' / f'{index}.png'), frame)
            cv2.imwrite(str(folder / 'mask' / f'{index}.png'), mask)
    (root / 'train.txt').write_text('\n'.join(videos) + '\n')
    return str(root)


@MODELS.register_module()
class PoisonedModel(BaseModel):
    """Fits the mean brightness of a clip.

    Args:
        poison (str, optional): Video on which the loss is NaN. Defaults to None.
        only_gradient (bool): Whether the loss is finite on it, and the gradient infinite. Defaults to False.
        ballast (int): Number of further values in a checkpoint. Defaults to 0.
    """

    def __init__(self, poison=None, only_gradient=False, ballast=0, **kwargs):
        super().__init__(**kwargs)
        self.poison, self.only_gradient = poison, only_gradient
        self.layer = nn.Linear(1, 1)
        self.register_buffer('ballast', torch.zeros(ballast) if ballast else None)
        self.batches = []  # what was trained on

    def forward(self, inputs, data_samples, mode='tensor'):
        names = [sample.video_data_samples[0].video_id for sample in data_samples]
        self.batches.append(names)
        brightness = torch.stack([clip.float().mean() for clip in inputs]).view(-1, 1) / 255
        loss = (self.layer(brightness) - brightness).square().mean()
        if self.poison in names:
            loss = (loss - loss).sqrt() if self.only_gradient else loss * float('nan')
        return dict(loss_fit=loss)
