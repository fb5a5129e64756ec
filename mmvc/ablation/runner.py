# Copyright (c) The mmvc contributors. All rights reserved.
"""The actions of ``tools/ablate.py``: list, run and compare the trainings of a plan."""

import json
import os
import os.path as osp
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.dist import is_main_process
from prettytable import PrettyTable

from mmvc.engine import on_main_process, setup_distributed
from mmvc.utils.atomic import atomic_write
from mmvc.utils.children import start_child
from mmvc.utils.errors import UsageError
from mmvc.utils.folder_lock import hold_folder, user_of
from mmvc.utils.outputs import protect_inputs
from mmvc.utils.threads import threads_per_process

from .data import make_data
from .job import run_training
from .plan import Plan, Training
from .plot import plot_results
from .report import to_markdown
from .results import gather
from .scheduler import BLOCKED, DONE, FAILED, IN_USE, PATIENCE, STARTED, run_processes
from .slurm import slurm_script
from .store import Store

_MODES = ('--jobs', '--threads', '--gpus', '--slurm-script')  # options that a process with one training must not get


class AblationRunner:
    """Runs the trainings of a plan and compares their results.

    Args:
        plan (str): Config file of the plan.
        work_dir (str): Folder of all results.
        variants (Sequence[str], optional): Names of the variants to use, in addition to the baseline. Defaults to
            None: all.
        seeds (Sequence[int], optional): Seeds, instead of those of the plan. Defaults to None.
        data_root (str, optional): Folder of the dataset, instead of that of the plan. Defaults to None.
        cfg_options (dict, optional): Overrides for all stages of all variants. Defaults to None.
    """

    def __init__(self,
                 plan: str,
                 work_dir: str,
                 variants: Sequence[str] | None = None,
                 seeds: Sequence[int] | None = None,
                 data_root: str | None = None,
                 cfg_options: dict | None = None) -> None:
        self.plan = Plan(plan, data_root, cfg_options, seeds, variants)
        self.trainings: list[Training] = self.plan.ordered_trainings
        self.store = Store(osp.join(work_dir, 'trainings'))
        self.out_dir = Path(work_dir, self.plan.name)

    def listing(self) -> str:
        """Return a table of the trainings: number (for ``--only``), name, variants and state."""
        table = PrettyTable(['#', 'training', 'starts from', 'iterations', 'used by', 'state'], align='l')
        for i, training in enumerate(self.trainings):
            start = training.parent.key if training.parent else ''
            schedule = self.store.stage(training).schedule
            table.add_row([i, training.key, start, '/'.join(map(str, schedule.values())),
                           ', '.join(training.used_by), self._state(training)])
        unshared = [training for run in self.plan.runs for training in run.trainings.values()]
        tests = sum(len(training.evaluations) for training in self.trainings)
        return (f'{table.get_string()}\n{len(self.plan.runs)} runs ({len(self.plan.variants)} variants x '
                f'{len(self.plan.seeds)} seeds): {len(self.trainings)} trainings of '
                f'{self._count_iterations(self.trainings)} iterations ({len(unshared)} of '
                f'{self._count_iterations(unshared)} without sharing) and {tests} tests; {self._count_done()} '
                f'trainings are done\n{self._forecast()}')

    def run_only(self, number: int, launcher: str = 'none') -> None:
        """Run one training in this process.

        Args:
            number (int): Number of the training in :meth:`listing`.
            launcher (str): How the processes were started. Defaults to 'none'.

        Raises:
            UsageError: There is no such training, or the training that it starts from is not finished.
        """
        if not 0 <= number < len(self.trainings):
            raise UsageError(f'--only {number}: there are trainings 0 to {len(self.trainings) - 1}')
        training = self.trainings[number]
        setup_distributed(launcher, training.cfg)
        on_main_process(lambda: make_data(self.plan.data))
        if on_main_process(lambda: self.store.is_done(training)):
            if is_main_process():
                print(f'{training.key} is done')
            return
        run_training(training, self.store, launcher)

    def run_all(self, argv: Sequence[str], jobs: int = 1, threads: int | None = None,
                gpus: int | None = None) -> int:
        """Run the trainings that are not done, each in a process of its own, and write the results.

        Args:
            argv (Sequence[str]): Command line of the tool. The processes are started with it.
            jobs (int): Number of trainings at a time. Defaults to 1.
            threads (int, optional): Number of threads of each process. Defaults to None: the cores are shared evenly.
            gpus (int, optional): Number of GPUs per training. Defaults to None: 1 if there are any.

        Returns:
            int: Exit status, 0 if all trainings are done.

        Raises:
            UsageError: There are not enough GPUs, or another process runs this plan in the same work dir.
        """
        gpus = _gpus_per_job(gpus)
        visible = _visible_gpus()
        if gpus * jobs > len(visible):
            raise UsageError(f'--jobs {jobs} with --gpus {gpus} needs {gpus * jobs} GPUs, there are {len(visible)}: '
                             'lower one of them')
        make_data(self.plan.data)
        threads = threads or threads_per_process(jobs * max(gpus, 1))
        todo = {training.key: None if training.parent is None else training.parent.key
                for training in self.trainings if not self.store.is_done(training)}
        print(f'{self.plan.title}: {len(self.trainings)} trainings, {len(self.trainings) - len(todo)} done, '
              f'{jobs} at a time with {threads} thread(s) per process', flush=True)
        numbers = {training.key: number for number, training in enumerate(self.trainings)}
        started: dict[str, float] = {}

        def start(key: str, slot: int) -> subprocess.Popen:
            started[key] = time.time()
            return self._start(numbers[key], argv, threads, visible[slot * gpus:(slot + 1) * gpus])

        def report(key: str, state: str) -> None:
            self._report_state(key, state, started.get(key))

        with hold_folder(self.out_dir):
            states = run_processes(todo, start, jobs, report, is_in_use=lambda key: self._user(key) is not None,
                                   patience=PATIENCE)
            self.report()
        self._report_failures(states)
        return 0 if all(state == DONE for state in states.values()) else 1

    def report(self) -> None:
        """Write the results of the finished trainings, and print them with the names of the files."""
        print(self._write_results())
        print(f'{self.out_dir}/results.json, results.md, results.png')

    def write_slurm_script(self, path: str, argv: Sequence[str], gpus: int | None = None) -> None:
        """Write a script that submits the trainings. The videos of the plan are generated now.

        Args:
            path (str): File to write.
            argv (Sequence[str]): Command line of the tool.
            gpus (int, optional): Number of GPUs per training. Defaults to None: 1, because this machine may have none.
        """
        protect_inputs([path], [self.plan.path], '--slurm-script')
        make_data(self.plan.data)
        logs = self.out_dir / 'slurm'
        logs.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, '-u', *_without_modes(argv)]
        script = slurm_script(self.plan.title, self.trainings, command, os.getcwd(), str(logs),
                              1 if gpus is None else gpus)
        atomic_write(path, script.encode())
        print(f'{path}: submits {len(self.trainings)} trainings; start it with "bash {path} [options of sbatch]"')

    def _start(self, number: int, argv: Sequence[str], threads: int, gpus: Sequence[str]) -> subprocess.Popen:
        """Start a training in a process of its own; on several GPUs, in one process per GPU."""
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        if gpus:
            environment['CUDA_VISIBLE_DEVICES'] = ','.join(gpus)
        command = [sys.executable]
        if len(gpus) > 1:
            command += ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={len(gpus)}']
        command += [*_without_modes(argv), '--only', str(number)]
        if len(gpus) > 1:
            command += ['--launcher', 'pytorch']
        path = self._log(self.trainings[number].key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, 'a') as log:
            return start_child(command, environment, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def _report_state(self, key: str, state: str, started: float | None) -> None:
        """Print the new state of a training; rewrite the results if it ended."""
        if state == STARTED:
            print(f'  {key}: started', flush=True)
            return
        if state == IN_USE:
            print(f'  {key}: in use by {self._user(key) or "another process"}, waiting for it', flush=True)
            return
        took = '' if started is None else f' after {(time.time() - started) / 60:.1f} minutes'
        print(f'  {key}: {state}{took} [{self._count_done()}/{len(self.trainings)}]', flush=True)
        self._write_results()

    def _report_failures(self, states: dict[str, str]) -> None:
        """Print why trainings failed, and which ones were not run for that reason."""
        for key, state in states.items():
            if state == FAILED:
                log = self._log(key)
                print(f'failed: {key}: {_last_line(log)}\n        see {log}')
            elif state == IN_USE:
                print(f'not run: {key} is still in use by {self._user(key) or "another process"} after {PATIENCE:.0f} '
                      'seconds: wait until it ends, or end it, and run the command again')
        blocked = [key for key, state in states.items() if state == BLOCKED]
        if blocked:
            print(f'not run, because the training that they start from failed or is in use: {", ".join(blocked)}')

    def _user(self, key: str) -> str | None:
        """Return the process that runs a training, in words; None if there is none."""
        return user_of(self.store.root / key)

    def _log(self, key: str) -> Path:
        """Return the file with the output of a training."""
        return self.store.root / key / 'log.txt'

    def _write_results(self) -> str:
        """Write the results of the finished trainings; return the tables."""
        results = gather(self.plan, self.store)
        text = to_markdown(results)
        self.out_dir.mkdir(parents=True, exist_ok=True)
        atomic_write(self.out_dir / 'results.json', json.dumps(results, indent=2).encode())
        atomic_write(self.out_dir / 'results.md', text.encode())
        plot_results(results, str(self.out_dir / 'results.png'))
        return text

    def _state(self, training: Training) -> str:
        """Describe the state of a training in a few words."""
        if self.store.is_done(training):
            return f'done ({self.store.cost(training).get("wall_seconds", 0) / 60:.1f} min)'
        if self.store.is_trained(training):
            return 'trained, not tested'
        if (user := self._user(training.key)) is not None:
            return f'in use by {user}'
        return 'started' if self.store.stage(training).holds_results() else ''

    def _count_done(self) -> int:
        return sum(self.store.is_done(training) for training in self.trainings)

    def _count_iterations(self, trainings: Sequence[Training]) -> int:
        return sum(self.store.stage(training).schedule.get('max_iters', 0) for training in trainings)

    def _forecast(self) -> str:
        """Estimate the remaining time from the finished trainings of the same stages."""
        left = 0.
        for training in self.trainings:
            if self.store.is_done(training):
                continue
            known = [self.store.cost(other)['cpu_seconds'] for other in self.trainings
                     if other.stage == training.stage and self.store.is_done(other) and self.store.cost(other)]
            if not known:
                return f'Remaining time: unknown until a training of stage {training.stage} is done'
            left += sum(known) / len(known)
        return f'Remaining time: about {left / 60:.0f} CPU minutes, from the finished trainings of the same stages'


def _gpus_per_job(gpus: int | None) -> int:
    """Return the number of GPUs per training; by default one, or none on a machine without."""
    return int(torch.cuda.is_available()) if gpus is None else gpus


def _visible_gpus() -> list[str]:
    """Return the names of the GPUs, as CUDA_VISIBLE_DEVICES takes them."""
    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    if named and torch.cuda.is_available():
        return named.split(',')
    return [str(i) for i in range(torch.cuda.device_count())]


def _without_modes(argv: Sequence[str]) -> list[str]:
    """Return the command line without the options of ``_MODES`` and their values."""
    kept, skip = [], False
    for argument in argv:
        if skip:
            skip = False
        elif argument in _MODES:
            skip = True
        elif not argument.startswith(tuple(f'{mode}=' for mode in _MODES)):
            kept.append(argument)
    return kept


def _last_line(path: Path) -> str:
    """Return the last line of a log that is not empty."""
    lines = [line.strip() for line in path.read_text(encoding='utf-8', errors='replace').splitlines() if line.strip()]
    return lines[-1] if lines else 'no output'
