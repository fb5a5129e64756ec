# Copyright (c) The mmvc contributors. All rights reserved.
"""What the scripts that start several processes give to torchrun and srun, for which stand-ins repeat it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmvc.utils.threads import usable_cores

TOOLS = Path(__file__).parents[2] / 'tools'
SCRIPTS = ['dist_train', 'dist_test', 'slurm_train', 'slurm_test']
STAND_IN = '#!/bin/sh\nprintf "%s\\n" "$@" "$PYTHONPATH"\n'
NODE = dict(NODE_RANK='1', MASTER_ADDR='node0')


@pytest.fixture
def script(tmp_path):
    for name in ('srun', 'python'):
        (tmp_path / name).write_text(STAND_IN)
        (tmp_path / name).chmod(0o755)

    def script(name, *arguments, **environment):
        environment = dict(PATH=f'{tmp_path}:{os.environ["PATH"]}', PYTHON=str(tmp_path / 'python'), **environment)
        return subprocess.run(['bash', str(TOOLS / f'{name}.sh'), *arguments], env=environment, capture_output=True,
                              text=True)

    return script


def words_of(done):
    """The words that the stand-in was given; the package has to be on the path of Python."""
    assert done.returncode == 0, done.stderr
    *words, path = done.stdout.splitlines()
    assert os.path.samefile(path.split(':')[0], TOOLS.parent)
    return words


@pytest.mark.parametrize('processes, given, expected', [('1', '', usable_cores()), ('1000', '', 1), ('2', '7', 7)])
def test_processes_share_the_cores(script, tmp_path, processes, given, expected):
    (tmp_path / 'python').write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} "$@"\n'
                                     'echo $OMP_NUM_THREADS\n')
    done = script('dist_train', 'CONFIG', processes, OMP_NUM_THREADS=given)
    assert (done.stdout, done.stderr) == (f'{expected}\n', '')


@pytest.mark.parametrize('name', SCRIPTS)
def test_scripts_explain_themselves(script, name):
    done, asked = script(name), script(name, '--help')
    assert done.returncode == 2 and done.stderr.startswith(f'usage: bash tools/{name}.sh') and not done.stdout
    assert asked.returncode == 0 and asked.stdout == done.stderr and 'set -e' not in asked.stdout


@pytest.mark.parametrize('name, variables', [
    ('dist', 'NNODES NODE_RANK MASTER_ADDR PORT MAX_RESTARTS JOB_ID LOCAL_ADDR'),
    ('slurm', 'GPUS GPUS_PER_NODE CPUS_PER_TASK SRUN_ARGS MASTER_ADDR MASTER_PORT'),
])
def test_help_names_the_variables(script, name, variables):
    described = [line.split()[0].split('=')[0] for line in script(f'{name}_train', '-h').stdout.splitlines()
                 if line.startswith('  ')]
    assert set(variables.split()) <= set(described)


@pytest.mark.parametrize('environment, rendezvous, restarts, resume', [
    ({}, '--standalone', 0, False),
    (dict(MAX_RESTARTS='3'), '--standalone', 3, True),
    (dict(PORT='123'), '--nnodes 1 --node-rank 0 --master-addr 127.0.0.1 --master-port 123', 0, False),
    (dict(NODE, NNODES='2'), '--nnodes 2 --node-rank 1 --master-addr node0 --master-port 29500', 0, False),
    (dict(NODE, NNODES='2', MAX_RESTARTS='3', JOB_ID='j', PORT='123'),
     '--nnodes 2 --rdzv-backend c10d --rdzv-id j --rdzv-endpoint node0:123 --rdzv-conf is_host=0', 3, True),
    (dict(NODE, NNODES='2:4', NODE_RANK='0', LOCAL_ADDR='a'), '--nnodes 2:4 --rdzv-backend c10d --rdzv-id mmvc '
     '--rdzv-endpoint node0:29500 --rdzv-conf is_host=1 --local-addr a', 0, True),
])
def test_torchrun(script, environment, rendezvous, restarts, resume):
    """A fixed group, or one that finds itself again; only a training is to go on from its checkpoints."""
    launch = ['-m', 'torch.distributed.run', *rendezvous.split(), '--nproc-per-node', '4', '--max-restarts',
              str(restarts), '--monitor-interval', '1']
    assert words_of(script('dist_train', 'a b.py', '4', '--amp', **environment)) == [
        *launch, f'{TOOLS}/train.py', 'a b.py', '--launcher', 'pytorch', *['--resume'] * resume, '--amp']
    assert words_of(script('dist_test', 'a b.py', 'c.pth', '4', '--tta', **environment)) == [
        *launch, f'{TOOLS}/test.py', 'a b.py', 'c.pth', '--launcher', 'pytorch', '--tta']


@pytest.mark.parametrize('processes, environment, message', [
    ('--amp', {}, 'PROCESSES must be a number, found "--amp"'),
    ('0', {}, 'PROCESSES must be a number, found "0"'),
    ('2', dict(NNODES='2', NODE_RANK='0'), 'NNODES=2 needs NODE_RANK and MASTER_ADDR'),
    ('2', dict(NNODES='1:2', MASTER_ADDR='node0'), 'NNODES=1:2 needs NODE_RANK and MASTER_ADDR'),
])
def test_what_would_wait_forever_is_refused(script, processes, environment, message):
    """Machines that all take themselves for the first one, and numbers that torchrun takes for something else."""
    done = script('dist_train', 'a.py', processes, **environment)
    assert done.returncode == 2 and done.stderr.startswith(f'error: {message}') and not done.stdout


@pytest.mark.parametrize('environment, resources', [
    ({}, '--ntasks 8 --ntasks-per-node 8 --gres gpu:8 --cpus-per-task 5 --kill-on-bad-exit=1'),
    (dict(GPUS='2'), '--ntasks 2 --ntasks-per-node 2 --gres gpu:2 --cpus-per-task 5 --kill-on-bad-exit=1'),
    (dict(GPUS='16', GPUS_PER_NODE='4', CPUS_PER_TASK='3', SRUN_ARGS='--time 2:00 --account mine'),
     '--ntasks 16 --ntasks-per-node 4 --gres gpu:4 --cpus-per-task 3 --kill-on-bad-exit=1 --time 2:00 --account mine'),
])
def test_srun(script, environment, resources, tmp_path):
    launch = ['--partition', 'fast', '--job-name', 'my job', *resources.split(), f'{tmp_path}/python', '-u']
    assert words_of(script('slurm_train', 'fast', 'my job', 'a b.py', '--resume', **environment)) == [
        *launch, f'{TOOLS}/train.py', 'a b.py', '--launcher', 'slurm', '--resume']
    assert words_of(script('slurm_test', 'fast', 'my job', 'a b.py', 'c.pth', **environment)) == [
        *launch, f'{TOOLS}/test.py', 'a b.py', 'c.pth', '--launcher', 'slurm']
