# Copyright (c) The mmvc contributors. All rights reserved.
"""The process of one check: ``python -m benchmarks.gpu_check.child NAME FILE SECONDS SETTINGS``."""

import importlib
import json
import sys
from pathlib import Path

from .recorder import Recorder, Settings
from .table import BY_NAME, Check


def run_check(check: Check, recorder: Recorder, settings: Settings) -> None:
    """Run a check in this process; an error in it is recorded."""

    def run() -> None:
        module = importlib.import_module(f'benchmarks.gpu_check.checks.{check.module}')
        module.run(recorder, settings, **check.arguments)

    recorder.attempt(check.name, run)


def main(name: str, path: str, seconds: str, settings: str) -> None:
    recorder = Recorder(Path(path), float(seconds))
    run_check(BY_NAME[name], recorder, Settings(**json.loads(settings)))


if __name__ == '__main__':
    main(*sys.argv[1:])
