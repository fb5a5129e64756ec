# Copyright (c) The mmvc contributors. All rights reserved.
"""The command ``python -m benchmarks.gpu_check``; ``benchmarks/gpu_check.sh`` prepares an environment for it."""

import argparse
import datetime
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from .recorder import Settings
from .report import write_report
from .runner import ROOT, Runner
from .table import BY_NAME, CHECKS, Check

DESCRIPTION = """Check what only a GPU can show, and measure speed and memory on it, in under ten minutes.

Each check runs in a process of its own with a time limit. A failure is recorded, and the next check is run. The report
says what was found, on which device and versions, and what was skipped and why."""
EXAMPLES = """examples:
  all checks, with the packages of a folder of wheels (or those that are installed):
    WHEELS=wheels bash benchmarks/gpu_check.sh
  some of them, and what there is:
    bash benchmarks/gpu_check.sh --only amp resume 'inference-*'
    bash benchmarks/gpu_check.sh --list
  go on where a run has stopped, with more time:
    bash benchmarks/gpu_check.sh --resume --budget 1800
  try the checks themselves on a computer without a GPU:
    bash benchmarks/gpu_check.sh --device cpu --size toy

files in the folder of --out: report.md, report.json, checks/NAME.jsonl (findings), logs/NAME.log (all output).
exit status: 0 if no check has failed, 1 if one has, or has run out of time, 2 for a wrong argument."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='benchmarks/gpu_check.sh', description=DESCRIPTION, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='+', metavar='CHECK',
                        help='run only these checks, and "environment"; * stands for any letters')
    parser.add_argument('--list', action='store_true', help='list the checks, and run none')
    parser.add_argument('--budget', type=float, default=600, metavar='SECONDS',
                        help='time for all checks; those that do not fit are skipped (default: 600)')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda',
                        help='on cpu, what needs CUDA is skipped (default: cuda)')
    parser.add_argument('--size', choices=('full', 'toy'), default='full',
                        help='toy: tiny models and frames, whose figures mean nothing (default: full)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/gpu_check'), metavar='DIR',
                        help='folder of the report (default: work_dirs/gpu_check)')
    parser.add_argument('--resume', action='store_true',
                        help='keep the checks that have passed in --out, with the same code, device and size')
    args = parser.parse_args(argv)
    if not args.budget > 0:
        parser.error(f'--budget must be more than 0 seconds, got {args.budget:g}')
    try:
        args.checks = select(args.only)
    except ValueError as error:
        parser.error(str(error))
    return args


def select(patterns: Sequence[str] | None) -> list[Check]:
    """Checks whose name matches one of the patterns, in their own order; all without patterns.

    The first one, ``environment``, is always among them, because a report without device and versions says nothing.

    Raises:
        ValueError: A pattern matches no check.
    """
    for pattern in patterns or ():
        if not any(fnmatchcase(name, pattern) for name in BY_NAME):
            raise ValueError(f'--only {pattern}: there is no such check; --list shows them')
    return [check for check in CHECKS
            if patterns is None or check is CHECKS[0] or any(fnmatchcase(check.name, pattern) for pattern in patterns)]


def find_commit() -> str:
    """The commit of this tree, with a mark if files have been changed; 'unknown' without git."""
    try:
        commit = subprocess.run(['git', 'rev-parse', 'HEAD'], cwd=ROOT, capture_output=True, text=True, check=True)
        changed = subprocess.run(['git', 'status', '--porcelain', '--untracked-files=no'], cwd=ROOT,
                                 capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
    return commit.stdout.strip() + (' with changes' if changed.stdout.strip() else '')


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.list:
        for check in args.checks:
            print(f'{check.name:24} {check.title} (at most {check.limit} s)')
        return 0
    settings = Settings(args.device, args.size)
    facts = dict(
        date=datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
        commit=find_commit(),
        command=shlex.join(['benchmarks/gpu_check.sh', *(sys.argv[1:] if argv is None else argv)]))
    runner = Runner(args.out, settings, facts['commit'], args.budget, say=lambda line: print(line, flush=True))
    start = time.monotonic()

    def report() -> None:
        facts['seconds'] = f'{time.monotonic() - start:.0f}'
        write_report(args.out, args.checks, settings, facts)

    try:
        good = runner.run(args.checks, args.resume, report)
    except KeyboardInterrupt:
        report()
        print(f'interrupted: {args.out / "report.md"} has what was found; --resume goes on', file=sys.stderr)
        return 130
    report()
    print(f'{"no check has failed" if good else "some checks have failed"}: see {args.out / "report.md"}')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
