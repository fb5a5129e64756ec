# Copyright (c) The mmvc contributors. All rights reserved.
import logging

import pytest
import torch

from mmvc.engine.hooks import AdaptThreadsHook
from mmvc.utils import adaptive_threads as module
from mmvc.utils.adaptive_threads import AdaptiveThreads


class Cores:
    """Stands for FreeCores: the test says how many cores are free."""

    seconds = 1.
    free: float | None = 8.

    def measure(self):
        return self.free


@pytest.fixture
def cores(monkeypatch):
    """Eight threads on eight free cores, nothing chosen by the user."""
    monkeypatch.setattr(module, 'count_is_chosen', lambda: False)
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield Cores()
    torch.set_num_threads(before)


def adapted(threads, cores, free):
    cores.free = free
    threads.adapt()
    return torch.get_num_threads()


def test_as_many_threads_as_there_are_free_cores(cores):
    threads = AdaptiveThreads(cores)
    assert [adapted(threads, cores, free) for free in (8, 6.9, 5.1, 7.0, 7.95, 8)] == [8, 7, 5, 7, 8, 8]


def test_a_little_other_work_changes_nothing(cores):
    threads = AdaptiveThreads(cores)
    assert [adapted(threads, cores, free) for free in (7.75, 7.69, 7.85, 7.95)] == [8, 7, 7, 8]


def test_half_of_the_threads_stay(cores):
    threads = AdaptiveThreads(cores)
    assert adapted(threads, cores, 0.2) == 4
    torch.set_num_threads(2)
    assert adapted(threads, cores, 0.2) == 1, 'of the number that the user has set last'
    assert adapted(threads, cores, 8) == 2
    torch.set_num_threads(1)
    assert adapted(threads, cores, 0) == 1 == adapted(threads, cores, 8)


def test_no_change_without_a_measurement_or_before_its_time(cores):
    threads = AdaptiveThreads(cores)
    assert adapted(threads, cores, None) == 8
    cores.seconds = 0.1
    assert adapted(threads, cores, 4) == 8
    cores.seconds = module.INTERVAL
    assert adapted(threads, cores, 4) == 4


def test_a_chosen_number_stays(cores, monkeypatch):
    monkeypatch.setattr(module, 'count_is_chosen', lambda: True)
    assert adapted(AdaptiveThreads(cores), cores, 4) == 8


def test_deterministic_algorithms_keep_the_number(cores):
    torch.use_deterministic_algorithms(True)
    try:
        assert adapted(AdaptiveThreads(cores), cores, 4) == 8
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_log_says_it_once(cores, caplog, monkeypatch):
    lines = []
    monkeypatch.setattr(module, 'print_log', lambda message, logger, level=logging.INFO: lines.append(message))
    threads = AdaptiveThreads(cores)
    for free in (6, 8, 5, 8):
        adapted(threads, cores, free)
    assert len(lines) == 1 and '6 of 8 threads' in lines[0] and 'OMP_NUM_THREADS' in lines[0]


def test_a_later_user_in_the_process_gets_all_threads_back(cores, monkeypatch):
    """Stages of a training have a hook each, and a process may have several inferencers."""
    monkeypatch.setattr(module, 'FreeCores', lambda: cores)
    module._threads_of_process.cache_clear()
    try:
        for free, expected in ((4, 4), (8, 8)):
            cores.free = free
            AdaptThreadsHook().after_train_iter(None, 0)
            assert torch.get_num_threads() == expected
    finally:
        module._threads_of_process.cache_clear()
