# Copyright (c) The mmvc contributors. All rights reserved.
"""Running jobs that wait for each other, several side by side."""

import subprocess
import time
from collections.abc import Callable, Mapping

DONE, FAILED, BLOCKED = 'done', 'failed', 'blocked'


def run_processes(jobs: Mapping[str, str | None],
                  start: Callable[[str, int], subprocess.Popen],
                  num_slots: int = 1,
                  report: Callable[[str, str], None] = lambda job, state: None,
                  poll_seconds: float = 0.2) -> dict[str, str]:
    """Run jobs as processes; the failure of one stops only those that need its result.

    Args:
        jobs (Mapping[str, str | None]): Job -> the job that it waits for, None if it waits for nothing. A job that is
            not among the keys counts as done. In the order of preference.
        start (Callable): ``(job, slot) -> process``, slots are numbers from 0.
        num_slots (int): Jobs at a time. Defaults to 1.
        report (Callable): ``(job, state)``, called when a job starts (``'started'``) and ends.
        poll_seconds (float): How often to look. Defaults to 0.2.

    Returns:
        dict[str, str]: Job -> ``'done'``, ``'failed'`` or ``'blocked'`` (what it waits for failed or is blocked).
    """
    states: dict[str, str] = {}
    waiting: list[str] = list(jobs)
    running: dict[int, tuple] = {}
    try:
        while waiting or running:
            for job in list(waiting):
                needed = jobs[job]
                state = DONE if needed is None or needed not in jobs else states.get(needed)
                if state in (FAILED, BLOCKED):
                    waiting.remove(job)
                    states[job] = BLOCKED
                    report(job, BLOCKED)
                elif len(running) < num_slots and state == DONE:
                    slot = min(set(range(num_slots)) - set(running))
                    waiting.remove(job)
                    running[slot] = (job, start(job, slot))
                    report(job, 'started')
            for slot, (job, process) in list(running.items()):
                if process.poll() is not None:
                    del running[slot]
                    states[job] = DONE if process.returncode == 0 else FAILED
                    report(job, states[job])
            if running:
                time.sleep(poll_seconds)
    finally:  # interrupted: what was trained so far is kept and goes on with the next start
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.wait()
    return states
