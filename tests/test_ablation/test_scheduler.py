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
