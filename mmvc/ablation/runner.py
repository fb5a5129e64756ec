# Copyright (c) The mmvc contributors. All rights reserved.
"""What ``tools/ablate.py`` does with a plan."""

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
from mmvc.utils.errors import UsageError

from .data import make_data
from .job import run_training
from .plan import Plan, Training
from .plot import plot_results
from .report import to_markdown
from .results import gather
from .scheduler import BLOCKED, DONE, FAILED, run_processes
from .slurm import slurm_script
from .store import Store

_MODES = ('--jobs', '--threads', '--gpus', '--slurm-script')  # not for the processes that run one training each


class AblationRunner:
    """Trains, tests and compares what a plan says.

    Args:
        plan (str): Config file of the plan.
        work_dir (str): Folder for everything.
        variants (Sequence[str], optional): Only these, and the baseline.
        seeds (Sequence[int], optional): Instead of the plan's.
        data_root (str, optional): Folder of the dataset, instead of the plan's.
        cfg_options (dict, optional): Overrides for every stage and variant.
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
        """Return the trainings with their numbers for ``--only``, who uses them, and what is done."""
        table = PrettyTable(['#', 'training', 'starts from', 'iterations', 'used by', 'state'], align='l')
        for i, training in enumerate(self.trainings):
            start = training.parent.key if training.parent else ''
            schedule = self.store.stage(training).schedule
            table.add_row([i, training.key, start, '/'.join(map(str, schedule.values())),
                           ', '.join(training.used_by), self._state(training)])
        steps = [sum(self.store.stage(training).schedule.get('max_iters', 0) for training in trainings)
                 for trainings in (self.trainings, [t for run in self.plan.runs for t in run.trainings.values()])]
        unshared = sum(len(run.trainings) for run in self.plan.runs)
        done = sum(self.store.is_done(training) for training in self.trainings)
        tests = sum(len(training.evaluations) for training in self.trainings)
        return (f'{table.get_string()}\n{len(self.plan.runs)} runs ({len(self.plan.variants)} variants x '
                f'{len(self.plan.seeds)} seeds): {len(self.trainings)} trainings of {steps[0]} iterations '
                f'({unshared} of {steps[1]} without sharing) and {tests} tests; {done} trainings are done\n'
                f'{self._forecast()}')

    def run_only(self, number: int, launcher: str = 'none') -> None:
        """Run one training in this process.

        Args:
            number (int): Position in :meth:`listing`.
            launcher (str): How the processes were started. Defaults to 'none'.

        Raises:
            UsageError: If there is no such training, or the one before it is missing.
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
        """Run what is not done, each training in a process of its own, and write the results.

        Args:
            argv (Sequence[str]): Command line of the tool, which the processes are started with.
            jobs (int): Trainings side by side. Defaults to 1.
            threads (int, optional): Threads of each process. Defaults to None: the cores are shared out.
            gpus (int, optional): GPUs per training. Defaults to None: 1 where there are any.

        Returns:
            int: Exit status: 0 if everything is done.

        Raises:
            UsageError: If there are fewer GPUs than asked for.
        """
        gpus = _gpus_per_job(gpus)
        visible = _visible_gpus()
        if gpus * jobs > len(visible):
            raise UsageError(f'--jobs {jobs} with --gpus {gpus} needs {gpus * jobs} GPUs, there are {len(visible)}')
        make_data(self.plan.data)
        threads = threads or max(1, len(os.sched_getaffinity(0)) // (jobs * max(gpus, 1)))
        numbers = {training.key: i for i, training in enumerate(self.trainings)}
        todo = {training.key: None if training.parent is None else training.parent.key
                for training in self.trainings if not self.store.is_done(training)}
        print(f'{self.plan.title}: {len(self.trainings)} trainings, {len(self.trainings) - len(todo)} done, '
              f'{jobs} at a time with {threads} thread(s) per process', flush=True)
        started: dict[str, float] = {}

        def start(key: str, slot: int) -> subprocess.Popen:
            environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
            if gpus:
                environment['CUDA_VISIBLE_DEVICES'] = ','.join(visible[slot * gpus:(slot + 1) * gpus])
            command = [sys.executable]
            if gpus > 1:
                command += ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={gpus}']
            command += [*_without_modes(argv), '--only', str(numbers[key])]
            command += ['--launcher', 'pytorch'] if gpus > 1 else []
            folder = self.store.root / key
            folder.mkdir(parents=True, exist_ok=True)
            with open(folder / 'log.txt', 'a') as log:
                return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                        env=environment)

        def report(key: str, state: str) -> None:
            if state == 'started':
                started[key] = time.time()
                print(f'  {key}: started', flush=True)
                return
            finished = sum(self.store.is_done(training) for training in self.trainings)
            took = f' after {(time.time() - started[key]) / 60:.1f} minutes' if key in started else ''
            print(f'  {key}: {state}{took} [{finished}/{len(self.trainings)}]', flush=True)
            self._write_results()

        states = run_processes(todo, start, jobs, report)
        self.report()
        failed = [key for key, state in states.items() if state == FAILED]
        blocked = [key for key, state in states.items() if state == BLOCKED]
        for key in failed:
            print(f'failed: {key}: {_last_line(self.store.root / key / "log.txt")}\n'
                  f'        see {self.store.root / key / "log.txt"}')
        if blocked:
            print(f'not run, because what they start from failed: {", ".join(blocked)}')
        return 0 if all(state == DONE for state in states.values()) else 1

    def report(self) -> None:
        """Write the results of what is finished, and say where they are."""
        print(self._write_results())
        print(f'{self.out_dir}/results.json, results.md, results.png')

    def write_slurm_script(self, path: str, argv: Sequence[str], gpus: int | None = None) -> None:
        """Write a script that submits the trainings; the data are made now.

        Args:
            path (str): File to write.
            argv (Sequence[str]): Command line of the tool.
            gpus (int, optional): GPUs per training. Defaults to None: 1, as clusters have them.
        """
        make_data(self.plan.data)
        logs = self.out_dir / 'slurm'
        logs.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, '-u', *_without_modes(argv)]
        Path(path).write_text(slurm_script(self.plan.title, self.trainings, command, os.getcwd(), str(logs),
                                           1 if gpus is None else gpus))
        print(f'{path}: submits {len(self.trainings)} trainings; start it with "bash {path} [options of sbatch]"')

    def _write_results(self) -> str:
        results = gather(self.plan, self.store)
        text = to_markdown(results)
        self.out_dir.mkdir(parents=True, exist_ok=True)
        atomic_write(self.out_dir / 'results.json', json.dumps(results, indent=2).encode())
        atomic_write(self.out_dir / 'results.md', text.encode())
        plot_results(results, str(self.out_dir / 'results.png'))
        return text

    def _state(self, training: Training) -> str:
        if self.store.is_done(training):
            return f'done ({self.store.cost(training).get("wall_seconds", 0) / 60:.1f} min)'
        if self.store.is_trained(training):
            return 'trained, not tested'
        return 'begun' if self.store.stage(training).holds_results() else ''

    def _forecast(self) -> str:
        """Guess what is left from what trainings of the same stage took."""
        left = 0.
        for training in self.trainings:
            if self.store.is_done(training):
                continue
            known = [self.store.cost(other)['cpu_seconds'] for other in self.trainings
                     if other.stage == training.stage and self.store.is_done(other) and self.store.cost(other)]
            if not known:
                return f'How long: not known before one {training.stage} training is done'
            left += sum(known) / len(known)
        return f'Left: about {left / 60:.0f} CPU minutes, by what trainings of the same stages took'


def _gpus_per_job(gpus: int | None) -> int:
    return int(torch.cuda.is_available()) if gpus is None else gpus


def _visible_gpus() -> list[str]:
    """Names of the GPUs, as CUDA_VISIBLE_DEVICES takes them."""
    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    if named and torch.cuda.is_available():
        return named.split(',')
    return [str(i) for i in range(torch.cuda.device_count())]


def _without_modes(argv: Sequence[str]) -> list[str]:
    """The command line without the options that say how trainings are run."""
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
    lines = [line.strip() for line in path.read_text(errors='replace').splitlines() if line.strip()]
    return lines[-1] if lines else 'printed nothing'
