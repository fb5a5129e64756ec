# Copyright (c) The mmvc contributors. All rights reserved.
import pickle

import mmengine.runner.checkpoint
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner
from torch import nn

from mmvc.utils.checkpoint_compat import register_checkpoint_loader


class TinyModel(BaseModel):

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        nn.init.ones_(self.layer.weight)
        nn.init.ones_(self.layer.bias)

    def forward(self, x, mode='loss'):
        return dict(loss=self.layer(x).square().mean())


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
            logger=dict(type='LoggerHook', interval=1), checkpoint=dict(type='CheckpointHook', interval=2,
                                                                        by_epoch=False)),
        resume=resume,
        randomness=dict(seed=0),
        experiment_name=f'{work_dir.name}_{resume}')


def test_training_resumes_as_if_it_had_not_stopped(tmp_path):
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


@pytest.fixture
def classic_loaders(monkeypatch):
    """mmengine's loaders as the classic stack has them, whichever is installed."""
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    monkeypatch.delattr(mmengine.runner.checkpoint, 'get_torch_safe_globals', raising=False)
    if not hasattr(torch.serialization, 'safe_globals'):
        pytest.skip('this torch.load trusts everything')
    register_checkpoint_loader()


def test_history_loads_without_trusting_the_file(tmp_path, classic_loaders, monkeypatch):
    state = dict(
        history=HistoryBuffer([1., 2.], [1, 1]),
        scalars=[kind(1) for kind in (np.float32, np.float64, np.int32, np.int64, np.bool_, np.uint8)],
        array=np.arange(3))
    file = tmp_path / 'state.pth'
    torch.save(state, file)
    with pytest.raises(pickle.UnpicklingError, match='HistoryBuffer'):
        torch.load(file, weights_only=True)

    load = torch.load
    monkeypatch.setattr(torch, 'load', lambda *args, weights_only, **kwargs: load(*args, weights_only=True, **kwargs))
    loaded = CheckpointLoader.load_checkpoint(str(file), 'cpu')
    assert loaded['scalars'] == state['scalars']
    assert loaded['history'].mean() == 1.5
    np.testing.assert_array_equal(loaded['array'], state['array'])


def test_other_objects_load(tmp_path, classic_loaders):
    torch.save(dict(anything=TinyModel), tmp_path / 'state.pth')
    assert CheckpointLoader.load_checkpoint(str(tmp_path / 'state.pth'))['anything'] is TinyModel


def test_missing_file(tmp_path, classic_loaders):
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'absent.pth'))
