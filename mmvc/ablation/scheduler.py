# Copyright (c) The mmvc contributors. All rights reserved.
"""Run jobs that depend on each other, several at a time."""

import subprocess
import time
from collections.abc import Callable, Mapping

from mmvc.utils.children import end_children

STARTED, DONE, FAILED, BLOCKED, IN_USE = 'started', 'done', 'failed', 'blocked', 'in use'
#: seconds to wait for a process that is not ours and runs a job
PATIENCE = 60.


def run_processes(jobs: Mapping[str, str | None],
                  start: Callable[[str, int], subprocess.Popen],
                  num_slots: int = 1,
                  report: Callable[[str, str], None] = lambda job, state: None,
                  poll_seconds: float = 0.2,
                  is_in_use: Callable[[str], bool] = lambda job: False,
                  patience: float = PATIENCE) -> dict[str, str]:
    """Run jobs as processes. If a job fails, only the jobs that need its result are not run.

    A job that a process of somebody else runs, for example one that its dead owner left behind, is neither started nor
    failed: it waits while other jobs run, and at least ``patience`` seconds.

    Args:
        jobs (Mapping[str, str | None]): Job -> the job that it needs, or None. A needed job that is not a key counts
            as done. Earlier jobs are preferred.
        start (Callable): ``(job, slot) -> process`` starts a job. Slots are numbers from 0.
        num_slots (int): Number of jobs at a time. Defaults to 1.
        report (Callable): ``(job, state)``, called when a job starts (``'started'``) and when it ends.
        poll_seconds (float): Seconds between two looks at the processes. Defaults to 0.2.
        is_in_use (Callable): ``job -> bool``, whether a process of somebody else runs a job. Defaults to never.
        patience (float): Seconds to wait for such a process. Defaults to 60.

    Returns:
        dict[str, str]: Job -> ``'done'``, ``'failed'``, ``'in use'`` (by somebody else, still) or ``'blocked'`` (the
        job that it needs is none of ``'done'``).
    """
    states: dict[str, str] = {}
    waiting: list[str] = list(jobs)
    running: dict[int, tuple] = {}
    deadlines: dict[str, float] = {}  # of the jobs that are in use
    try:
        while waiting or running:
            for job in list(waiting):
                needed = jobs[job]
                state = DONE if needed is None or needed not in jobs else states.get(needed)
                if state in (FAILED, BLOCKED, IN_USE):
                    waiting.remove(job)
                    states[job] = BLOCKED
                    report(job, BLOCKED)
                elif len(running) < num_slots and state == DONE:
                    if is_in_use(job):
                        if job not in deadlines:
                            deadlines[job] = time.monotonic() + patience
                            report(job, IN_USE)
                        elif not running and time.monotonic() > deadlines[job]:
                            waiting.remove(job)
                            states[job] = IN_USE
                        continue
                    slot = min(set(range(num_slots)) - set(running))
                    waiting.remove(job)
                    running[slot] = (job, start(job, slot))
                    report(job, STARTED)
            for slot, (job, process) in list(running.items()):
                if process.poll() is not None:
                    del running[slot]
                    if process.returncode != 0 and is_in_use(job):  # somebody else was faster
                        waiting.insert(0, job)
                        continue
                    states[job] = DONE if process.returncode == 0 else FAILED
                    report(job, states[job])
            if running or waiting:
                time.sleep(poll_seconds)
    finally:  # after an interruption, the checkpoints are kept and the next run resumes from them
        end_children([process for _, process in running.values()])
    return states
