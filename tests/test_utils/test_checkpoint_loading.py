# Copyright (c) The mmvc contributors. All rights reserved.
import argparse
import http.server
import os
import pickle
import re
import threading

import mmengine.runner.checkpoint
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner
from torch import nn

from mmvc.utils import checkpoint_loading
from mmvc.utils.checkpoint_loading import TRUST_VARIABLE, trust_checkpoints
from mmvc.utils.errors import CheckpointError


class TinyModel(BaseModel):

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        nn.init.ones_(self.layer.weight)
        nn.init.ones_(self.layer.bias)

    def forward(self, x, mode='loss'):
        return dict(loss=self.layer(x).square().mean())


class RunsCode:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path, )


class AsksForAttribute:
    """Calls ``getattr`` with what it is made of, as the way to all other functions."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return getattr, self.arguments


@pytest.fixture(params=[True, False], ids=['torch >= 2.6', 'torch < 2.6'])
def load(request, monkeypatch):
    """Loads by mmengine, in the way of new and of old versions of torch."""
    monkeypatch.delenv(TRUST_VARIABLE, raising=False)
    if request.param and not checkpoint_loading._TORCH_IS_SAFE:
        pytest.skip('this torch is older')
    monkeypatch.setattr(checkpoint_loading, '_TORCH_IS_SAFE', request.param)
    return lambda path: CheckpointLoader.load_checkpoint(str(path), 'cpu')


def _runner(work_dir, resume):
    return Runner(
        TinyModel(),
        str(work_dir),
        train_dataloader=dict(
            dataset=[dict(x=torch.ones(2)) for _ in range(4)],
            batch_size=2,
            sampler=dict(type='mmengine.InfiniteSampler'),
            collate_fn=dict(type='default_collate')),
        train_cfg=dict(by_epoch=False, max_iters=4),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1), clip_grad=dict(max_norm=1.)),
        param_scheduler=dict(type='OneCycleLR', eta_max=0.1, total_steps=4, by_epoch=False),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1), checkpoint=dict(type='mmvc.AtomicCheckpointHook', interval=2,
                                                                        by_epoch=False)),
        resume=resume,
        randomness=dict(seed=0),
        experiment_name=f'{work_dir.name}_{resume}')


def test_own_checkpoints_resume_without_being_trusted(tmp_path, load):
    """Their history and their schedule are no plain containers."""
    whole = _runner(tmp_path, resume=False)
    whole.train()
    # as left behind by a training that was stopped after two of its four iterations
    (tmp_path / 'iter_4.pth').unlink()
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_2.pth'))

    resumed = _runner(tmp_path, resume=True)
    resumed.train()
    assert resumed.iter == 4
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters()):
        torch.testing.assert_close(ours, theirs)


def test_what_trainings_leave_in_checkpoints(tmp_path, load):
    state = dict(
        history=HistoryBuffer([1., 2.], [1, 1]),
        scalars=[kind(1) for kind in (np.float16, np.float32, np.float64, np.int32, np.int64, np.bool_, np.uint8)],
        array=np.arange(3),
        names=np.array(['a', 'b']),
        parameter=nn.Parameter(torch.ones(2)),
        half=torch.ones(2, dtype=torch.bfloat16),
        dtype=torch.float32,
        size=torch.Size([1, 2]),
        kinds={1, 2})
    path = tmp_path / 'state.pth'
    torch.save(state, path)
    with pytest.raises(pickle.UnpicklingError, match='HistoryBuffer'):
        torch.load(path, weights_only=True)
    loaded = load(path)
    assert loaded['scalars'] == state['scalars'] and loaded['kinds'] == {1, 2} and loaded['dtype'] is torch.float32
    assert loaded['history'].mean() == 1.5
    assert loaded['size'] == (1, 2) and torch.equal(loaded['half'], state['half'])
    assert isinstance(loaded['parameter'], nn.Parameter)
    np.testing.assert_array_equal(loaded['array'], state['array'])
    np.testing.assert_array_equal(loaded['names'], state['names'])


@pytest.mark.parametrize('old_format', [False, True])
def test_code_is_refused_and_not_run(tmp_path, load, old_format):
    path = tmp_path / 'evil.pth'
    torch.save(dict(state_dict=dict(w=torch.ones(1)), extra=RunsCode(tmp_path / 'trace')), path,
               _use_new_zipfile_serialization=not old_format)
    with pytest.raises(CheckpointError, match='(?s)evil.pth" is refused.*mkdir.*--trust-checkpoint.*' +
                       TRUST_VARIABLE) as caught:
        load(path)
    assert not (tmp_path / 'trace').exists() and '\n' not in str(caught.value)


class RunsCommand:

    def __reduce__(self):
        return os.system, ('true', )


@pytest.mark.parametrize('content, name', [(RunsCommand(), f'{os.name}.system'),  # torch blocks its whole module
                                           (argparse.Namespace(a=1), 'argparse.Namespace')])
def test_a_refusal_names_what_was_asked_for_and_not_how_to_get_it_from_torch(tmp_path, load, content, name):
    torch.save(dict(state_dict={}, extra=content), tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path / 'evil.pth')
    message = str(caught.value)
    reason = re.search(r'its author \((.*)\)\. If you trust its source', message)[1]
    assert re.fullmatch(rf"(.* GLOBAL |it refers to '){name}('| whose module {os.name} is blocked)?", reason)
    for advice in ('weights_only', 'torch.load', 'safe_globals', 'http'):
        assert advice not in message


@pytest.mark.parametrize('arguments', [(HistoryBuffer, '__init__'), ('', 'format'), (np.ndarray, 'tofile')])
def test_getattr_is_no_way_around(tmp_path, load, arguments):
    path = tmp_path / 'evil.pth'
    torch.save(dict(extra=AsksForAttribute(*arguments)), path)
    with pytest.raises(CheckpointError, match=f"attribute '{arguments[1]}'"):
        load(path)


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_programs_of_torchscript_are_refused(tmp_path, load):
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), tmp_path / 'program.pth')
    with pytest.raises(CheckpointError, match='TorchScript'):
        load(tmp_path / 'program.pth')


def test_a_trusted_file_runs_its_code(tmp_path, load, monkeypatch):
    torch.save(dict(weight=torch.ones(1), extra=RunsCode(tmp_path / 'trace')), tmp_path / 'known.pth')
    monkeypatch.setenv(TRUST_VARIABLE, '0')
    with pytest.raises(CheckpointError):
        load(tmp_path / 'known.pth')
    trust_checkpoints()
    assert load(tmp_path / 'known.pth')['weight'] == 1
    assert (tmp_path / 'trace').exists()


@pytest.mark.parametrize('old_config, left', [
    ('gpu_ids = [0, 1]\nwork_dir = "w"', 'gpu_ids = [0, 1]'),
    ('gpu_ids = range(2)', None),
    ('__import__("os").mkdir("TRACE")', None),
    ('custom_imports = dict(imports=["antigravity"])', None),
    ('_base_ = "TRACE"', None),
    (dict(gpu_ids=(5, )), 'gpu_ids = [0]'),
    (3, None),
])
def test_the_config_that_mmengine_runs_when_it_resumes(tmp_path, load, monkeypatch, old_config, left):
    """``meta.config``, which mmcv wrote, is kept as data."""
    if isinstance(old_config, str):
        old_config = old_config.replace('TRACE', str(tmp_path / 'trace'))
    whole = _runner(tmp_path, resume=False)
    whole.train()
    path = tmp_path / 'iter_2.pth'
    content = torch.load(path, weights_only=False)
    content['meta']['config'] = old_config
    torch.save(content, path)
    assert load(path)['meta'].get('config') == left
    (tmp_path / 'iter_4.pth').unlink()
    (tmp_path / 'last_checkpoint').write_text(str(path))
    resumed = _runner(tmp_path, resume=True)
    if left == 'gpu_ids = [0, 1]':  # the check of mmengine that this is for
        with pytest.raises(RuntimeError, match='Number of GPUs'):
            resumed.train()
        return
    resumed.train()
    assert resumed.iter == 4 and not (tmp_path / 'trace').exists()
    if isinstance(old_config, str) and 'mkdir' in old_config:
        trust_checkpoints()
        assert load(path)['meta']['config'] == old_config


@pytest.mark.parametrize('prefix', ['module.', '_orig_mod.', 'module._orig_mod.', '_orig_mod.module.',
                                    'module.module.'])
@pytest.mark.parametrize('entry', ['state_dict', 'model', None])
def test_names_of_wrapped_models(tmp_path, load, prefix, entry):
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
    weights = model.state_dict(prefix=prefix)
    torch.save({entry: weights} if entry else weights, tmp_path / 'wrapped.pth')
    loaded = load(tmp_path / 'wrapped.pth')
    loaded = loaded[entry] if entry else loaded
    assert list(loaded) == list(model.state_dict())
    assert loaded._metadata['0'] == dict(version=2)
    with torch.no_grad():
        model[1].weight.add_(1)
    model.load_state_dict(loaded)
    assert torch.equal(model[1].weight, weights[f'{prefix}1.weight'])


def test_averaged_weights_keep_the_name_of_their_wrapper(tmp_path, load):
    torch.save(dict(state_dict={'_orig_mod.weight': torch.ones(1)},
                    ema_state_dict={'steps': torch.ones(1), 'module._orig_mod.weight': torch.ones(1)}),
               tmp_path / 'averaged.pth')
    assert list(load(tmp_path / 'averaged.pth')['ema_state_dict']) == ['steps', 'module.weight']


@pytest.mark.parametrize('weights', [[1], {1: torch.zeros(2)}, None, 'text'])
def test_weights_without_names_are_refused(tmp_path, load, weights):
    torch.save(dict(state_dict=weights, meta={}), tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match='odd.pth" was not written by .*: its state_dict holds no weights'):
        load(tmp_path / 'odd.pth')


def test_missing_and_broken_files_are_named(tmp_path, load):
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        load(tmp_path / 'absent.pth')
    path = tmp_path / 'broken.pth'
    torch.save(dict(weight=torch.zeros(1000)), path)
    content = path.read_bytes()
    for broken in (content[:len(content) // 2], content[:10]):
        path.write_bytes(broken)
        with pytest.raises(CheckpointError, match='broken.pth" is truncated, corrupt or not a checkpoint'):
            load(path)


@pytest.fixture
def address(tmp_path, monkeypatch):
    """Serves the folder ``site``; downloads are kept in ``cache``."""
    (tmp_path / 'site').mkdir()
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'cache'))

    class Handler(http.server.SimpleHTTPRequestHandler):

        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path / 'site'))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


def test_downloads_are_no_more_trusted(tmp_path, load, address, monkeypatch):
    torch.save(dict(weight=torch.ones(1)), tmp_path / 'site/good.pth')
    torch.save(dict(weight=RunsCode(tmp_path / 'trace')), tmp_path / 'site/evil.pth')
    assert load(f'{address}/good.pth')['weight'] == 1
    with pytest.raises(CheckpointError, match='evil.pth'):
        load(f'{address}/evil.pth')
    urls = dict(evil=f'{address}/evil.pth')  # the way of init_cfg=dict(checkpoint='torchvision://resnet50')
    monkeypatch.setattr(mmengine.runner.checkpoint, 'get_torchvision_models', lambda: urls)
    with pytest.raises(CheckpointError, match='evil.pth'):
        load('torchvision://evil')
    assert not (tmp_path / 'trace').exists()


class TestSafetensors:

    @pytest.fixture
    def path(self, tmp_path):
        save_file = pytest.importorskip('safetensors.torch').save_file
        save_file(dict(weight=torch.arange(6.).view(2, 3), count=torch.tensor(3)), tmp_path / 'model.safetensors',
                  metadata=dict(iter='5', author='someone'))
        return tmp_path / 'model.safetensors'

    def test_load(self, path, load):
        checkpoint = load(path)
        assert torch.equal(checkpoint['state_dict']['weight'], torch.arange(6.).view(2, 3))
        assert checkpoint['state_dict']['count'] == 3
        assert checkpoint['meta'] == dict(iter=5, author='someone')

    def test_broken(self, path, load):
        content = path.read_bytes()
        for broken in (content[:-1], content[:20], content + b'0'):
            path.write_bytes(broken)
            with pytest.raises(CheckpointError, match='model.safetensors" is truncated, corrupt or not'):
                load(path)
