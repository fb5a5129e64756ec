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
from tests.helpers.config_files import CONFIG_DIR, LIST_NAMES, TRAINVAL_NAMES, leaves, load, stage_of
from tests.helpers.tiny_configs import build, make_batch, shrink

CHALLENGES = sorted(path.name for path in (CONFIG_DIR / 'challenge').glob('[!_]*.py'))


@pytest.mark.parametrize('name', TRAINVAL_NAMES)
def test_only_data_form_of_the_loss_and_start_differ(name):
    cfg, usual, stage = load(name), load(name.replace('_trainval', '')), stage_of(name)
    ours, theirs = dict(leaves(cfg._cfg_dict)), dict(leaves(usual._cfg_dict))
    changed = {key for key in {*ours, *theirs} if key not in ours or key not in theirs or ours[key] != theirs[key]}
    changed = {key for key in changed if not key.startswith(('train_dataloader.dataset', 'split.'))}
    masked = {'train_pipeline', 'mvc_sum.patch_size', 'mvc_sum.mask_ratio', 'mvc_sum.mode', 'model_wrapper_cfg.type',
              'model_wrapper_cfg.broadcast_buffers'}
    fine_tuned = {'train_cfg.max_iters', 'train_cfg.val_interval', 'param_scheduler.milestones',
                  'optim_wrapper.optimizer.lr'}
    assert changed == {'load_from'} | dict(segmenter=masked | fine_tuned, online=masked, offline=set())[stage]

    parts = cfg.train_dataloader.dataset.datasets
    assert [part.ann_file for part in parts] == ['train.txt', 'val.txt']
    for part in parts:
        assert part.pipeline == cfg.train_pipeline
        assert {**part, 'ann_file': 'train.txt', 'pipeline': usual.train_pipeline} == usual.train_dataloader.dataset
    if stage != 'offline':
        usual_mask, mask = usual.train_pipeline[-2], cfg.train_pipeline[-2]
        assert mask == dict(type=usual_mask.type, patch_size=32, mask_ratio=0.7, mode='sum')
        assert cfg.train_pipeline[:-2] == usual.train_pipeline[:-2]
        init_default_scope('mmvc')
        assert MODEL_WRAPPERS.get(cfg.model_wrapper_cfg.type) is TwoPassDistributedDataParallel


@pytest.mark.parametrize('name', [name for name in LIST_NAMES if '_trainval' in name])
def test_weights_are_handed_on(name):
    starts = [load(stage.config[len('./'):-len('.py')].join(('mvc/', ''))).load_from for stage in load(name).stages]
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
