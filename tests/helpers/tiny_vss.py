# Copyright (c) The mmvc contributors. All rights reserved.
"""A dataset of two tiny videos and a model that tells dark from bright, to try the tools on."""

import os
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn as nn
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.structures import PixelData

from mmvc.registry import HOOKS, MODELS

CONFIG = """
custom_imports = dict(imports=['tests.helpers.tiny_vss'])
default_scope = 'mmvc'
data_root = 'nowhere'
find_unused_parameters = True  # the embedding takes no part in the loss
model = dict(type='TinyVSS', num_classes={num_classes})
dataset = dict(type='VSPWDataset', data_root=data_root, ann_file='val.txt', test_mode=True, img_suffix='.png',
               metainfo=dict(classes=('dark', 'bright'), palette=[(0, 90, 200), (230, 160, 0)]),
               pipeline=[dict(type='SampleAllFrames'),
                         dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrameFromFile')]),
                         dict(type='PackVideoSegInputs')])
train_dataloader = dict(batch_size=1, num_workers=0, dataset=dataset, collate_fn=dict(type='pseudo_collate'),
                        sampler=dict(type='InfiniteSampler', shuffle=True))
test_dataloader = dict(batch_size=1, num_workers=0, dataset=dataset, collate_fn=dict(type='pseudo_collate'),
                       sampler=dict(type='DefaultSampler', shuffle=False))
val_dataloader = test_dataloader
test_evaluator = dict(type='VSSMetric', window_sizes=(2, ))
val_evaluator = test_evaluator
train_cfg = dict(type='ResumableTrainLoop', max_iters=4, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.001))
default_hooks = dict(checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=2))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
visualizer = dict(type='VideoSegLocalVisualizer',
                  vis_backends=[dict(type='LocalVisBackend'), {more_backends}])
"""


def write_config(path, num_classes=2, more_backends='') -> str:
    path.write_text(CONFIG.format(num_classes=num_classes, more_backends=more_backends))
    return str(path)


def write_videos(root, num_frames=4, names=('left', 'right')) -> str:
    """Write videos of 96x64: a bright square moves over a dark ground."""
    for video in names:
        shift = dict(left=-4, right=4, still=0)[video]
        for kind in ('origin', 'mask'):
            (root / 'data' / video / kind).mkdir(parents=True)
        for index in range(num_frames):
            mask = np.ones((64, 96), np.uint8)
            x = 40 + shift * index
            mask[20:44, x:x + 24] = 2
            mask[:4] = 0  # void
            frame = np.where(mask[..., None] == 2, 220, 40).astype(np.uint8).repeat(3, axis=2)
            cv2.imwrite(str(root / 'data' / video / 'origin' / f'{index:03d}.png'), frame)
            cv2.imwrite(str(root / 'data' / video / 'mask' / f'{index:03d}.png'), mask)
    (root / 'val.txt').write_text('\n'.join(names))
    return str(root)


@MODELS.register_module()
class TinyVSS(BaseModel):

    def __init__(self, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.cls_embed = nn.Linear(1, num_classes)
        self.unused = nn.Linear(1, 1)

    def forward(self, inputs, data_samples, mode='tensor'):
        if mode == 'loss':
            grey = torch.stack([frames.float().mean() / 255 for frames in inputs]).view(-1, 1)
            return dict(loss=self.cls_embed(grey + torch.rand(())).square().mean())
        for frames, sample in zip(inputs, data_samples):
            for frame, frame_sample in zip(frames, sample.video_data_samples):
                bright = (frame.float().mean(0, keepdim=True) > 128).to(frame.dtype)
                frame_sample.pred_sem_seg = PixelData(sem_seg=bright)
        return data_samples


@HOOKS.register_module()
class InterruptOnce(Hook):
    """Stops one rank before one iteration; not again, in a training that was started anew.

    By an exception, by SIGKILL (``how='kill'``), or until something else ends the process (``how='wait'``), whose
    number is in the file ``marker``.
    """

    def __init__(self, rank, iteration, marker, how='raise'):
        self.rank, self.iteration, self.marker, self.how = rank, iteration, Path(marker), how

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if get_rank() != self.rank or runner.iter != self.iteration or self.marker.exists():
            return
        self.marker.write_text(str(os.getpid()))
        if self.how == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == 'wait':
            time.sleep(600)
        raise RuntimeError(f'rank {self.rank} fails on purpose')
