# Copyright (c) The mmvc contributors. All rights reserved.
"""A training that is resumed with another schedule goes on with the values that a training with it would have."""
import pytest
import torch

from mmvc.engine import Stage, load_config, run_stages
from tests.helpers.tiny_stages import write_config

ITERS, STOP = 12, 6  # the dataset has 8 batches of 2, so an epoch of 4 iterations has a batch size of 4


def by_iter(kind, **options):
    return [dict(type=f'mmengine.{kind}', by_epoch=False, **options)]


SCHEDULES = dict(
    constant=by_iter('ConstantLR', factor=0.5, end=8),
    cosine=by_iter('CosineAnnealingLR', T_max=ITERS, eta_min=1e-4),
    cosine_of_periods=by_iter('CosineAnnealingLR', T_max=3),
    exponential=by_iter('ExponentialLR', gamma=0.8),
    linear=by_iter('LinearLR', start_factor=0.1, end=9),
    milestones=by_iter('MultiStepLR', milestones=[3, 8], gamma=0.1),
    steps=by_iter('StepLR', step_size=4, gamma=0.3),
    polynomial=by_iter('PolyLR', end=ITERS, power=0.9, eta_min=1e-5),
    one_cycle=by_iter('OneCycleLR', eta_max=0.1, total_steps=ITERS),
    restarts=by_iter('CosineRestartLR', periods=[4, 8], restart_weights=[1, 0.5], eta_min=1e-4),
    quadratic=[dict(type='mmdet.QuadraticWarmupLR', by_epoch=False, end=8)],
    warmup_and_cosine=by_iter('LinearLR', start_factor=0.01, begin=0, end=4)
    + by_iter('CosineAnnealingLR', begin=4, end=ITERS, T_max=ITERS - 4),
    momentum=by_iter('LinearMomentum', start_factor=0.5, end=9) + by_iter('StepLR', step_size=5),
    epochs=[dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[1, 2], gamma=0.1)],
    epochs_as_iterations=[dict(type='mmengine.CosineAnnealingLR', by_epoch=True, T_max=3,
                               convert_to_iter_based=True)],
)
FIRST = by_iter('MultiStepLR', milestones=[2], gamma=0.5)


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train with a schedule, and return the settings of the optimizer after each iteration or epoch."""
    path = write_config(tmp_path, dict(only=('TinyModel', ITERS)))
    monkeypatch.setattr('mmvc.engine.stages.gc.collect', lambda: None)  # takes longer than a training

    def function(work_dir, scheduler, epochs=False, optimizer=None, resume=False, until=None, **options):
        options = {'default_hooks.checkpoint.max_keep_ckpts': 99, **options}
        cfg = load_config(path, options)
        cfg.param_scheduler = scheduler
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
        cfg.default_hooks.checkpoint.update(interval=1 if epochs else 3, save_best=None)
        cfg.train_dataloader.batch_size = 4
        if epochs:
            cfg.train_cfg = dict(type='mmengine.EpochBasedTrainLoop', max_epochs=ITERS // 4)
            cfg.train_dataloader.sampler.type = 'mmengine.DefaultSampler'
            cfg.default_hooks.checkpoint.by_epoch = True
        cfg.optim_wrapper.optimizer = optimizer or dict(type='mmengine.SGD', lr=0.02, momentum=0.9)
        cfg.work_dir = str(tmp_path / work_dir)
        run_stages([Stage('', cfg, cfg.work_dir)], resume=resume)
        name = 'epoch' if epochs else 'iter'
        files = {int(file.stem.split('_')[1]): file for file in (tmp_path / work_dir).glob(f'{name}_*.pth')}
        if until is not None:  # as if it had been stopped there
            for done, file in files.items():
                if done > until:
                    file.unlink()
        groups = {done: torch.load(file, weights_only=False)['optimizer']['param_groups'] for done, file
                  in sorted(files.items()) if file.exists()}
        return {done: {key: value for key, value in group.items() if key != 'params'}
                for done, (group, *_) in groups.items()}

    return function


def moving(settings):
    """What schedules change, by iteration."""
    return {done: [round(float(value), 12) for value in
                   (group['lr'], group.get('momentum', 0), *group.get('betas', ()))]
            for done, group in settings.items()}


def check(train, new, old=FIRST, stop=STOP, epochs=False, **options):
    whole = train('whole', new, epochs, **options)
    train('work', old, epochs, until=stop, **options)
    resumed = train('work', new, epochs, resume=True, **options)
    later = {done: group for done, group in whole.items() if done > stop}
    assert moving({done: resumed[done] for done in later}) == moving(later) != {}


@pytest.mark.parametrize('name', SCHEDULES)
def test_another_schedule(train, name):
    check(train, SCHEDULES[name])


@pytest.mark.parametrize('name', ['cosine', 'milestones', 'epochs', 'epochs_as_iterations', 'warmup_and_cosine'])
def test_another_schedule_of_a_training_by_epochs(train, name):
    check(train, SCHEDULES[name], stop=1, epochs=True)


@pytest.mark.parametrize('new', [SCHEDULES['momentum'], None])
def test_momenta_of_adam_and_no_schedule(train, new):
    check(train, new, optimizer=dict(type='mmengine.AdamW', lr=0.01, betas=(0.9, 0.99)))


def test_a_schedule_is_left_out(train):
    check(train, SCHEDULES['cosine'], old=None)
    check(lambda name, *args, **options: train(f'none_{name}', *args, **options), None, old=SCHEDULES['momentum'])
