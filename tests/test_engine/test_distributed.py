# Copyright (c) The mmvc contributors. All rights reserved.
"""Real groups of processes over gloo: however a batch or a test set is spread, the numbers are the same."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config

from mmvc.engine.distributed import exit_with_message, setup_distributed, wrap_for_cpu
from mmvc.utils.errors import UsageError
from tests.helpers import tiny_vss
from tests.helpers.checkpoint_comparison import assert_same_training, differences
from tests.helpers.child_environment import child_environment

STAGES = ('MinVIS', 'DVISOnline', 'DVISOffline')


def run_driver(out: Path, *jobs: str, **environment: str) -> dict:
    environment = child_environment(OMP_NUM_THREADS='1', **environment)
    done = subprocess.run([sys.executable, '-m', 'tests.helpers.dist_driver', str(out), *jobs], env=environment,
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    return torch.load(out, weights_only=False)


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """What groups of 1, 2, 3 and 4 processes found: ``found[job][size]``."""
    folder = tmp_path_factory.mktemp('dist')
    videos = Path(tiny_vss.write_videos(folder / 'videos', names=('left', 'right', 'still')))
    mask = cv2.imread(str(videos / 'data/right/mask/001.png'), cv2.IMREAD_UNCHANGED)
    mask[:, :30] = 2  # the model is wrong about one frame
    cv2.imwrite(str(videos / 'data/right/mask/001.png'), mask)
    return run_driver(folder / 'out.pt', 'losses', 'metrics', 'resumed', 'chunks', TINY_VIDEOS=str(videos))


@pytest.mark.parametrize('size', [2, 4])
@pytest.mark.parametrize('stage', STAGES)
def test_losses_are_those_of_one_process(found, stage, size):
    """Clips with three, two, one and no objects; no parameter is unused, also where no process has an object."""
    alone, spread = found['losses'][1][stage], found['losses'][size][stage]
    for expected, losses in zip(alone['losses'], spread['losses'], strict=True):
        assert losses.keys() == expected.keys()
        for name, loss in expected.items():
            assert losses[name] == pytest.approx(loss, rel=1e-4, abs=1e-4), name
    assert alone['losses'][0]['loss'] > alone['losses'][1]['loss'] > 0
    assert alone['losses'][1]['loss_mask'] == 0


@pytest.mark.parametrize('size', [2, 4])
@pytest.mark.parametrize('stage', STAGES)
def test_weights_move_as_in_one_process(found, stage, size):
    alone, spread = (found['losses'][n][stage]['moved'] for n in (1, size))
    largest = max(move.norm() for move in alone.values())
    assert largest > 0
    for name, move in alone.items():
        other = spread[name]
        if name.endswith('memory.embeds'):  # in the order of the ranks
            move, other = move.sum(1), other.sum(1)
        assert (other - move).norm() <= 1e-3 * max(move.norm(), 1e-3 * largest), name


@pytest.mark.parametrize('mask', [False, True], ids=['clean', 'sum'])
@pytest.mark.parametrize('model', ['videomt', 'lvmt'])
def test_chunks_of_several_processes_are_those_of_one(found, model, mask):
    """Truncated query propagation: by mmengine's wrapper, in one graph, and by ours, chunk by chunk."""
    alone = found['chunks'][1][model, 'MMDistributedDataParallel', mask]
    largest = max(move.norm() for move in alone.values())
    assert largest > 0 and alone['query_embed.weight'].norm() > 0 and alone['propagation.cell.weight_hh'].norm() > 0
    for size, wrapper in ((1, 'TwoPass'), (2, 'MM'), (2, 'TwoPass')):
        spread = found['chunks'][size][model, f'{wrapper}DistributedDataParallel', mask]
        for name, move in alone.items():
            assert (spread[name] - move).norm() <= 1e-3 * max(move.norm(), 1e-3 * largest), (size, wrapper, name)


@pytest.mark.parametrize('size', [2, 3, 4])
def test_metrics_are_those_of_one_process(found, size):
    """Exactly, also where there are more processes than videos."""
    alone = found['metrics'][1]
    assert 50 < alone['vss/mIoU'] < 99
    assert found['metrics'][size] == alone


@pytest.mark.parametrize('size', [1, 2])
def test_resumed_training_ends_the_same(found, size):
    """Stage 1 with real transforms, and data workers only after the break: weights, optimizer and generators."""
    found = found['resumed'][size]
    assert len(found['whole']['random_state']) == size
    assert_same_training(found['resumed'], found['whole'])
    assert differences(found['before']['state_dict'], found['whole']['state_dict'])


@pytest.fixture(scope='module')
def found_sharded(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sharded')
    videos = tiny_vss.write_videos(folder / 'videos')
    return run_driver(folder / 'out.pt', 'sharded', TINY_VIDEOS=videos)['sharded'][2]


@pytest.mark.slow
@pytest.mark.parametrize('case', ['offline', 'vit', 'recomputed', 'videomt', 'lvmt'])
def test_sharded_training_is_the_unsharded_one(found_sharded, case):
    """FSDP: each of two processes holds half of the model; checkpoints fit the whole one, and resume exactly."""
    found = found_sharded[case]
    whole, sharded, resumed = (found[name]['weights'] for name in ('whole', 'sharded', 'resumed'))
    assert found['sharded']['files'] == ['iter_2.pth', 'iter_4.pth']
    trained = [name for name in whole if not any(part in name for part in ('memory', 'running', 'num_batches'))]
    parameters = sum(whole[name].numel() for name in trained)
    assert 0.4 * parameters < found['share'] < 0.6 * parameters
    assert whole.keys() == sharded.keys() == resumed.keys()
    assert max((whole[name] - found['before'][name]).abs().max() for name in trained) > 5e-4
    for name, value in whole.items():
        torch.testing.assert_close(sharded[name], value, rtol=0, atol=1e-5)
        assert torch.equal(resumed[name], sharded[name]), name


@pytest.mark.parametrize('launcher, expected', [('pytorch', None), ('none', 'torch')])
def test_batch_norms_are_not_synchronised_without_gpus(monkeypatch, launcher, expected):
    """PyTorch's SyncBatchNorm raises on the CPU. Without other processes mmengine does not use it."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = Config(dict(launcher=launcher, sync_bn='torch'))
    wrap_for_cpu(cfg)
    assert cfg.sync_bn == expected


@pytest.mark.parametrize('rank, local_rank, message, seconds', [
    ('0', '0', 'error: no such file', []),
    ('8', '0', 'error on rank 8: no such file', [5]),  # the first of another machine
    ('9', '1', 'error on rank 9: no such file', [10]),
])
def test_an_error_of_all_processes_is_said_by_the_first(monkeypatch, rank, local_rank, message, seconds):
    """The others give the launcher time to end them, once the first is gone."""
    slept = []
    monkeypatch.setattr('time.sleep', slept.append)
    monkeypatch.setenv('RANK', rank)
    monkeypatch.setenv('LOCAL_RANK', local_rank)
    with pytest.raises(SystemExit) as ended:
        exit_with_message('no such file')
    assert ended.value.code == message and slept == seconds


@pytest.mark.parametrize('job, port', [('1234567', '24567'), (None, '20000')])
def test_jobs_of_slurm_meet_at_ports_of_their_own(monkeypatch, tmp_path, job, port):
    """On the first machine of the job; jobs may share it."""
    (tmp_path / 'scontrol').write_text('#!/bin/sh\n[ "$*" = "show hostnames node[3-4]" ] && echo node3 node4\n')
    (tmp_path / 'scontrol').chmod(0o755)
    environment = dict(SLURM_PROCID='5', SLURM_NTASKS='8', SLURM_LOCALID='1', SLURM_NODELIST='node[3-4]',
                       PATH=f'{tmp_path}:{os.environ["PATH"]}', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    names = ('MASTER_ADDR', 'MASTER_PORT', 'RANK', 'WORLD_SIZE', 'LOCAL_RANK')
    for name in ('SLURM_JOB_ID', *names):
        monkeypatch.setenv(name, job or '')  # so that it is put back
        if name != 'SLURM_JOB_ID' or job is None:
            monkeypatch.delenv(name)
    formed = []
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setattr('torch.distributed.init_process_group', lambda *args, **_: formed.append(args))
    setup_distributed('slurm', Config())
    assert [os.environ[name] for name in names] == ['node3', port, '5', '8', '1'] and formed == [('gloo', )]
    setup_distributed('slurm', Config(dict(env_cfg=dict(dist_cfg=dict(port=29511)))))
    assert os.environ['MASTER_PORT'] == '29511'


@pytest.mark.parametrize('visible, reason', [(None, ''), ('4,5', ' (CUDA_VISIBLE_DEVICES=4,5)')])
def test_a_process_without_a_gpu_is_refused(monkeypatch, visible, reason):
    formed = []
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    monkeypatch.setattr('mmvc.engine.distributed.init_dist', lambda launcher, **_: formed.append(launcher))
    monkeypatch.setattr('mmvc.engine.distributed.die_with_parent', lambda: None)  # would be for good
    environment = dict(RANK='9', LOCAL_RANK='2', WORLD_SIZE='10', MASTER_ADDR='node0', MASTER_PORT='29500')
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible is not None:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    message = f'process 2 of this machine has no GPU, since 2 are visible{reason}: start 2 processes'
    with pytest.raises(UsageError, match=re.escape(message)):
        setup_distributed('pytorch', Config())
    assert formed == []
    monkeypatch.setenv('LOCAL_RANK', '1')
    setup_distributed('pytorch', Config())
    assert formed == ['pytorch']
