# Copyright (c) The mmvc contributors. All rights reserved.
"""Measure how the waiting of threads acts on a training step, on inference and on metrics, idle and beside other work.

    python benchmarks/busy_machine.py            # about twelve minutes on an idle machine
    python benchmarks/busy_machine.py --quick    # about a minute: shows that it runs, the numbers are rough
    python benchmarks/busy_machine.py --settings mmvc fixed --turns 10    # more turns of some settings
    python benchmarks/busy_machine.py --cpu-time --busy 0    # what spinning costs, on a machine that others use

Threads of OpenMP spin before they sleep. Each row is a way to wait, set by variables of the environment:

  default      as PyTorch comes: 300,000 rounds of GNU's runtime
  mmvc         what mmvc does: a short spin, and fewer threads while others use the cores
  fixed        the short spin alone, which `import mmvc` sets, see mmvc/utils/threads.py
  spin N       GOMP_SPINCOUNT=N
  passive      OMP_WAIT_POLICY=passive: sleep at once
  one thread   OMP_NUM_THREADS=1
  bound        as fixed, each thread on a core of its own: OMP_PROC_BIND=true OMP_PLACES=cores

The work: a training step of the segmenter of configs/dvispp/dvispp_r18_synthetic.py (forward, losses, gradients,
optimizer), inference of a clip of four frames by its online model, and mIoU and video consistency of a video. Weights
and frames are generated. "+ N" means that N processes compute besides, each as much as it can.

Every row has a process of its own, and the processes take turns, so that changes of the machine concern them alike.
A process repeats the work for the seconds of a turn (--seconds). A cell is the median over the turns of the mean wall
milliseconds; in brackets, the median ratio to the reference of the same turn: "default" on the idle machine, "one
thread" beside other work. Do not run anything else at the same time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prettytable import PrettyTable

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mmvc.utils.children import start_child  # noqa: E402
from mmvc.utils.progress import ProgressBars  # noqa: E402

VARIABLES = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS',
             'OMP_PROC_BIND', 'OMP_PLACES')
SETTINGS = {
    'default': {},
    'mmvc': {},
    'fixed': {},
    'spin 1': dict(GOMP_SPINCOUNT='1'),
    'spin 10000': dict(GOMP_SPINCOUNT='10000'),
    'spin 50000': dict(GOMP_SPINCOUNT='50000'),
    'passive': dict(OMP_WAIT_POLICY='passive'),
    'one thread': dict(OMP_NUM_THREADS='1'),
    'bound': dict(OMP_PROC_BIND='true', OMP_PLACES='cores'),
}
#: settings whose process imports mmvc before torch, and so gets what mmvc sets
MMVC_FIRST = ('mmvc', 'fixed', 'bound')
#: settings whose process adapts the number of its threads
ADAPTIVE = ('mmvc', )
TASKS = ('training', 'inference', 'metrics')
# what a worker runs: it does a task for each line of its standard input, and prints the seconds
WORKER = 'import {}, sys; sys.path.insert(0, {!r}); from benchmarks.busy_machine import work; work({!r}, {!r}, {!r})'
BUSY = 'while True: pass'


def training_step() -> Callable[[], None]:
    """Make a function that does a training step."""
    from benchmarks.training import build_row, random_clips
    from mmvc.engine import load_config
    cfg = load_config(str(ROOT / 'configs/dvispp/dvispp_r18_synthetic.py'), stage='segmenter')
    row = build_row('DVIS++', cfg, 'cpu')
    clips = random_clips(cfg, (128, 192), cfg.train_dataloader.batch_size, 2)
    return lambda: row.step(clips, 0)


def inference() -> Callable[[], None]:
    """Make a function that segments a clip of four frames."""
    from benchmarks.inference import build_model, generated_frames, windows_of
    size = 128, 192
    model = build_model(str(ROOT / 'configs/dvispp/dvispp_r18_synthetic.py'), 'online', None, 'cpu', {})
    model.optimize_for_inference()
    frames = list(generated_frames(4, *size))

    def segment() -> None:
        for _ in model.stream(windows_of(iter(frames), 1), size):
            pass

    return segment


def metrics() -> Callable[[], None]:
    """Make a function that scores a video of sixteen frames."""
    import numpy as np

    from mmvc.evaluation.functional import VSSCounter
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(124, size=(24, 27)), np.ones((20, 32))).astype(np.uint8)
    frames = [np.roll(labels, 4 * t, axis=1) for t in range(16)]

    def score() -> None:
        counter = VSSCounter(124, 0)
        for frame in frames:
            counter.update(frame, np.roll(frame, 3, axis=0))

    return score


def work(tasks: Sequence[str], seconds: float, adaptive: bool) -> None:
    """Prepare tasks; repeat one for each line of the standard input, and print the mean wall and CPU seconds.

    Args:
        tasks (Sequence[str]): Some of ``TASKS``.
        seconds (float): Wall seconds of a turn; a task is done at least once.
        adaptive (bool): Whether to adapt the number of threads, as training and inference do.
    """
    import torch
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope
    MMLogger.get_instance('mmengine', log_level='ERROR')
    init_default_scope('mmvc')
    torch.manual_seed(0)
    prepare = dict(training=training_step, inference=inference, metrics=metrics)
    functions = {task: prepare[task]() for task in tasks}
    if adaptive:
        from mmvc.utils.adaptive_threads import adapt_threads
    for function in functions.values():
        function()
    print(json.dumps(dict(threads=torch.get_num_threads())), flush=True)
    for line in sys.stdin:
        function, count = functions[line.strip()], 0
        wall, cpu = time.perf_counter(), time.process_time()
        while not count or time.perf_counter() - wall < seconds:
            function()
            count += 1
            if adaptive:
                adapt_threads()
        print(json.dumps(((time.perf_counter() - wall) / count, (time.process_time() - cpu) / count)), flush=True)


class Worker:
    """A process with a way to wait.

    Args:
        name (str): Key of ``SETTINGS``.
        tasks (Sequence[str]): What it can do, some of ``TASKS``.
        seconds (float): Wall seconds of a turn.
    """

    def __init__(self, name: str, tasks: Sequence[str], seconds: float) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
        first = 'mmvc' if name in MMVC_FIRST else 'torch'  # mmvc changes nothing once torch is imported
        environment.update(SETTINGS[name], PYTHONPATH=f'{ROOT}:{os.environ.get("PYTHONPATH", "")}')
        code = WORKER.format(first, str(ROOT), tasks, seconds, name in ADAPTIVE)
        self.process = start_child([sys.executable, '-W', 'ignore', '-c', code], environment, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)

    def wait(self) -> int:
        """Wait until the worker is ready; return its number of threads."""
        return self._answer()['threads']

    def _answer(self) -> Any:
        for line in self.process.stdout:
            try:
                return json.loads(line)
            except ValueError:  # a message of a library
                continue
        raise SystemExit('a process of the benchmark ended, see its message above')

    def time(self, task: str) -> tuple[float, float]:
        """Repeat a task for a turn; return the mean wall and CPU seconds."""
        self.process.stdin.write(f'{task}\n')
        self.process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Let processes compute besides."""
    processes = [start_child([sys.executable, '-c', BUSY]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure(workers: dict[str, Worker], task: str, turns: int, cpu_time: bool) -> dict[str, list[float]]:
    """Let the workers do a task in turns; return the mean wall or CPU seconds of each turn."""
    times: dict[str, list[float]] = {name: [] for name in workers}
    for turn in range(turns):
        for name in workers if turn % 2 else reversed(workers):
            times[name].append(workers[name].time(task)[cpu_time])
    return times


def cell(times: dict[str, list[float]], name: str, reference: str) -> str:
    """Median milliseconds, and the median ratio to the reference in the same turn."""
    ratio = statistics.median(own / other for own, other in zip(times[name], times[reference]))
    return f'{1000 * statistics.median(times[name]):.0f} ({ratio:.2f})'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--busy', nargs='+', type=int, default=[0, 1, 2], metavar='N',
                        help='numbers of competing processes (default: 0 1 2)')
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=list(TASKS), help='default: all')
    parser.add_argument('--settings', nargs='+', choices=list(SETTINGS),
                        help='ways to wait, besides default and one thread (default: all)')
    parser.add_argument('--turns', type=int, default=3, help='turns of each process (default: 3)')
    parser.add_argument('--seconds', type=float, default=3, help='of a turn (default: 3)')
    parser.add_argument('--quick', action='store_true',
                        help='one turn of a second, with --settings mmvc passive --busy 0 1')
    parser.add_argument('--cpu-time', action='store_true', help='CPU seconds instead of wall seconds')
    args = parser.parse_args()
    settings = args.settings or list(SETTINGS)
    if args.quick:
        args.seconds, args.turns, args.busy, settings = 1, 1, [0, 1], args.settings or ['mmvc', 'passive']
    names = [name for name in SETTINGS if name in {*settings, 'default', 'one thread'}]
    before = os.getloadavg()[0]
    workers = {name: Worker(name, args.tasks, args.seconds) for name in names}
    columns: dict[str, list[str]] = {}
    try:
        with ProgressBars('columns') as progress:
            threads = [worker.wait() for worker in progress.track(workers.values(), len(workers), 'start processes')]
            combinations = [(number, task) for number in args.busy for task in args.tasks]
            for number, task in progress.track(combinations, len(combinations), 'measure'):
                with busy_processes(number):
                    times = measure(workers, task, args.turns, args.cpu_time)
                columns[f'{task}{f" + {number}" if number else ", idle"}'] = [
                    cell(times, name, 'one thread' if number else 'default') for name in names]
    finally:
        for worker in workers.values():
            worker.end()
    table = PrettyTable(['threads wait', 'threads', *columns], align='r')
    table.align['threads wait'] = 'l'
    for index, name in enumerate(names):
        table.add_row([name, threads[index], *(column[index] for column in columns.values())])
    print(f'{len(os.sched_getaffinity(0))} core(s); load of the machine before: {before:.1f}, '
          f'after: {os.getloadavg()[0]:.1f}')
    print(table)


if __name__ == '__main__':
    main()
