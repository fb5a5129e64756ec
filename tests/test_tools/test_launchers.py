# Copyright (c) The mmvc contributors. All rights reserved.
"""The scripts that start several processes: four of them, failures, restarts, several machines, Slurm."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch

from tests.helpers.checkpoint_comparison import assert_same_training, differences
from tests.helpers.child_environment import child_environment
from tests.helpers.tiny_vss import write_config, write_videos

REPO = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason='needs several GPUs where there are GPUs'),
]
CONFIG = """
_base_ = './tiny.py'
train_dataloader = dict(batch_size={batch_size}, dataset=dict(pipeline=[
    dict(type='SampleAllFrames'), dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrameFromFile')]),
    dict(type='RandomPatchMask', patch_size=8), dict(type='PackVideoSegInputs')]))
optim_wrapper = dict(optimizer=dict(lr=0.1, momentum=0.9))
default_hooks = dict(random_state=dict(type='RandomStateHook'))
custom_hooks = {hooks}
"""
CLUSTER = os.environ.get('MMVC_TEST_PARTITION')
needs_cluster = pytest.mark.skipif(not CLUSTER, reason='MMVC_TEST_PARTITION names no partition of a Slurm cluster')
TWO_TASKS = dict(GPUS='2', GPUS_PER_NODE='1', CPUS_PER_TASK='1')  # of a job, each on a machine of its own
RESUMED = 'resumed epoch: 0, iter: 2'  # mmengine's first process says so
FAKE_SRUN = """#!/usr/bin/env bash
# runs the tasks of a job on this machine; the first that fails ends the others
set -u
export SLURM_NODELIST=nodes
while [[ "$1" == --* ]]; do
    case "$1" in --kill-on-bad-exit=1) shift;; --ntasks) export SLURM_NTASKS="$2"; shift 2;; *) shift 2;; esac
done
for ((i = 0; i < SLURM_NTASKS; i++)); do SLURM_PROCID=$i SLURM_LOCALID=$i "$@" & done
for ((i = 0; i < SLURM_NTASKS; i++)); do wait -n || { kill $(jobs -p); exit 1; }; done
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two videos, of which the model gets one frame wrong, and the config."""
    folder = tmp_path_factory.mktemp('launchers')
    write_videos(folder / 'data')
    path = str(folder / 'data/data/right/mask/001.png')
    mask = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    mask[:, :30] = 2
    cv2.imwrite(path, mask)
    write_config(folder / 'tiny.py')
    return folder


@pytest.fixture(scope='module')
def write(folder):
    """Write a config: random masks in the data, noise in the model, momentum; hooks that interrupt it."""

    def write(batch_size=1, **hooks):
        path = folder / f'{"_".join([f"batch_{batch_size}", *hooks])}.py'
        hooks = [dict(type='InterruptOnce', marker=str(folder / f'{name}.pid'), **how) for name, how in hooks.items()]
        path.write_text(CONFIG.format(batch_size=batch_size, hooks=hooks))
        return path

    return write


@pytest.fixture(scope='module')
def prepare(folder):
    """Command and environment of a script of ``tools``."""

    def prepare(name, *arguments, work_dir, **environment):
        environment = child_environment(PYTHON=sys.executable, OMP_NUM_THREADS='1', **environment)
        command = ['bash', str(REPO / f'tools/{name}.sh'), *map(str, arguments), '--data-root', str(folder / 'data'),
                   '--work-dir', str(folder / work_dir)]
        return command, environment

    return prepare


@pytest.fixture(scope='module')
def start(prepare):
    """Start a script of ``tools``; all are ended with the tests."""
    running = []

    def start(*arguments, **options):
        command, environment = prepare(*arguments, **options)
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True))
        return running[-1]

    yield start
    for process in running:
        process.terminate()  # torchrun ends its processes, which SIGKILL would leave


def end_of(process):
    output, _ = process.communicate(timeout=600)
    return process.returncode, output


def succeed(*processes):
    outputs = []
    for process in processes:
        status, output = end_of(process)
        assert status == 0, output
        outputs.append(output)
    return outputs


def pid_in(marker):
    """Wait for a process to be interrupted; return its number."""
    wait_for(lambda: marker.exists() and marker.read_text(), f'{marker} was never written')
    return int(marker.read_text())


def wait_for(condition, complaint):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(complaint)


@pytest.fixture(scope='module')
def last_of(folder):
    return lambda work_dir: torch.load(folder / work_dir / 'iter_4.pth', weights_only=False)


@pytest.fixture(scope='module')
def four(start, write, last_of):
    """Last checkpoint of four processes that nothing disturbed."""
    succeed(start('dist_train', write(), 4, work_dir='four'))
    return last_of('four')


@pytest.fixture(scope='module')
def two(start, write, last_of):
    """The same of two processes, on half of the global batch."""
    succeed(start('dist_train', write(), 2, work_dir='two'))
    return last_of('two')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return str(s.getsockname()[1])


def machines(count, nnodes):
    """Variables of machines that are all this one."""
    port = free_port()
    return [dict(NNODES=nnodes, NODE_RANK=str(rank), MASTER_ADDR='127.0.0.1', PORT=port) for rank in range(count)]


@pytest.mark.parametrize('size', [1, 2])
def test_weights_of_four_processes_are_those_of_fewer(start, write, four, last_of, folder, size):
    """With the same global batch; after four steps, as large as the weights themselves."""
    succeed(start('dist_train', write(4 // size), size, work_dir=f'size_{size}'))
    assert four['meta']['iter'] == 4 and len(four['random_state']) == 4
    before = torch.load(folder / 'four/iter_2.pth', weights_only=False)['state_dict']['cls_embed.weight']
    assert (four['state_dict']['cls_embed.weight'] - before).abs().max() > 0.01
    torch.testing.assert_close(last_of(f'size_{size}')['state_dict'], four['state_dict'], rtol=0, atol=1e-6)


def test_numbers_of_four_processes_are_those_of_one(start, folder, four):
    """On one machine and on two, for two videos; exactly."""
    numbers = []
    for processes, places in ((1, [{}]), (4, [{}]), (2, machines(2, '2'))):
        succeed(*(start('dist_test', folder / 'tiny.py', folder / 'four/iter_4.pth', processes, '--out',
                        folder / 'numbers.json', work_dir='tested', **place) for place in places))
        numbers.append(json.loads((folder / 'numbers.json').read_text()))
        (folder / 'numbers.json').unlink()
    assert 50 < numbers[0]['vss/mIoU'] < 99 and numbers == numbers[:1] * 3


def test_one_failing_process_of_four_ends_all_with_its_message(start, write, folder):
    status, output = end_of(start('dist_train', write(fails=dict(rank=2, iteration=3)), 4, work_dir='fails'))
    assert status != 0
    root_cause = output[output.index('Root Cause'):]  # of torchrun, after what the other processes had to say
    assert 'RuntimeError: rank 2 fails on purpose' in root_cause
    assert (folder / 'fails/iter_2.pth').exists() and not (folder / 'fails/iter_4.pth').exists()


def test_killed_process_of_four_is_restarted_and_nothing_is_lost(start, write, four, last_of, folder):
    """SIGKILL; all four go on from the second iteration and end as if nothing had been, bit for bit."""
    config = write(killed=dict(rank=3, iteration=3, how='kill'))
    output, = succeed(start('dist_train', config, 4, work_dir='killed', MAX_RESTARTS='1'))
    assert (folder / 'killed.pid').exists() and output.count(RESUMED) == 1
    assert_same_training(last_of('killed'), four)


def test_two_machines(start, write, four, last_of):
    """Two processes on each, as four on one."""
    succeed(*(start('dist_train', write(), 2, work_dir='machines', **place) for place in machines(2, '2')))
    assert_same_training(last_of('machines'), four)


def test_process_killed_on_one_of_two_machines(start, write, two, last_of, folder):
    """Of at most two machines; both start again."""
    config = write(killed_there=dict(rank=1, iteration=3, how='kill'))
    outputs = succeed(*(start('dist_train', config, 1, work_dir='killed_there', MAX_RESTARTS='1', **place)
                        for place in machines(2, '1:2')))
    assert (folder / 'killed_there.pid').exists() and ''.join(outputs).count(RESUMED) == 1
    assert_same_training(last_of('killed_there'), two)


def test_a_machine_comes_and_is_lost(start, write, two, last_of, folder):
    """One process, then two, then one again, each from the checkpoint of the second iteration."""
    config = write(alone=dict(rank=0, iteration=3, how='wait'), joined=dict(rank=1, iteration=3, how='wait'))
    places = [dict(place, MAX_RESTARTS='1') for place in machines(2, '1:2')]
    first = start('dist_train', config, 1, work_dir='elastic', **places[0])
    pid_in(folder / 'alone.pid')
    second = start('dist_train', config, 1, work_dir='elastic', **places[1])
    lost = pid_in(folder / 'joined.pid')
    assert first.poll() is None
    for pid in (second.pid, lost):  # torchrun first, so that it tells nobody
        os.kill(pid, signal.SIGKILL)
    output, = succeed(first)
    last = last_of('elastic')
    assert len(last['random_state']) == 1 and last['meta']['iter'] == 4
    assert output.count(RESUMED) == 2 and 'RNG states of 1 processes, this training has 2' in output
    assert differences(last['state_dict'], two['state_dict'])  # half of the batch


@pytest.fixture
def srun_stand_in(folder):
    """A path on which ``srun`` and ``scontrol`` are scripts that need no cluster."""
    for name, content in (('srun', FAKE_SRUN), ('scontrol', '#!/bin/sh\necho localhost\n')):
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    return f'{folder}:{os.environ["PATH"]}'


def check_slurm(start, write, two, last_of, partition, **environment):
    """Two processes of a job end as those of torchrun, and one that fails ends the job."""
    environment.update(TWO_TASKS)
    output, = succeed(start('slurm_train', partition, 'job', write(), work_dir=partition, MASTER_PORT=free_port(),
                            **environment))
    assert 'Distributed training: True' in output
    assert_same_training(last_of(partition), two)
    config = write(**{f'fails_on_{partition}': dict(rank=1, iteration=3)})
    status, output = end_of(start('slurm_train', partition, 'job', config, work_dir=f'fails_on_{partition}',
                                  MASTER_PORT=free_port(), **environment))
    assert status != 0 and 'rank 1 fails on purpose' in output


def test_slurm(start, write, two, last_of, srun_stand_in):
    check_slurm(start, write, two, last_of, 'partition', PATH=srun_stand_in)


@needs_cluster
def test_slurm_cluster(start, write, two, last_of):
    """One process on each of two machines."""
    check_slurm(start, write, two, last_of, CLUSTER)


@needs_cluster
def test_job_that_a_cluster_starts_anew(prepare, write, two, last_of, folder):
    """Taken away in the fourth step, it goes on from the second; Slurm waits two minutes before it starts it again."""
    config = write(requeued=dict(rank=1, iteration=3, how='wait'))
    command, environment = prepare('slurm_train', CLUSTER, 'job', config, '--resume', work_dir='requeued', **TWO_TASKS)
    log = folder / 'requeued.txt'
    options = ['--requeue', '--ntasks', '2', '--ntasks-per-node', '1', '--cpus-per-task', '1', '--gres', 'gpu:1']
    job = subprocess.run(['sbatch', '--parsable', '--partition', CLUSTER, *options, '--output', str(log), '--wrap',
                          shlex.join(command)], env=environment, check=True, capture_output=True, text=True)
    pid_in(folder / 'requeued.pid')
    subprocess.run(['scontrol', 'requeue', job.stdout.strip()], check=True)
    wait_for((folder / 'requeued/iter_4.pth').exists, 'the job did not go on')
    assert log.read_text().count(RESUMED) == 1
    assert_same_training(last_of('requeued'), two)
