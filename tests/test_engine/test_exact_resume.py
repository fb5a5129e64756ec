# Copyright (c) The mmvc contributors. All rights reserved.
"""A training that is stopped and resumed ends with the weights of one that was not, bit for bit."""

from pathlib import Path

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.runner import Runner

from mmvc.engine import build_runner, load_config
from mmvc.engine.atomic_backend import AtomicLocalBackend
from tests.helpers import scaled_optim_wrapper, tiny_models  # noqa: F401  registers the wrapper
from tests.helpers.checkpoint_comparison import assert_same_training, differences
from tests.helpers.tiny_stages import CONFIG, TinyMetric


@pytest.fixture
def train(tmp_path, forget_runs):
    """Trains the tiny model for six iterations (validated after the fourth); returns its final checkpoint."""
    (tmp_path / 'tiny.py').write_text(CONFIG.format(model='TinyModel', max_iters=6))

    def run(name, resume_from=None, **options):
        forget_runs()
        cfg = load_config(str(tmp_path / 'tiny.py'), options)
        cfg.work_dir = str(tmp_path / name)
        if resume_from is not None:
            cfg.resume, cfg.load_from = True, str(resume_from)
        torch.rand(7)  # the process may have drawn before
        build_runner(cfg).train()
        return torch.load(tmp_path / name / 'iter_6.pth', weights_only=False)

    run.folder = tmp_path
    return run


def assert_same_score(one, other):
    assert one['message_hub']['runtime_info']['best_score'] == other['message_hub']['runtime_info']['best_score']


WORKERS = {'train_dataloader.num_workers': 2}
PERSISTENT = {**WORKERS, 'train_dataloader.persistent_workers': True}


def test_number_of_workers_changes_nothing(train):
    whole = train('whole')
    assert_same_training(train('workers', **WORKERS), whole)
    assert_same_training(train('persistent', **PERSISTENT), whole)


@pytest.mark.parametrize('options', [{}, WORKERS], ids=['0 workers', '2 workers'])
@pytest.mark.parametrize('iteration', [2, 4])  # right before a validation: 4
def test_resumed_training_ends_the_same(train, iteration, options):
    whole = train('whole', **{'default_hooks.checkpoint.max_keep_ckpts': -1})
    resumed = train('resumed', train.folder / f'whole/iter_{iteration}.pth', **options)
    assert_same_training(resumed, whole)
    assert_same_score(resumed, whole)


def test_validation_that_the_checkpoint_does_not_know_of_is_made_up_for(train):
    """As after a kill in the validation of iteration 4: the best checkpoint is written nevertheless."""
    less = {'default_hooks.checkpoint.rule': 'less'}  # so that the fourth is the best
    whole = train('whole', **{'default_hooks.checkpoint.max_keep_ckpts': -1, **less})
    checkpoint = torch.load(train.folder / 'whole/iter_4.pth', weights_only=False)
    runtime_info = checkpoint['message_hub']['runtime_info']
    for name in ('best_score', 'best_ckpt', 'last_validated_iter'):  # as it was written the first time
        del runtime_info[name]
    torch.save(checkpoint, train.folder / 'killed.pth')
    resumed = train('resumed', train.folder / 'killed.pth', **less)
    assert_same_training(resumed, whole)
    assert_same_score(resumed, whole)
    for name in ('whole', 'resumed'):
        assert [path.name for path in (train.folder / name).glob('best_*')] == ['best_tiny_mIoU_iter_4.pth']


@pytest.mark.parametrize('key', ['last_validated_iter', 'validated_iter'])
def test_validation_that_the_checkpoint_knows_of_is_not_repeated(train, monkeypatch, key):
    """Under the name of today and that of older checkpoints, which was logged among the metrics."""
    less = {'default_hooks.checkpoint.rule': 'less', 'default_hooks.checkpoint.max_keep_ckpts': -1}
    train('whole', **less)
    checkpoint = torch.load(train.folder / 'whole/iter_4.pth', weights_only=False)
    runtime_info = checkpoint['message_hub']['runtime_info']
    runtime_info[key] = runtime_info.pop('last_validated_iter')
    torch.save(checkpoint, train.folder / 'older.pth')
    validated = []
    compute = TinyMetric.compute_metrics
    monkeypatch.setattr(TinyMetric, 'compute_metrics', lambda *args: validated.append(1) or compute(*args))
    train('resumed', train.folder / 'older.pth', **less)
    assert len(validated) == 1, 'at the end'
    for name in ('whole', 'resumed'):
        log, = (train.folder / name).glob('*/*.log')
        lines = [line for line in log.read_text().splitlines() if 'Iter(val)' in line and 'mIoU' in line]
        assert lines and not any('validated' in line for line in lines)


@pytest.mark.parametrize('killed_at, saved, left', [
    ('iter_2.pth', 4, {'iter_5.pth', 'iter_6.pth', 'best_tiny_mIoU_iter_6.pth'}),
    ('best_tiny_mIoU_iter_2.pth', 4, {'iter_5.pth', 'iter_6.pth', 'best_tiny_mIoU_iter_6.pth'}),
])
def test_a_kill_before_an_outdated_checkpoint_is_removed(train, monkeypatch, killed_at, saved, left):
    """It is removed when the training is resumed, and nothing else is."""
    options = {'default_hooks.checkpoint.interval': 1, 'train_cfg.val_interval': 2}
    remove, scores = AtomicLocalBackend.remove, iter(range(9))
    monkeypatch.setattr(TinyMetric, 'compute_metrics', lambda *args: dict(mIoU=next(scores)))

    def killed(backend, path):
        if Path(path).name == killed_at:
            raise KeyboardInterrupt
        remove(backend, path)

    with monkeypatch.context() as patch:
        patch.setattr(AtomicLocalBackend, 'remove', killed)
        with pytest.raises(KeyboardInterrupt):
            train('killed', **options)
    folder = train.folder / 'killed'
    (folder / 'iter_1.pth').write_text('put there by the user')
    assert (folder / killed_at).exists() and (folder / f'iter_{saved}.pth').exists()
    train('killed', folder / f'iter_{saved}.pth', **options)
    assert {path.name for path in folder.glob('*.pth')} == left | {'iter_1.pth'}


def test_another_seed_in_the_config_does_not_change_a_resumed_training(train):
    whole = train('whole', **{'default_hooks.checkpoint.max_keep_ckpts': -1, 'randomness.seed': 11})
    assert_same_training(train('resumed', train.folder / 'whole/iter_2.pth'), whole)


@pytest.mark.skipif(not hasattr(torch, 'amp') or not hasattr(torch.amp, 'GradScaler'), reason='a scaler of GPUs only')
def test_loss_scale_is_resumed(train):
    options = {'default_hooks.checkpoint.max_keep_ckpts': -1, 'optim_wrapper.type': 'ScaledOptimWrapper'}
    whole = train('whole', **options)
    assert whole['optimizer']['loss_scaler']['scale'] == 32
    assert_same_training(train('resumed', train.folder / 'whole/iter_4.pth', **options), whole)


@pytest.mark.parametrize('stage', tiny_models.STAGES)
def test_every_stage_resumes_exactly(tmp_path, stage, forget_runs):
    """With query noise, dropped keys, guided assignments that end in the middle, and the class memory."""
    def train(name, load_from=None):
        forget_runs()
        cfg = ConfigDict(tiny_models.STAGES[stage])
        if 'tracker' in cfg:
            cfg.tracker.noise = dict(type='QueryNoise', mode='wa', prob=0.8)
        if 'refiner' in cfg:
            cfg.refiner.cross_attn = dict(type='ObjectMaskedCrossAttention', drop_ratio=0.5)
        runner = Runner(
            cfg, str(tmp_path / name), default_scope='mmvc', experiment_name=name, randomness=dict(seed=0),
            train_dataloader=dict(batch_size=1, num_workers=0, dataset=tiny_models.Clips(3),
                                  sampler=dict(type='InfiniteSampler')),
            train_cfg=dict(type='ResumableTrainLoop', max_iters=4, val_interval=9),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
            default_hooks=dict(random_state=dict(type='RandomStateHook'),
                               checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=1)),
            visualizer=dict(type='VideoSegLocalVisualizer'),
            load_from=load_from, resume=load_from is not None)
        runner.train()
        return torch.load(tmp_path / name / 'iter_4.pth', weights_only=False)

    whole = train('whole')
    start = torch.load(tmp_path / 'whole/iter_1.pth', weights_only=False)
    assert differences(start['state_dict'], whole['state_dict'])
    assert_same_training(train('resumed', str(tmp_path / 'whole/iter_1.pth')), whole)
