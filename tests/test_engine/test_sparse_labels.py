# Copyright (c) The mmvc contributors. All rights reserved.
"""Trainings on videos of which only some frames are labelled, from the files to the numbers, for every task."""

import logging
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

from mmvc.datasets.synthetic import SyntheticVideoConfig, make_synthetic_dataset
from mmvc.engine import build_runner, load_config
from mmvc.engine.ground_truth import GroundTruth
from mmvc.engine.hooks import CheckDataHook
from mmvc.evaluation.files import evaluate_vis, evaluate_vps, evaluate_vss
from mmvc.formats.vspw import find_unlabelled, list_masks
from mmvc.utils.dataset_configs import innermost_datasets
from tests.helpers.sparse_labels import thin_vipseg, thin_vis, thin_vspw
from tests.helpers.synthetic_sets import META
from tests.helpers.tiny_configs import shrink

CONFIGS = Path(__file__).parents[2] / 'configs/mvc'
NAMES = dict(vss='dvispp_r18_synthetic', vps='dvispp_r18_synthetic_vps', vis='dvispp_r18_synthetic_vis',
             lvmt='lvmt_tiny_synthetic')
LABELLED = {1, 3}  # of 5 frames


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    make_synthetic_dataset(root, SyntheticVideoConfig(size=(48, 64), num_frames=5, thing_radius=(0.2, 0.3)),
                           formats=('vspw', 'vipseg', 'ytvis'), num_train=2, num_val=2)
    thin_vspw(root / 'vspw', LABELLED)
    thin_vipseg(root / 'vipseg', LABELLED)
    thin_vis(root / 'ytvis', LABELLED, ('train', 'valid'))
    return root


def config_of(root, work_dir, task, stage):
    """A stage of the small model in miniature, on sparse labels, for two iterations and a validation."""
    folder = root / dict(vps='vipseg', vis='ytvis').get(task, 'vspw')
    cfg = load_config(str(CONFIGS / f'{NAMES[task]}.py'), {}, str(folder), stage=stage)
    shrink(cfg.model)
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        for dataset in innermost_datasets(loader.dataset):
            dataset.update(sparse_labels=True)
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.val_evaluator.update(output_dir=str(work_dir / 'pred'))
    cfg.default_hooks.logger.interval = 1
    cfg.work_dir = str(work_dir)
    cfg.pop('test_dataloader', None), cfg.pop('test_evaluator', None), cfg.pop('test_cfg', None)
    return cfg


def report_of(root, task, pred):
    """Scores of the files that the validation has written."""
    if task == 'vps':
        folder = root / 'vipseg'
        return evaluate_vps(pred, folder / 'panoptic_gt_VIPSeg_val.json', str(folder / 'panomasksRGB/{video}'),
                            sparse_labels=True)
    if task == 'vis':
        return evaluate_vis(pred / 'results.json', root / 'ytvis/valid/instances.json')
    masks = list_masks(root / 'vspw')
    return evaluate_vss(pred, masks, META['classes'], unlabelled=find_unlabelled(root / 'vspw', masks),
                        sparse_labels=True)


FAST = [('vss', 'segmenter'), ('vps', 'online'), ('vis', 'offline')]
OTHERS = [(task, stage) for task in ('vss', 'vps', 'vis') for stage in ('segmenter', 'online', 'offline')
          if (task, stage) not in FAST]


@pytest.mark.parametrize('task, stage', [*FAST, *(pytest.param(*case, marks=pytest.mark.slow)
                                                  for case in [*OTHERS, ('lvmt', 'online')])])
def test_train_and_validate(root, tmp_path, task, stage, forget_runs):
    forget_runs()
    with DefaultScope.overwrite_default_scope('mmvc'):
        runner = build_runner(config_of(root, tmp_path, task, stage))
        before = {name: value.clone() for name, value in runner.model.named_parameters() if value.requires_grad}
        runner.train()
    after = dict(runner.model.named_parameters())
    assert all(value.isfinite().all() for value in after.values())
    assert sum(not torch.equal(after[name], value) for name, value in before.items()) > 0.5 * len(before)
    numbers = {name.partition('/')[2]: float(value.current() if hasattr(value, 'current') else value)
               for name, value in runner.message_hub.log_scalars.items() if name.startswith('val/')}
    numbers = {name.partition('/')[2]: value for name, value in numbers.items()
               if name.startswith(('vss', 'vps', 'vis'))}
    report = report_of(root, task, tmp_path / 'pred')
    assert '4 of 10 frames (40.0%) are labelled' in report.to_text()
    assert not report.missing and not report.unused, 'all frames are predicted'
    for name, value in numbers.items():
        assert value == pytest.approx(100 * report.numbers[name], abs=1e-3), name
    assert numbers


def test_the_check_before_a_training_counts_labelled_frames(root, tmp_path, caplog, forget_runs):
    forget_runs()
    with DefaultScope.overwrite_default_scope('mmvc'):
        for task, text in dict(vss='4 of them with a mask', vis='4 of them labelled').items():
            runner = build_runner(config_of(root, tmp_path / task, task, 'segmenter'))
            with caplog.at_level(logging.INFO):
                CheckDataHook().before_val(runner)
            log = '\n'.join(path.read_text() for path in Path(runner.log_dir).glob('*.log'))
            assert f'2 videos, 10 frames, {text}' in log + caplog.text
            forget_runs()


@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_ground_truth_for_pictures(root, tmp_path, task):
    cfg = config_of(root, tmp_path, task, 'segmenter')
    with DefaultScope.overwrite_default_scope('mmvc'):
        truth = GroundTruth(cfg.val_dataloader.dataset)
    video = truth.videos[0]
    size = truth.image(video, 0).shape[:2]
    assert [truth.is_labelled(video, t) for t in range(5)] == [t in LABELLED for t in range(5)]
    assert [truth.segments(video, t, size) is not None for t in range(5)] == [t in LABELLED for t in range(5)]
