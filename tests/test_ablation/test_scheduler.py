# Copyright (c) The mmvc contributors. All rights reserved.
from mmvc.ablation import run_processes


class FakeProcess:
    """Ends at the n-th look."""

    def __init__(self, looks, returncode):
        self.left, self.result, self.returncode = looks, returncode, None

    def poll(self):
        self.left -= 1
        if self.left < 0:
            self.returncode = self.result
        return self.returncode

    def terminate(self):
        self.left = 0

    def wait(self):
        pass


def run(jobs, fails=(), num_slots=2):
    running, slots, order, most = set(), {}, [], [0]

    def start(job, slot):
        assert slot not in slots.values() and jobs[job] not in running
        running.add(job)
        slots[job] = slot
        order.append(job)
        most[0] = max(most[0], len(running))
        return FakeProcess(len(order) % 3, int(job in fails))

    def report(job, state):
        if state in ('done', 'failed'):
            running.discard(job)
            del slots[job]

    return run_processes(jobs, start, num_slots, report, 0), order, most[0]


def test_jobs_wait_for_each_other_and_fill_the_slots():
    jobs = dict(a=None, b=None, c='a', d='c', e='elsewhere')
    states, order, most = run(jobs)
    assert set(states.values()) == {'done'} and sorted(order) == sorted(jobs) and most == 2
    assert order.index('a') < order.index('c') < order.index('d')
    assert run(jobs, num_slots=1)[2] == 1


def test_a_failure_stops_only_what_needs_it():
    states, order, _ = run(dict(a=None, b=None, c='a', d='c', e='b'), fails=['a'])
    assert states == dict(a='failed', b='done', c='blocked', d='blocked', e='done')
    assert set(order) == {'a', 'b', 'e'}


class Holder:
    """Somebody else runs the jobs, until the given looks are over."""

    def __init__(self, **looks):
        self.looks = looks

    def __call__(self, job):
        self.looks[job] = self.looks.get(job, 0) - 1
        return self.looks[job] >= 0


def run_beside(jobs, holder, patience=60, returncodes=()):
    started, reports = [], []
    codes = iter(returncodes)

    def start(job, slot):
        started.append(job)
        return FakeProcess(0, next(codes, 0))

    states = run_processes(jobs, start, 2, lambda *report: reports.append(report), 0.001, holder, patience)
    return states, started, reports


def test_a_job_of_somebody_else_is_waited_for_and_started_once():
    states, started, reports = run_beside(dict(a=None, b=None, c='a'), Holder(a=20))
    assert set(states.values()) == {'done'} and started == ['b', 'a', 'c']
    assert reports.count(('a', 'in use')) == 1 and reports.index(('a', 'in use')) < reports.index(('a', 'started'))


def test_a_job_that_stays_with_somebody_else_is_neither_started_nor_failed():
    states, started, _ = run_beside(dict(a=None, b=None, c='a'), Holder(a=10**9), patience=0.05)
    assert states == dict(a='in use', b='done', c='blocked') and started == ['b']


def test_a_process_that_found_its_job_in_use_has_not_failed():
    """The other one was faster: it took the lock after the look of the scheduler."""
    looks = iter([False, True, True, True, False])
    states, started, reports = run_beside(dict(a=None), lambda job: next(looks), returncodes=[1, 0])
    assert states == dict(a='done') and started == ['a', 'a'] and ('a', 'failed') not in reports
