# Copyright (c) The mmvc contributors. All rights reserved.
import os
import subprocess
import sys
import types

import pytest

from mmvc.utils import threads
from mmvc.utils.threads import child_environment, set_threads, threads_per_process, usable_cores

VARIABLES = (*threads.WAIT_VARIABLES, threads.COUNT_VARIABLE)


@pytest.fixture
def fresh(monkeypatch):
    """A process before torch is imported, with eight cores and no variables; returns a function to set a quota."""
    monkeypatch.setattr(threads, 'sys', types.SimpleNamespace(modules={}))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, '_chosen', {})
    monkeypatch.setattr(threads, '_allowed_cores', lambda: 8)
    quotas = []
    monkeypatch.setattr(threads, '_quotas', lambda root: quotas)
    return quotas.append


def variables():
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def test_threads_spin_shortly(fresh):
    set_threads()
    assert variables() == dict(GOMP_SPINCOUNT='10000', KMP_BLOCKTIME='1')


@pytest.mark.parametrize('name, value', [('OMP_WAIT_POLICY', 'active'), ('GOMP_SPINCOUNT', '5'),
                                         ('KMP_BLOCKTIME', '0')])
def test_the_users_way_to_wait_stays(fresh, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    set_threads()
    assert variables() == {name: value}


def test_no_more_threads_than_the_quota_has_cores(fresh, monkeypatch):
    fresh(2.5)
    set_threads()
    assert os.environ['OMP_NUM_THREADS'] == '2'
    assert child_environment(2)['OMP_NUM_THREADS'] == '1' and os.environ['OMP_NUM_THREADS'] == '2'
    monkeypatch.setenv('OMP_NUM_THREADS', '6')
    set_threads()
    assert os.environ['OMP_NUM_THREADS'] == '6' == child_environment(2)['OMP_NUM_THREADS'], 'the user set it'


def test_an_empty_variable_is_no_choice(fresh, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '')
    assert child_environment(2)['OMP_NUM_THREADS'] == '4'
    fresh(2)
    set_threads()
    assert os.environ['OMP_NUM_THREADS'] == '2'


def test_nothing_is_pretended_once_torch_is_imported(fresh, monkeypatch):
    monkeypatch.setitem(threads.sys.modules, 'torch', object())
    fresh(2)
    set_threads()
    assert variables() == {}


def test_processes_share_the_cores(fresh):
    assert [threads_per_process(processes) for processes in (0, 1, 3, 9)] == [8, 8, 2, 1]
    assert child_environment(4)['OMP_NUM_THREADS'] == '2'


@pytest.mark.parametrize('cores, files', [
    (8, {}),  # no control groups
    (8, {'proc/self/cgroup': '0::/user\n', 'sys/fs/cgroup/user/cpu.max': 'max 100000\n'}),
    (3, {'proc/self/cgroup': '0::/a/b\n', 'sys/fs/cgroup/a/b/cpu.max': '500000 100000\n',
         'sys/fs/cgroup/a/cpu.max': '390000 100000\n'}),
    (2, {'proc/self/cgroup': '0::/of/the/host\n', 'sys/fs/cgroup/cpu.max': '200000 100000\n'}),  # in a container
    (1, {'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '50000 100000\n'}),
    (4, {'proc/self/cgroup': '3:memory:/x\n2:cpu,cpuacct:/x\n', 'sys/fs/cgroup/memory/x/cpu.max': '1 1\n',
         'sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us': '400000\n',
         'sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us': '100000\n'}),
    (8, {'proc/self/cgroup': '1:cpu:/\n', 'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
         'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n'}),
    (8, {'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': 'nonsense\n'}),
    (2, {'proc/self/cgroup': '\n0::/a\x85b\n?\n', 'sys/fs/cgroup/a\x85b/cpu.max': '200000 100000\n'}),
])
def test_quotas_of_control_groups(monkeypatch, tmp_path, cores, files):
    monkeypatch.setattr(threads, '_allowed_cores', lambda: 8)
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert usable_cores(tmp_path) == cores


def test_importing_the_package_first_is_enough():
    """As every tool does; a script that imports torch first is left alone."""
    code = 'import os, sys; import {}; print(*(os.environ.get(name) for name in sys.argv[1:]))'
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    for modules, expected in (('mmvc.apis', '10000 1'),
                              ('types; sys.modules["torch"] = types; import mmvc.apis', 'None None')):
        done = subprocess.run([sys.executable, '-c', code.format(modules), 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME'],
                              env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected
