# Copyright (c) The mmvc contributors. All rights reserved.
"""Measure how long commands take to print their help or an error, beside what the imports take.

    python benchmarks/startup.py
    python benchmarks/startup.py --repeats 15 --seconds 900

The baselines are `python -c pass`, an import of torch, and an import of the inferencer, which needs everything. Rows
take turns. The columns are the median wall and CPU seconds of a process. The goal is 0.5 s on an idle core.
On an idle machine it takes about a minute. On a busy one it does fewer turns, at least one (--seconds).
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from prettytable import PrettyTable

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.turns import turns  # noqa: E402
from mmvc.commands.dispatch import COMMANDS  # noqa: E402
from mmvc.utils.progress import ProgressBars  # noqa: E402

BASELINES = ('-c pass', '-c import\ttorch', '-c from\tmmvc.apis\timport\tVideoSegInferencer')


def command_lines() -> list[str]:
    """Arguments of Python for each row; a tabulator stands for a blank that does not separate arguments."""
    tools = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob('tools/**/*.py'))
    return [*BASELINES, '-c import\tmmvc', '-m mmvc --version', '-m mmvc trian',
            *(f'-m mmvc {name} --help' for name in COMMANDS), *(f'{tool} --help' for tool in tools)]


def seconds_of(line: str) -> tuple[float, float]:
    """Run a command line; return its wall and CPU seconds."""
    words = [word.replace('\t', ' ') for word in line.split(' ')]
    environment = dict(os.environ, PYTHONPATH=f'{ROOT}:{os.environ.get("PYTHONPATH", "")}')
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, '-W', 'ignore', *words], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--repeats', type=int, default=5, help='turns (default: 5)')
    parser.add_argument('--seconds', type=float, default=120, help='for all turns (default: 120)')
    parser.add_argument('--only', metavar='TEXT', default='', help='only the rows that contain it, and the baselines')
    args = parser.parse_args()
    lines = [line for line in command_lines() if line in BASELINES or args.only in line]
    seconds: dict[str, list[tuple[float, float]]] = {line: [] for line in lines}
    with ProgressBars('processes') as progress:
        for turn in turns(args.repeats, args.seconds):
            for line in progress.track(lines, len(lines), f'turn {turn + 1} of {args.repeats}'):
                seconds[line].append(seconds_of(line))
    table = PrettyTable(['python', 'wall s', 'CPU s'], align='r')
    table.align['python'] = 'l'
    for line, results in seconds.items():
        table.add_row([line.replace('\t', ' '), *(f'{statistics.median(column):.2f}' for column in zip(*results))])
    print(table)
    print(f'median of {len(seconds[BASELINES[0]])} turn(s)')


if __name__ == '__main__':
    main()
