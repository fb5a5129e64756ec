# Copyright (c) The mmvc contributors. All rights reserved.
import json

import pytest
import torch

from mmvc.engine.hooks.nan_guard_hook import describe_batch, total_norm
from tests.helpers.stopped_tool import Stopped
from tests.helpers.tiny_training import write_config, write_videos


@pytest.fixture
def train(run, tmp_path):
    root = write_videos(tmp_path / 'videos')
    config = write_config(tmp_path)

    def train_tiny(*options, arguments=(), work_dir='work'):
        run('train', config, '--data-root', root, '--work-dir', tmp_path / work_dir, *arguments, '--cfg-options',
            'train_dataloader.batch_size=1', 'default_hooks.checkpoint.interval=1', *options)
        return tmp_path / work_dir

    return train_tiny


def last_weights(work_dir):
    newest = max(work_dir.glob('iter_*.pth'), key=lambda path: int(path.stem[5:]))
    return torch.load(newest, weights_only=False)


@pytest.mark.parametrize('only_gradient', [False, True])
@pytest.mark.parametrize('clip', [False, True])
def test_training_ends_and_names_the_batch(train, tmp_path, only_gradient, clip):
    options = ['model.poison=c', f'model.only_gradient={only_gradient}']
    if clip:
        options.append('optim_wrapper.clip_grad.max_norm=1.0')
    with pytest.raises(Stopped) as caught:
        train(*options)
    message = str(caught.value)
    assert 'video "c" frames [' in message and 'data/c/origin/' in message and '\n' not in message
    assert ('gradient norm = ' if only_gradient else 'loss_fit = nan') in message
    report, = (tmp_path / 'work/nonfinite').glob('*.json')
    assert str(report) in message
    content = json.loads(report.read_text())
    assert [clip['video_id'] for clip in content['clips']] == ['c']
    assert len(content['clips'][0]['frames']) == 2
    assert set(content['parameters_with_bad_gradients']) == {'layer.weight', 'layer.bias'}
    assert (content['losses']['loss_fit'] == 'nan') != only_gradient
    iteration = content['iteration']
    assert report.name == f'iter_{iteration}_rank_0.json'
    assert not (tmp_path / f'work/iter_{iteration}.pth').exists(), 'nothing is saved after it'


@pytest.mark.parametrize('only_gradient, clip', [
    (False, False), (True, True), pytest.param(False, True, marks=pytest.mark.slow),
    pytest.param(True, False, marks=pytest.mark.slow)])
def test_skipped_steps_leave_no_trace(train, tmp_path, only_gradient, clip):
    """Weights and momenta stay finite; those of a dropped step are those of the step before."""
    options = ['optim_wrapper.clip_grad.max_norm=1.0'] if clip else []
    work_dir = train('model.poison=c', f'model.only_gradient={only_gradient}', 'default_hooks.nan_guard.max_skipped=9',
                     'default_hooks.checkpoint.max_keep_ckpts=-1', *options)
    skipped = [json.loads(path.read_text())['iteration'] for path in (work_dir / 'nonfinite').glob('*.json')]
    assert skipped and len(skipped) < 6
    states = {step: torch.load(work_dir / f'iter_{step}.pth', weights_only=False) for step in range(1, 7)}
    for step in range(2, 7):
        same = all(torch.equal(value, states[step - 1]['state_dict'][name])
                   for name, value in states[step]['state_dict'].items())
        assert same == (step in skipped)
    for state in states[6]['optimizer']['state'].values():
        assert state['momentum_buffer'].isfinite().all()
    assert states[6]['message_hub']['runtime_info']['skipped_steps'] == len(skipped)


def test_the_limit_of_skipped_steps(train):
    with pytest.raises(Stopped, match='The training stops after 1 skipped steps'):
        train('model.poison=c', 'default_hooks.nan_guard.max_skipped=1', 'train_cfg.max_iters=40')


def test_gradient_accumulation_names_all_batches_of_the_step(train, tmp_path):
    with pytest.raises(Stopped, match='iteration'):
        train('model.poison=c', 'model.only_gradient=1', 'optim_wrapper.accumulative_counts=2',
              'train_cfg.max_iters=12')
    report, = (tmp_path / 'work/nonfinite').glob('*.json')
    content = json.loads(report.read_text())
    assert content['iteration'] % 2 == 0
    assert 'c' in [clip['video_id'] for clip in content['clips']] and len(content['clips']) == 2


def test_gradient_norm_is_logged_with_and_without_clipping(train):
    norms = []
    for options in ([], ['optim_wrapper.clip_grad.max_norm=0.001']):
        work_dir = train(*options, work_dir=f'work_{len(options)}')
        log, = work_dir.glob('*/vis_data/scalars.json')
        norms.append([json.loads(line)['grad_norm'] for line in log.read_text().splitlines()])
        assert len(norms[-1]) == 6
    assert norms[0][0] == pytest.approx(norms[1][0]) and norms[0][0] > 0.001, 'the norm is that before clipping'


def test_total_norm(monkeypatch):
    tensors = [torch.randn(3, 4), torch.randn(7)]
    expected = torch.cat([tensor.flatten() for tensor in tensors]).norm()
    assert total_norm(tensors) == pytest.approx(float(expected)) and total_norm([]) == 0
    monkeypatch.delattr(torch.nn.utils, 'get_total_norm', raising=False)
    assert total_norm(tensors) == pytest.approx(float(expected))


def test_batches_without_names():
    assert describe_batch(None) == describe_batch(dict(inputs=[])) == describe_batch(dict(data_samples=[1])) == []
