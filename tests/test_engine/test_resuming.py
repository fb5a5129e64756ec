# Copyright (c) The mmvc contributors. All rights reserved.
"""A resumed training does what its config says now, or says why it cannot."""
import json

import pytest
import torch

from mmvc.engine import Stage, load_config, run_stages
from mmvc.engine.hooks import WeightMismatchError
from mmvc.engine.stages import plan_stages
from mmvc.utils.errors import CheckpointError, UsageError
from tests.helpers.tiny_stages import TinyDataset, TinyTracker, write_config

MARKER = '{"checkpoint": "iter_4.pth", "schedule": {}, "metrics": {}, "iter": %s, "settings": %s}'
POLY = [dict(type='mmengine.PolyLR', by_epoch=False, begin=0, end=4, power=0.9, eta_min=0.)]
STEP = [dict(type='mmengine.MultiStepLR', by_epoch=False, milestones=[3], gamma=0.1)]


@pytest.fixture
def train(tmp_path):
    """Train a config without stages, and return its last checkpoint."""
    path = write_config(tmp_path, dict(only=('TinyModel', 4)))

    def function(work_dir='work', resume=False, until=None, **options):
        options = {key.replace('__', '.'): value for key, value in options.items()}
        options = {'default_hooks.checkpoint.interval': 1, 'default_hooks.checkpoint.max_keep_ckpts': 99, **options}
        cfg = load_config(path, options)
        cfg.work_dir = str(tmp_path / work_dir)
        run_stages([Stage('', cfg, cfg.work_dir)], resume=resume)
        if until is not None:  # as if it had been stopped there
            for file in (tmp_path / work_dir).glob('iter_*.pth'):
                if int(file.stem[5:]) > until:
                    file.unlink()
        return tmp_path / work_dir

    return function


def checkpoint(folder, iteration):
    return torch.load(folder / f'iter_{iteration}.pth', weights_only=False)


def rate(folder, iteration):
    """Learning rate of the step after an iteration."""
    return checkpoint(folder, iteration)['optimizer']['param_groups'][0]['lr']


def poly(end):
    return [dict(POLY[0], end=end)]


def test_a_prolonged_schedule_goes_on(train):
    whole = train('whole', train_cfg__max_iters=8, param_scheduler=poly(8))
    train('work', param_scheduler=poly(4))
    longer = train('work', resume=True, train_cfg__max_iters=8, param_scheduler=poly(8))
    assert [rate(longer, i) for i in range(4, 9)][1:] == [rate(whole, i) for i in range(5, 9)]
    assert rate(longer, 6) > 0


def test_a_schedule_that_has_ended_at_0_is_not_prolonged(train):
    train(param_scheduler=poly(4))
    with pytest.raises(UsageError, match='ends at 4 with a learning rate of 0.*set its end'):
        train(resume=True, train_cfg__max_iters=8, param_scheduler=poly(4))


def test_another_number_of_samples_is_said(train, monkeypatch):
    """Of the same config: a list of videos has lost or got some."""
    logged = []
    monkeypatch.setattr('mmvc.engine.hooks.resume_hook.print_log', lambda message, **kwargs: logged.append(message))
    train(until=2)
    train(resume=True)
    assert not logged
    train('other', until=2)
    monkeypatch.setattr(TinyDataset, '__len__', lambda self: 5)
    train('other', resume=True)
    assert len(logged) == 1 and 'samples when the checkpoint was saved, and have 5 now' in logged[0]


@pytest.mark.parametrize('scheduler', [STEP, None])
def test_another_learning_rate_is_used(train, scheduler):
    options = dict(param_scheduler=scheduler) if scheduler else {}
    train(until=2, **options)
    folder = train(resume=True, optim_wrapper__optimizer__lr=0.005, **options)
    fresh = train('fresh', optim_wrapper__optimizer__lr=0.005, **options)
    assert [rate(folder, i) for i in (3, 4)] == [rate(fresh, i) for i in (3, 4)]
    momenta = [checkpoint(folder, i)['optimizer']['state'][0]['momentum_buffer'] for i in (2, 3)]
    assert momenta[0].any() and not torch.equal(*momenta)


def test_another_weight_decay_is_used(train):
    train(until=2)
    folder = train(resume=True, optim_wrapper__optimizer__weight_decay=0.25)
    assert checkpoint(folder, 3)['optimizer']['param_groups'][0]['weight_decay'] == 0.25


def test_the_same_config_resumes_exactly(train):
    whole = checkpoint(train('whole', param_scheduler=STEP), 4)
    train(until=2, param_scheduler=STEP)
    again = checkpoint(train(resume=True, param_scheduler=STEP), 4)
    assert all(torch.equal(whole['state_dict'][name], again['state_dict'][name]) for name in whole['state_dict'])


@pytest.mark.parametrize('options, error, message', [
    ({'optim_wrapper.optimizer': dict(type='mmengine.AdamW', lr=0.1, _delete_=True)}, UsageError,
     'state of the optimizer mmengine.SGD, and optim_wrapper.optimizer.type of the config is mmengine.AdamW'),
    ({'model.type': 'TinyTracker'}, WeightMismatchError, 'tracker.weight: not in the checkpoint'),
    ({'train_cfg.max_iters': 1}, UsageError, 'saved at iter 2, and train_cfg.max_iters of the config is 1'),
    ({'custom_hooks': []}, UsageError, 'averaged weights of EMAHook'),
])
def test_what_cannot_go_on_is_refused(train, options, error, message):
    train(until=2)
    with pytest.raises(error, match=message):
        train(resume=True, **options)


@pytest.mark.parametrize('text', ['{', '[1]', 'null', '[' * 100_000, 7])
def test_damaged_settings_in_a_checkpoint_are_a_line(train, text):
    path = train(until=2) / 'iter_2.pth'
    content = torch.load(path, weights_only=False)
    content['meta']['training_settings'] = text
    torch.save(content, path)
    with pytest.raises(CheckpointError, match='meta.training_settings of the checkpoint is damaged'):
        train(resume=True)


def test_another_seed_is_used(train):
    train(until=2)
    folder = train(resume=True, randomness__seed=5)
    assert checkpoint(folder, 4)['meta']['seed'] == 5


def test_a_training_that_started_from_other_weights_does_not_go_on(train, tmp_path):
    first, second = train('first', train_cfg__max_iters=1), train('second', train_cfg__max_iters=2)
    train(load_from=str(first / 'iter_1.pth'), until=2)
    with pytest.raises(UsageError, match='started from other weights than the config names now'):
        train(resume=True, load_from=str(second / 'iter_2.pth'))
    train(resume=True)


class TestResumeInTheConfig:
    """``resume = True`` in a config does what ``--resume`` does; ``load_from`` names another checkpoint."""

    @pytest.fixture
    def resume(self, train, tmp_path):
        def function(**options):
            cfg = load_config(str(tmp_path / 'all.py'), dict(resume=True, **options))
            cfg.work_dir = str(tmp_path / 'other')
            run_stages([Stage('', cfg, cfg.work_dir)], resume=True)
            return tmp_path / 'other'

        return function

    @pytest.mark.parametrize('epoch', [True, False])
    def test_a_checkpoint_is_named(self, train, resume, tmp_path, epoch):
        whole = checkpoint(train(), 4)
        content = checkpoint(train('short', until=2), 2)
        if not epoch:
            del content['meta']['epoch']
        torch.save(content, tmp_path / 'named.pth')
        again = checkpoint(resume(load_from=str(tmp_path / 'named.pth')), 4)
        assert all(torch.equal(whole['state_dict'][name], again['state_dict'][name]) for name in whole['state_dict'])

    @pytest.mark.parametrize('change, problem', [
        (lambda content: content['meta'].update(epoch=0.5), 'does not say which iteration it was saved at'),
        (lambda content: content['meta'].update(iter='two'), 'does not say which iteration it was saved at'),
        (lambda content: content.pop('meta'), 'was not written by a training of mmengine'),
    ])
    def test_weights_alone_are_refused(self, train, resume, tmp_path, change, problem):
        content = checkpoint(train(), 4)
        change(content)
        torch.save(content, tmp_path / 'weights.pth')
        with pytest.raises(UsageError, match=f'a training cannot resume from ".*weights.pth": it {problem}'):
            resume(load_from=str(tmp_path / 'weights.pth'))

    def test_a_missing_one_is_a_line(self, resume, tmp_path):
        with pytest.raises(UsageError, match='gone.pth" to resume from does not exist'):
            resume(load_from=str(tmp_path / 'gone.pth'))

    def test_one_of_another_model_is_refused(self, train, resume):
        with pytest.raises(WeightMismatchError, match='tracker.weight: not in the checkpoint'):
            resume(load_from=str(train() / 'iter_4.pth'), **{'model.type': 'TinyTracker'})


def test_results_are_not_overwritten_and_a_finished_training_is_not_repeated(train):
    folder = train()
    with pytest.raises(UsageError, match='holds results of the training: go on with --resume'):
        train()
    before = (folder / 'iter_4.pth').stat().st_mtime_ns
    train(resume=True)
    assert (folder / 'iter_4.pth').stat().st_mtime_ns == before
    assert not (folder.parent / 'summary.json').exists() and not (folder / 'summary.json').exists()


@pytest.mark.parametrize('options, message', [
    ({'optim_wrapper.optimizer.lr': 0.5}, r'optim_wrapper.optimizer.lr = 0.5 \(was 0.02\)'),
    ({'custom_hooks': []}, r'custom_hooks.0.type = not set \(was mmengine.EMAHook\)'),
    ({'randomness.seed': 5}, r'randomness.seed = 5 \(was 3\)'),
])
def test_a_finished_training_is_finished_only_for_its_config(train, options, message):
    train()
    with pytest.raises(UsageError, match=f'is finished, but its config has changed since.*{message}.*--overwrite'):
        train(resume=True, **options)


@pytest.mark.parametrize('options', [{'train_dataloader.num_workers': 1}, {'train_cfg.val_interval': 3},
                                     {'data_root': 'elsewhere'}])
def test_what_does_not_change_the_weights_changes_nothing(train, options):
    train()
    train(resume=True, **options)


def test_a_training_is_finished_only_for_the_weights_that_it_started_from(train, tmp_path):
    first, second = train('first', train_cfg__max_iters=1), train('second', train_cfg__max_iters=2)
    train(load_from=str(first / 'iter_1.pth'))
    (tmp_path / 'copy.pth').write_bytes((first / 'iter_1.pth').read_bytes())
    train(resume=True, load_from=str(tmp_path / 'copy.pth'))
    with pytest.raises(UsageError, match='started from other weights'):
        train(resume=True, load_from=str(second / 'iter_2.pth'))


@pytest.mark.parametrize('text', ['', '{', '[]', '{"checkpoint": 1}', '{"checkpoint": "iter_4.pth"}', 'null',
                                  MARKER % ('1e999', '{}'), MARKER % ('4', '[]'),
                                  '[' * 100_000, '\udcff'])
def test_a_damaged_marker_is_a_line(train, text, monkeypatch):
    folder = train()
    (folder / 'finished.json').write_bytes(text.encode('utf-8', 'surrogateescape'))
    lines = []
    monkeypatch.setattr('mmvc.engine.stage.print_log', lambda message, **kwargs: lines.append(message))
    train(resume=True)
    assert any('finished.json" is damaged' in line for line in lines)
    assert json.loads((folder / 'finished.json').read_text())['iter'] == 4


@pytest.mark.parametrize('state_dict', [{}, {'other.weight': torch.ones(1)}, {'head.weight': torch.ones(9, 9)},
                                        {'head.weight': 'text'}])
def test_weights_of_which_nothing_fits_are_refused(train, tmp_path, state_dict):
    torch.save(dict(state_dict=state_dict), tmp_path / 'other.pth')
    with pytest.raises(WeightMismatchError, match='no weight of the checkpoint fits the model'):
        train(load_from=str(tmp_path / 'other.pth'))


@pytest.mark.parametrize('content', [[1], torch.ones(1), None])
def test_files_of_something_else_are_refused(train, tmp_path, content):
    torch.save(content, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='other.pth.* it holds no weights by name'):
        train(load_from=str(tmp_path / 'other.pth'))


def test_weights_of_other_classes_are_loaded_as_far_as_they_fit(train, tmp_path):
    weights = checkpoint(train('first'), 4)['state_dict']
    other = dict(weights, **{'head.weight': torch.zeros(7, 4)})
    torch.save(dict(state_dict={f'module._orig_mod.{name}': value for name, value in other.items()}),
               tmp_path / 'other.pth')
    folder = train(load_from=str(tmp_path / 'other.pth'), optim_wrapper__optimizer__lr=0.)
    assert torch.equal(checkpoint(folder, 4)['state_dict']['backbone.weight'], weights['backbone.weight'])


def test_other_files_of_the_work_dir_are_kept(train, tmp_path):
    folder = train()
    for name in ('pretrained.pth', 'notes.txt'):
        (folder / name).write_text('mine')
    cfg = load_config(str(tmp_path / 'all.py'))
    stage = Stage('', cfg, str(folder))
    assert [step.action for step in plan_stages([stage], overwrite=True)] == ['start']
    assert sorted(path.name for path in folder.glob('*.pth')) == ['pretrained.pth']


def test_a_plateau_of_a_number_that_is_not_defined_does_not_end_a_training(train):
    folder = train(param_scheduler=[dict(type='mmengine.ReduceOnPlateauLR', monitor='tiny/VC16', by_epoch=True)],
                   train_cfg__val_interval=1)
    assert (folder / 'iter_4.pth').exists()


class TestFrozenParts:
    """A stage trains on the parts of the one before, which must have weights."""

    @pytest.fixture
    def frozen(self, train, monkeypatch):
        monkeypatch.setattr(TinyTracker, 'frozen_parts', ('backbone', 'head'), raising=False)
        return lambda work_dir='online', **options: train(work_dir, model__type='TinyTracker', **options)

    def test_random_ones_are_refused(self, frozen, tmp_path, monkeypatch):
        with pytest.raises(UsageError, match='leaves backbone, head of the model as they are.*load_from.*'
                                             '--allow-random-weights'):
            frozen()
        stage = Stage('', load_config(str(tmp_path / 'all.py'), {'model.type': 'TinyTracker'}), str(tmp_path / 'w'))
        stage.cfg.work_dir = stage.work_dir
        warnings = []
        monkeypatch.setattr('mmvc.engine.stages.print_log', lambda text, level=0, **kwargs: warnings.append(text))
        run_stages([stage], allow_random=True)
        assert stage.finished()
        assert 'The weights of backbone, head are RANDOM, and the training does not train them' in warnings

    def test_those_that_the_checkpoint_lacks_are_refused(self, frozen, train, tmp_path):
        weights = checkpoint(train('first'), 4)['state_dict']
        torch.save(dict(state_dict={name: value for name, value in weights.items() if 'head' not in name}),
                   tmp_path / 'part.pth')
        with pytest.raises(WeightMismatchError, match='(?s)2 weights of the frozen parts.*head.bias'):
            frozen(load_from=str(tmp_path / 'part.pth'))
        assert frozen(load_from=str(tmp_path / 'first/iter_4.pth'))
