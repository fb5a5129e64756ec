# Copyright (c) The mmvc contributors. All rights reserved.
import multiprocessing
import os
import time
import types

import pytest

from mmvc.utils import free_cores as module
from mmvc.utils.free_cores import FreeCores


class Machine:
    """Four cores, of which a process may use two; the test sets what was used."""

    def __init__(self, root, monkeypatch):
        self.root, self.now, self.own, self.ticks, self.children = root, 0., 0., [0, 0, 0, 0], {}
        (root / 'proc').mkdir()
        monkeypatch.setattr(module.time, 'monotonic', lambda: self.now)
        monkeypatch.setattr(module.time, 'process_time', lambda: self.own)
        monkeypatch.setattr(module.os, 'sched_getaffinity', lambda pid: {1, 2}, raising=False)
        monkeypatch.setattr(module.os, 'sysconf', lambda name: 100, raising=False)
        monkeypatch.setattr(multiprocessing, 'active_children',
                            lambda: [types.SimpleNamespace(pid=pid) for pid in self.children])
        self.write()

    def write(self):
        rows = [f'cpu{core} {ticks} 0 0 12345 99 0 0 0 0 0' for core, ticks in enumerate(self.ticks)]
        (self.root / 'proc/stat').write_text('\n'.join(['cpu  9 9 9 9 9 9 9 9 9 9', *rows, 'intr 1 2 3', '']))
        for pid, ticks in self.children.items():
            (self.root / f'proc/{pid}').mkdir(exist_ok=True)
            fields = ['0'] * 40
            fields[11], fields[12] = str(ticks), '0'
            (self.root / f'proc/{pid}/stat').write_text(f'{pid} (a ) name) {" ".join(fields)}')

    def run(self, seconds, own, busy):
        """Let time pass; ``busy`` are the busy seconds of each of the four cores."""
        self.now, self.own = self.now + seconds, self.own + own
        self.ticks = [ticks + round(100 * added) for ticks, added in zip(self.ticks, busy)]
        self.write()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def test_cores_that_others_leave_free(machine):
    cores = FreeCores(machine.root)
    machine.run(1, own=2, busy=[0, 1, 1, 0])
    assert cores.measure() == pytest.approx(2), 'all is this process'
    machine.run(2, own=2, busy=[0, 2, 2, 0])
    assert cores.seconds == pytest.approx(2)
    assert cores.measure() == pytest.approx(1), 'another process used one of them'


def test_cores_that_this_process_may_not_use_do_not_count(machine):
    cores = FreeCores(machine.root)
    machine.run(1, own=1, busy=[1, 1, 0, 1])
    assert cores.measure() == pytest.approx(2)


def test_workers_are_no_others(machine):
    machine.children[7] = 0
    machine.write()
    cores = FreeCores(machine.root)
    machine.children[7] = 80
    machine.run(1, own=1, busy=[0, 1, 0.8, 0])
    assert cores.measure() == pytest.approx(2)


def test_time_in_which_the_process_waited_says_nothing(machine):
    cores = FreeCores(machine.root)
    machine.run(5, own=1, busy=[0, 5, 5, 0])
    assert cores.measure() is None
    machine.run(1, own=1, busy=[0, 1, 0, 0])
    assert cores.measure() == pytest.approx(2), 'the wait is not part of the next measurement'


@pytest.mark.parametrize('text', [None, 'cpu  1 2 3', 'cpu1 1 2 x\ncpu2 1 2 3', 'cpu1 1 0 0 0 0 0 0 0'])
def test_systems_that_do_not_say_it(machine, text):
    if text is None:
        (machine.root / 'proc/stat').unlink()
    else:
        (machine.root / 'proc/stat').write_text(text)
    cores = FreeCores(machine.root)
    machine.now, machine.own = 1, 1
    assert cores.measure() is None and cores.seconds == 0


@pytest.mark.skipif(not hasattr(os, 'sched_getaffinity'), reason='Linux only')
def test_this_machine_says_it():
    cores = FreeCores()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    free = cores.measure()
    assert free is not None and 0 <= free <= len(os.sched_getaffinity(0))
