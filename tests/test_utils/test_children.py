# Copyright (c) The mmvc contributors. All rights reserved.
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mmvc
import mmvc.utils.children
from mmvc.utils.children import end_children, is_running, run_child

# A parent with a child of each kind. It does without the __init__ of the packages, which take seconds.
PARENT = f'''
import multiprocessing, sys, time, types
for name, folder in (('mmvc', {mmvc.__path__[0]!r}), ('mmvc.utils', {mmvc.utils.__path__[0]!r})):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from mmvc.utils import children
if 'elsewhere' in sys.argv:
    children._death_signal_setter = lambda: None
    children._POLL_SECONDS = 0.1

def work():
    children.die_with_parent()
    time.sleep(60)

process = multiprocessing.get_context('fork').Process(target=work)
process.start()
pids = [process.pid]
if 'elsewhere' not in sys.argv:
    pids.append(children.start_child([sys.executable, '-c', 'import time; time.sleep(60)']).pid)
time.sleep(0.5)
print(*pids, flush=True)
time.sleep(60)
'''
SLEEPER = [sys.executable, '-c', 'import time; print(flush=True); time.sleep(60)']
STUBBORN = [sys.executable, '-c', 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); '
                                  'print(flush=True); time.sleep(60)']


def has_ended(process: int) -> bool:
    """Whether a process ends within five seconds; a zombie, which nobody waits for, has ended."""
    for _ in range(100):
        if not is_running(process) or Path(f'/proc/{process}/stat').read_text().rsplit(')', 1)[1].split()[0] == 'Z':
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize('how', [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize('system', ['linux', 'elsewhere'])
def test_children_end_with_their_parent(how, system):
    with subprocess.Popen([sys.executable, '-c', PARENT, system], stdout=subprocess.PIPE, text=True) as parent:
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert children and all(map(is_running, children))
        parent.send_signal(how)
        parent.wait()
    assert all(map(has_ended, children))


@pytest.mark.parametrize('command, status', [(SLEEPER, -signal.SIGTERM), (STUBBORN, -signal.SIGKILL)])
def test_children_are_asked_to_end_and_then_killed(command, status):
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.stdout.readline()
    end_children([process], 0.3)
    assert process.returncode == status
    process.stdout.close()


def test_the_status_of_a_program():
    assert run_child([sys.executable, '-c', 'raise SystemExit(3)']) == 3


def test_an_interruption_ends_the_program(monkeypatch):
    started = []
    real = mmvc.utils.children.start_child

    def start(command, env):
        process = real(command, env)
        started.append(process)
        monkeypatch.setattr(process, 'wait', interrupted)
        return process

    def interrupted(*_):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(mmvc.utils.children, 'start_child', start)
    with pytest.raises(KeyboardInterrupt):
        run_child(SLEEPER)
    assert started[0].returncode == -signal.SIGTERM
