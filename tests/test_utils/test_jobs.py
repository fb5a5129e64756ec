# Copyright (c) The mmvc contributors. All rights reserved.
import os
import time
from functools import partial
from itertools import islice

import cv2
import pytest

from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.jobs import prefetch, run_jobs


def square(number, summand=0):
    """The larger the number, the sooner it is done."""
    time.sleep(0.02 * max(0, 3 - number))
    return number ** 2 + summand


def process_and_threads(_, folder):
    """Return who did the job, once two processes have begun one."""
    (folder / str(os.getpid())).touch()
    while folder.name == 'two' and len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    return os.getpid(), cv2.getNumThreads()


def fail_at_two(number, folder):
    if number == 2:
        raise DataError('video "2" is damaged')
    (folder / str(number)).touch()
    return number


@pytest.mark.parametrize('workers', [1, 3])
def test_results_come_in_the_order_of_the_jobs(workers):
    assert list(run_jobs(partial(square, summand=5), [0, 1, 2, 3], workers)) == [5, 6, 9, 14]


def test_one_worker_is_this_process(tmp_path):
    done = list(run_jobs(partial(process_and_threads, folder=tmp_path), [0, 1], 1))
    assert {process for process, _ in done} == {os.getpid()}


def test_workers_are_other_processes_of_one_thread(tmp_path):
    (tmp_path / 'two').mkdir()
    done = list(run_jobs(partial(process_and_threads, folder=tmp_path / 'two'), [0, 1], 2))
    assert len({process for process, _ in done} - {os.getpid()}) == 2
    assert {threads for _, threads in done} == {1}


@pytest.mark.parametrize('workers', [1, 2])
def test_the_error_of_a_job_reaches_the_caller(tmp_path, workers):
    results = run_jobs(partial(fail_at_two, folder=tmp_path), range(4), workers)
    assert list(islice(results, 2)) == [0, 1]
    with pytest.raises(DataError, match='video "2" is damaged'):
        next(results)


def test_one_worker_starts_a_job_when_its_result_is_asked_for(tmp_path):
    results = run_jobs(partial(fail_at_two, folder=tmp_path), [0, 1, 3], 1)
    next(results)
    assert [path.name for path in tmp_path.iterdir()] == ['0']
    results.close()


@pytest.mark.parametrize('error', [KeyboardInterrupt, SystemExit])
def test_an_interruption_does_not_wait_for_running_jobs(tmp_path, monkeypatch, error):

    def interrupted(self, function, jobs):
        list(map(partial(self.submit, function), jobs))
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        raise error

    monkeypatch.setattr('concurrent.futures.ProcessPoolExecutor.map', interrupted)
    start = time.monotonic()
    with pytest.raises(error):
        list(run_jobs(partial(sleep, folder=tmp_path), [0, 1, 2], 2))
    assert time.monotonic() - start < 40


def sleep(number, folder):
    (folder / str(number)).touch()
    time.sleep(60)


def test_no_jobs():
    assert list(run_jobs(square, [], 2)) == []


@pytest.mark.parametrize('workers', [0, -1, 1.5, True])
def test_workers_are_a_positive_whole_number(workers):
    with pytest.raises(UsageError, match='workers must be at least 1 and be a whole number'):
        list(run_jobs(square, [1], workers))


def test_progress_is_shown_on_standard_error(capsys):
    list(run_jobs(square, [3, 4, 5], 1))
    shown = capsys.readouterr()
    assert '3/3' in shown.err and 'jobs/s' in shown.err
    assert shown.out == ''


def test_prefetch_keeps_order_and_errors():
    assert list(prefetch(lambda x: x * x, range(20), ahead=3)) == [x * x for x in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(prefetch(lambda x: 1 / x, [1, 0]))
