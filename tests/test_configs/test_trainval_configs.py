# Copyright (c) The mmvc contributors. All rights reserved.
"""The configs that train on VSPW's train + val, and those of the challenge pipeline."""

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS, init_default_scope
from torch.optim import SGD

from mmvc.challenge.pipeline import load_plan
from mmvc.models.video_segmentors import TwoPassDistributedDataParallel
from mmvc.registry import DATASETS
from mmvc.utils.errors import UsageError
from tests.helpers.config_files import (
    CONFIG_DIR,
    STAGED_NAMES,
    STAGES,
    TRAINVAL_NAMES,
    differences,
    load,
    stage_of,
    train_pipeline_of,
)
from tests.helpers.tiny_configs import build, make_batch, shrink

CHALLENGES = sorted(path.name for path in (CONFIG_DIR / 'challenge').glob('[!_]*.py'))


@pytest.mark.parametrize('name', TRAINVAL_NAMES)
def test_only_data_form_of_the_loss_and_start_differ(name):
    cfg, usual, stage = load(name), load(name.replace('_trainval', '')), stage_of(name)
    changed = {key for key in differences(cfg, usual) if not key.startswith('train_dataloader.dataset')}
    masked = {'model_wrapper_cfg.type', 'model_wrapper_cfg.broadcast_buffers'}
    fine_tuned = {'train_cfg.max_iters', 'train_cfg.val_interval', 'param_scheduler.milestones',
                  'optim_wrapper.optimizer.lr'}
    assert changed == {'load_from'} | dict(segmenter=masked | fine_tuned, online=masked, offline=set())[stage]

    pipeline, usual_pipeline = train_pipeline_of(cfg), train_pipeline_of(usual)
    parts = cfg.train_dataloader.dataset.datasets
    assert [part.ann_file for part in parts] == ['train.txt', 'val.txt']
    for part in parts:
        assert part.pipeline == pipeline
        assert {**part, 'ann_file': 'train.txt', 'pipeline': usual_pipeline} == usual.train_dataloader.dataset
    if stage != 'offline':
        usual_mask, mask = usual_pipeline[-2], pipeline[-2]
        assert mask == dict(type=usual_mask.type, patch_size=32, mask_ratio=0.7, mode='sum')
        assert pipeline[:-2] == usual_pipeline[:-2]
        init_default_scope('mmvc')
        assert MODEL_WRAPPERS.get(cfg.model_wrapper_cfg.type) is TwoPassDistributedDataParallel


@pytest.mark.parametrize('name', [name for name in STAGED_NAMES if '_trainval' in name])
def test_weights_are_handed_on(name):
    starts = [load(f'{name}_{stage}').load_from for stage in STAGES]
    usual = name.replace('_trainval', '')
    assert starts == [f'checkpoints/{usual}_segmenter.pth', f'checkpoints/{name}_segmenter.pth',
                      f'checkpoints/{name}_online.pth']


@pytest.mark.parametrize('stage', ['segmenter', 'online', 'offline'])
def test_training_step(stage):
    cfg = load(f'mvc/dvispp_r50_vspw_trainval_{stage}')
    model = build(shrink(cfg.model)).train()
    log = model.train_step(make_batch(cfg), OptimWrapper(SGD([p for p in model.parameters() if p.requires_grad], 0.0)))
    assert log['loss'].isfinite() and ('masked.loss_cls' in log) == (stage != 'offline')


def test_both_splits_are_trained_on(tmp_path):
    for video in ('a', 'b', 'c'):
        for kind, suffix in (('origin', 'jpg'), ('mask', 'png')):
            folder = tmp_path / 'data' / video / kind
            folder.mkdir(parents=True)
            cv2.imwrite(str(folder / f'0.{suffix}'), np.ones((8, 8), np.uint8))
    (tmp_path / 'train.txt').write_text('a\nb\n')
    (tmp_path / 'val.txt').write_text('c\n')
    init_default_scope('mmvc')
    config = load('mvc/dvispp_r50_vspw_trainval_online').train_dataloader.dataset
    for part in config.datasets:
        part.update(data_root=str(tmp_path), pipeline=[])
    dataset = DATASETS.build(config)
    assert [dataset[i]['video_id'] for i in range(len(dataset))] == ['a', 'b', 'c']


@pytest.mark.parametrize('name', CHALLENGES)
def test_challenge_configs(name, monkeypatch):
    cfg = Config.fromfile(str(CONFIG_DIR / 'challenge' / name))
    with pytest.raises(UsageError, match='checkpoint "(checkpoints|work_dirs)/.*" does not exist'):
        load_plan(cfg)
    monkeypatch.setattr('mmvc.challenge.pipeline.plan.require_checkpoint', lambda path: None)
    plan = load_plan(cfg)
    assert set(plan.aggregation.models) <= set(plan.models) and len(plan.aggregation.models) == 2
    assert plan.correction.table(plan.build_dataset().metainfo['classes']).groups
    for model in plan.models.values():
        offline = load(model.config.split('configs/')[-1][:-len('.py')])
        assert model.checkpoint.split('/')[-1].startswith((model.config.split('/')[-1][:-len('.py')], 'iter_'))
        if 'iter_' in model.checkpoint:
            assert model.checkpoint.endswith(f'iter_{offline.train_cfg.max_iters}.pth')
