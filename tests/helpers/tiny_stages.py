# Copyright (c) The mmvc contributors. All rights reserved.
"""A model, a dataset and a metric as small as can be, for the machinery around them."""

import os
import random
import signal

import numpy as np
import torch
import torch.nn as nn
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from torch.utils.data import Dataset

from mmvc.engine import load_config, load_stages, read_config, stage_names
from mmvc.registry import DATASETS, METRICS, MODELS
from mmvc.utils import atomic

CONFIG = """
custom_imports = dict(imports=['tests.helpers.tiny_stages'])
default_scope = 'mmvc'
data_root = 'data/tiny'
model = dict(type='{model}')
train_dataloader = dict(
    batch_size=2, num_workers=0, collate_fn=dict(type='default_collate'),
    sampler=dict(type='mmengine.InfiniteSampler', shuffle=True), dataset=dict(type='TinyDataset', data_root=data_root))
val_dataloader = dict(
    batch_size=1, num_workers=0, collate_fn=dict(type='default_collate'),
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False), dataset=dict(type='TinyDataset', data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(type='TinyMetric')
test_evaluator = val_evaluator
train_cfg = dict(type='ResumableTrainLoop', max_iters={max_iters}, val_interval=4)
val_cfg = dict(type='mmengine.ValLoop')
test_cfg = dict(type='mmengine.TestLoop')
optim_wrapper = dict(type='mmengine.OptimWrapper', optimizer=dict(type='mmengine.SGD', lr=0.02, momentum=0.9))
default_hooks = dict(
    checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=2, max_keep_ckpts=2, save_best='tiny/mIoU'),
    random_state=dict(type='RandomStateHook'))
custom_hooks = [dict(type='mmengine.EMAHook', momentum=0.3)]
log_processor = dict(by_epoch=False)
randomness = dict(seed=3)
visualizer = dict(type='VideoSegLocalVisualizer', vis_backends=[dict(type='mmengine.LocalVisBackend')])
"""
STAGES = dict(segmenter=('TinyModel', 6), online=('TinyTracker', 5), offline=('TinyTracker', 4))


def write_config(folder, stages=STAGES) -> str:
    """Write a config with stages; return its path."""
    model, max_iters = list(stages.values())[-1]
    patches = {name: dict(model=dict(type=kind), train_cfg=dict(max_iters=iters))
               for name, (kind, iters) in list(stages.items())[:-1]}
    patches[list(stages)[-1]] = {}
    path = folder / 'all.py'
    path.write_text(CONFIG.format(model=model, max_iters=max_iters) + f'stages = {patches!r}\n')
    return str(path)


def load_tiny_stages(path: str, work_dir, **options) -> list:
    """The stages of a config, with overrides."""
    names = stage_names(read_config(path))
    return load_stages(names, str(work_dir), lambda name: load_config(path, options, stage=name))


class Killer:
    """Ends the process with SIGKILL at the n-th event that it is told of."""

    def __init__(self):
        self.left = None  # None: never

    def tick(self):
        if self.left is not None:
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1


KILLER = Killer()


def kill_inside_writes() -> None:
    """Let KILLER see the moments before, in the middle of and after every atomic write."""
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor):
        if not os.path.isdir(f'/proc/self/fd/{descriptor}'):
            size = os.fstat(descriptor).st_size
            content_half = size // 2
            if KILLER.left == 0:
                os.ftruncate(descriptor, content_half)  # as a kill in the middle of writing would leave it
            KILLER.tick()
        real_fsync(descriptor)

    def replace(source, target):
        KILLER.tick()
        real_replace(source, target)
        KILLER.tick()

    atomic.os = type('os', (), dict(vars(os), fsync=staticmethod(fsync), replace=staticmethod(replace)))


def draw() -> float:
    """A number that needs all generators."""
    return random.gauss(0, 1) + float(np.random.standard_normal()) + torch.randn(()).item()


@DATASETS.register_module()
class TinyDataset(Dataset):
    METAINFO = dict(classes=('a', 'b'), palette=[(200, 0, 0), (0, 200, 0)])

    def __init__(self, data_root=''):
        self.data_root = data_root
        self.metainfo = self.METAINFO
        self.inputs = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return dict(inputs=self.inputs[index] + draw() / 10, targets=self.inputs[index].sum())


@MODELS.register_module()
class TinyModel(BaseModel):

    def __init__(self, width=3, **kwargs):
        super().__init__(**kwargs)
        self.backbone = nn.Linear(width, 4)
        self.head = nn.Linear(4, 1)

    def predict(self, inputs):
        return self.head(self.backbone(inputs)).squeeze(1)

    def forward(self, inputs, targets, mode='tensor'):
        KILLER.tick()
        prediction = self.predict(inputs + draw() / 10)
        if mode == 'loss':
            return dict(loss=(prediction - targets).square().mean())
        return [dict(error=float(e)) for e in (prediction - targets).abs()]


@MODELS.register_module()
class TinyTracker(TinyModel):

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tracker = nn.Linear(4, 4)

    def predict(self, inputs):
        x = self.backbone(inputs)
        return self.head(x + self.tracker(x)).squeeze(1)


@METRICS.register_module()
class TinyMetric(BaseMetric):
    default_prefix = 'tiny'

    def process(self, data_batch, data_samples):
        self.results.extend(sample['error'] for sample in data_samples)

    def compute_metrics(self, results):
        return dict(mIoU=100 - sum(results) / len(results), mIoU_trivial=12.5)
