# Copyright (c) The mmvc contributors. All rights reserved.
"""Trains stages in child processes that are killed with SIGKILL again and again, until one of them comes to its end.

Usage: python -m tests.helpers.kill_driver CONFIG WORK_DIR SEED. Prints the number of kills.
"""

import logging
import os
import random
import signal
import sys

import torch

from mmvc.engine import run_stages
from tests.helpers.tiny_stages import KILLER, kill_inside_writes, load_tiny_stages


def train(config: str, work_dir: str, moment: int) -> None:
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    kill_inside_writes()
    KILLER.left = moment
    run_stages(load_tiny_stages(config, work_dir), resume=True)


def main() -> None:
    config, work_dir, seed = sys.argv[1:]
    moments = random.Random(int(seed))
    for kills in range(100):
        child = os.fork()  # the imports are paid once
        if child == 0:
            train(config, work_dir, moments.randrange(20, 90))
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if status == 0:
            print(kills)
            return
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            sys.exit(f'a child failed by itself: {status}')
    sys.exit('never finished')


if __name__ == '__main__':
    main()
