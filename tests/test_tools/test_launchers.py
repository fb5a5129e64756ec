# Copyright (c) The mmvc contributors. All rights reserved.
"""The scripts that start several processes: failures, restarts, several machines, Slurm."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_vss import write_config, write_videos

HERE = Path(__file__).parent
REPO = HERE.parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason='needs two GPUs where there are GPUs'),
]
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


@pytest.fixture
def paths(tmp_path):
    (tmp_path / 'data').mkdir()
    return write_config(tmp_path / 'toy.py'), write_videos(tmp_path / 'data'), tmp_path / 'work'


@pytest.fixture
def start(paths):
    """Start a script of ``tools``; all are ended with the test."""
    running = []

    def start(name, *arguments, **environment):
        environment = dict(os.environ, PYTHON=sys.executable, PYTHONPATH=str(HERE), OMP_NUM_THREADS='1', **environment)
        command = ['bash', str(REPO / f'tools/{name}.sh'), *map(str, arguments), '--data-root', paths[1],
                   '--work-dir', str(paths[2])]
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()


def end_of(process):
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return str(s.getsockname()[1])


def failing(tmp_path, **options):
    """A config of which rank 1 fails before its fourth iteration; the second has left a checkpoint."""
    config = tmp_path / 'failing.py'
    hook = dict(type='FailOnce', rank=1, iteration=3, marker=str(tmp_path / 'failed'))
    config.write_text(f"_base_ = './toy.py'\ncustom_hooks = [{hook}]\n")
    return config


def test_one_failing_process_ends_all_with_its_message(start, paths, tmp_path):
    status, output = end_of(start('dist_train', failing(tmp_path), 2))
    assert status != 0
    root_cause = output[output.index('Root Cause'):]  # of torchrun, after what the other processes had to say
    assert 'RuntimeError: rank 1 fails on purpose' in root_cause
    assert not (paths[2] / 'iter_4.pth').exists()


def test_restarted_training_goes_on(start, paths, tmp_path):
    status, output = end_of(start('dist_train', failing(tmp_path), 2, MAX_RESTARTS='1'))
    assert status == 0, output
    assert 'rank 1 fails on purpose' in output and 'iter_2.pth' in output[output.index('fails on purpose'):]
    assert torch.load(paths[2] / 'iter_4.pth', weights_only=False)['meta']['iter'] == 4


def test_two_machines(start, paths):
    port = free_port()
    nodes = [start('dist_train', paths[0], 1, NNODES='2', NODE_RANK=str(rank), MASTER_ADDR='127.0.0.1', PORT=port)
             for rank in range(2)]
    for node in nodes:
        status, output = end_of(node)
        assert status == 0, output
    assert (paths[2] / 'iter_4.pth').exists()


def test_slurm(start, paths, tmp_path):
    for name, content in (('srun', FAKE_SRUN), ('scontrol', '#!/bin/sh\necho localhost\n')):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    environment = dict(PATH=f'{tmp_path}:{os.environ["PATH"]}', GPUS='2', MASTER_PORT=free_port())
    status, output = end_of(start('slurm_train', 'partition', 'job', paths[0], **environment))
    assert status == 0, output
    assert (paths[2] / 'iter_4.pth').exists() and 'Distributed training: True' in output
    environment['MASTER_PORT'] = free_port()
    status, output = end_of(start('slurm_train', 'partition', 'job', failing(tmp_path), **environment))
    assert status != 0 and 'rank 1 fails on purpose' in output
