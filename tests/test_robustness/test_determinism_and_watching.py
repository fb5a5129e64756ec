# Copyright (c) The mmvc contributors. All rights reserved.
import json
import os
import re
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import VISBACKENDS, DefaultScope

from mmvc.engine import enable_backends, enable_deterministic
from mmvc.registry import MODELS
from mmvc.utils.choices import VIS_BACKENDS
from tests.helpers.stopped_tool import Stopped
from tests.helpers.tiny_training import write_config, write_videos


@pytest.fixture
def train(run, tmp_path):
    root = write_videos(tmp_path / 'videos')
    config = write_config(tmp_path)

    def train_tiny(work_dir, *arguments):
        run('train', config, '--data-root', root, '--work-dir', tmp_path / work_dir, *arguments)
        return tmp_path / work_dir

    return train_tiny


@pytest.mark.slow
def test_deterministic_runs_are_identical(train, monkeypatch):
    monkeypatch.delenv('CUBLAS_WORKSPACE_CONFIG', raising=False)
    weights = []
    seen = []
    model = MODELS.get('PoisonedModel')
    forward = model.forward

    def watched(self, *args, **kwargs):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(model, 'forward', watched)
    for name, options in (('one', ['train_dataloader.num_workers=0']), ('two', ['train_dataloader.num_workers=2']),
                          ('other', ['randomness.seed=1'])):
        work_dir = train(name, '--deterministic', '--cfg-options', *options)
        weights.append(torch.load(work_dir / 'iter_6.pth', weights_only=False)['state_dict'])
    assert all(seen) and torch.backends.cudnn.deterministic and os.environ['CUBLAS_WORKSPACE_CONFIG'] == ':4096:8'
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert not all(torch.equal(value, weights[2][name]) for name, value in weights[0].items())


def test_a_seed_is_set_where_the_config_has_none():
    cfg = Config(dict(env_cfg=dict(cudnn_benchmark=True, dist_cfg=dict(backend='nccl'))))
    enable_deterministic(cfg)
    assert cfg.randomness == dict(seed=0, deterministic=True)
    assert cfg.env_cfg == dict(cudnn_benchmark=False, dist_cfg=dict(backend='nccl'))
    cfg = Config(dict(randomness=dict(seed=5, diff_rank_seed=True)))
    enable_deterministic(cfg)
    assert cfg.randomness == dict(seed=5, diff_rank_seed=True, deterministic=True)


def test_the_text_log_tells_how_it_goes(train):
    work_dir = train('work')
    log, = work_dir.glob('*/*.log')
    lines = [line for line in log.read_text().splitlines() if 'Iter(train)' in line]
    assert len(lines) == 6
    for key in ('lr', 'eta', 'time', 'data_time', 'host_memory', 'grad_norm', 'loss', 'loss_fit'):
        assert re.search(rf'\b{key}: [\d.:e+-]+', lines[-1]), key
    scalars, = work_dir.glob('*/vis_data/scalars.json')
    last = json.loads(scalars.read_text().splitlines()[-1])
    assert {'lr', 'data_time', 'time', 'host_memory', 'grad_norm', 'loss', 'step'} <= set(last)
    assert 10 < last['host_memory'] < 100_000, 'MiB'


def test_tensorboard_gets_the_numbers(train):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    work_dir = train('work', '--watch', 'tensorboard')
    folder, = work_dir.glob('*/vis_data')
    assert (folder / 'scalars.json').exists(), 'beside the local ones'
    events = EventAccumulator(str(folder))
    events.Reload()
    logged = [json.loads(line)['loss'] for line in (folder / 'scalars.json').read_text().splitlines()]
    assert [event.step for event in events.Scalars('loss')] == [1, 2, 3, 4, 5, 6]
    assert [event.value for event in events.Scalars('loss')] == pytest.approx(logged)
    assert {'grad_norm', 'lr', 'data_time'} <= set(events.Tags()['scalars'])


# what the packages offer of what is used, with their own names of arguments: a call of anything else fails


def wandb_stub(logged):
    """Stands in for wandb; ``logged`` gets what is logged."""
    def init(project=None, name=None, dir=None, config=None, tags=None): ...
    def define_metric(name, step_metric=None, summary=None): ...
    def log(data, step=None, commit=None): logged.append(dict(data))
    def update(d, allow_val_change=None): ...
    def log_code(root='.', name=None): ...
    def finish(exit_code=None): ...
    run = SimpleNamespace(log_code=log_code, finish=finish)
    return dict(init=init, define_metric=define_metric, log=log, config=SimpleNamespace(update=update), run=run,
                finish=finish, join=finish)


def mlflow_stub(logged):
    """Stands in for mlflow."""
    def set_tracking_uri(uri): ...
    def get_experiment_by_name(name): ...
    def create_experiment(name, artifact_location=None, tags=None): return '1'
    def set_experiment(experiment_name=None, experiment_id=None): ...
    def set_tag(key, value): ...
    def set_tags(tags): ...
    def log_params(params): assert all(isinstance(name, str) for name in params)
    def log_text(text, artifact_file): ...
    def log_metric(key, value, step=None): logged.append({key: value})
    def log_metrics(metrics, step=None): logged.append(dict(metrics))
    def log_artifact(local_path, artifact_path=None): assert os.path.isfile(local_path)
    def end_run(status='FINISHED'): ...
    calls = dict(locals(), MlflowException=type('MlflowException', (Exception, ), {}))
    del calls['logged']
    return calls


@pytest.mark.parametrize('service, stub', [('wandb', wandb_stub), ('mlflow', mlflow_stub)])
def test_services_get_the_numbers(train, monkeypatch, service, stub):
    logged, package = [], ModuleType(service)
    package.__spec__ = SimpleNamespace(name=service)
    vars(package).update(stub(logged))
    monkeypatch.setitem(sys.modules, service, package)
    train('work', '--watch', service)
    losses = [entry['loss'] for entry in logged if 'loss' in entry]
    assert len(losses) == 6 and all(loss > 0 for loss in losses)


def test_a_service_whose_package_is_missing(train, monkeypatch):
    monkeypatch.setitem(sys.modules, 'wandb', None)
    with pytest.raises(Stopped, match='--watch wandb needs the package wandb: pip install wandb'):
        train('work', '--watch', 'wandb')


def test_backends_are_added_once():
    pytest.importorskip('tensorboard')
    cfg = Config(dict(visualizer=dict(type='VideoSegLocalVisualizer', vis_backends=[
        dict(type='LocalVisBackend'), dict(type='mmengine.TensorboardVisBackend')])))
    enable_backends(cfg, ['tensorboard'])
    assert len(cfg.visualizer.vis_backends) == 2
    cfg = Config(dict())
    enable_backends(cfg, ['tensorboard'])
    assert [backend['type'] for backend in cfg.visualizer.vis_backends] == ['LocalVisBackend',
                                                                           'TensorboardVisBackend']


def test_backends_are_those_of_mmengine():
    with DefaultScope.overwrite_default_scope('mmvc'):
        for kind, _, _ in VIS_BACKENDS.values():
            assert VISBACKENDS.get(kind) is not None
