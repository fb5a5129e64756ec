# Copyright (c) The mmvc contributors. All rights reserved.
"""Kill trainings with SIGKILL, resume them, and count how many end with the weights of an uninterrupted training.

    python benchmarks/kill_resume.py [--runs 20] [--kills 3] [--seed 0] [--folder FOLDER]

A run trains the three stages of configs/mvc/dvispp_r18_synthetic.py for a few iterations each, on tiny synthetic
videos that it generates first. The training has random masks, query noise, OMA, class memory, guided assignments and
averaged weights, and keeps the best checkpoint. It is killed several times: during a step, a validation or the writing
of a file, around a change of stages, or at any time. Then it runs to the end.

A run is identical if the last checkpoint of every stage equals that of a reference training bit for bit: weights,
averaged weights, optimizer, schedules and RNG states. The reference is never killed and has no data workers (the
killed trainings have two).

The second row of the table is mmengine's own resume on the first stage: its loop and checkpoint hook, `resume=True`.
It is killed in the same ways, except for the change of stages. A run is broken if it cannot be resumed because its
checkpoint is truncated.
"""

import argparse
import os
import random
import signal
import stat
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.fileio.backends import LocalBackend
from mmengine.runner import IterBasedTrainLoop, ValLoop
from prettytable import PrettyTable

from mmvc.datasets.synthetic import SyntheticVideoConfig, make_synthetic_dataset
from mmvc.engine import Stage, build_runner, load_config, load_stages, run_stages

CONFIG = Path(__file__).resolve().parents[1] / 'configs/mvc/dvispp_r18_synthetic.py'
STAGES = ('segmenter', 'online', 'offline')
MAX_ITERS = 5
WAYS = ('step', 'validation', 'write', 'stage change', 'any time')
COMPARED = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers', 'random_state')
OPTIONS = {
    'train_cfg.max_iters': MAX_ITERS,
    'train_cfg.val_interval': 3,
    'train_dataloader.batch_size': 1,
    'train_dataloader.persistent_workers': False,
    'val_dataloader.num_workers': 0,
    'default_hooks.checkpoint.interval': 2,
    'default_hooks.checkpoint.save_best': 'vss/mIoU',
    'custom_hooks': [dict(type='EMAHook', momentum=0.1)],
}
_EMBED = dict(embed_dims=32)
_FFN = dict(embed_dims=32, feedforward_channels=32)
_POINTS = dict(criterion=dict(num_points=64), matcher=dict(num_points=64))
_SIZES = dict(embed_dims=64, mask_channels=32, num_layers=2, feedforward_channels=64, **_POINTS)
PARTS = dict(
    backbone=dict(base_channels=8),
    head=dict(
        in_channels=[8, 16, 32, 64],
        feat_channels=32,
        out_channels=32,
        num_queries=12,
        pixel_decoder=dict(
            encoder=dict(layer_cfg=dict(self_attn_cfg=_EMBED, ffn_cfg=_FFN)), positional_encoding=dict(num_feats=16)),
        positional_encoding=dict(num_feats=16),
        transformer_decoder=dict(
            num_layers=2, layer_cfg=dict(self_attn_cfg=_EMBED, cross_attn_cfg=_EMBED, ffn_cfg=_FFN)),
        **_POINTS),
    # the small configs train without this noise, this loss and its memory
    tracker=dict(_SIZES, noise=dict(mode='wa', prob=0.5)),
    refiner=dict(_SIZES, reid_loss=dict(_delete_=True, type='TemporalContrastiveLoss')))
MMENGINE = {
    'train_cfg.type': 'mmengine.IterBasedTrainLoop',
    'default_hooks.checkpoint.type': 'mmengine.CheckpointHook',
}


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(owner: Any, method: str, count: int, delay: float) -> None:
    """Kill this process ``delay`` seconds after the ``count``-th call of a method begins."""
    original, calls = getattr(owner, method), [0]

    def counted(*args, **kwargs):
        calls[0] += 1
        if calls[0] == count:
            threading.Timer(delay, kill).start()
        return original(*args, **kwargs)

    setattr(owner, method, counted)


def kill_in_write(count: int) -> None:
    """Kill this process when half of the ``count``-th file is written, by mmvc or by mmengine."""
    calls, fsync, put = [0], os.fsync, LocalBackend.put

    def is_the_one() -> bool:
        calls[0] += 1
        return calls[0] == count

    def sync_half(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and is_the_one():
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            kill()
        fsync(descriptor)

    def put_half(backend: LocalBackend, content: bytes, path: str) -> None:
        if is_the_one():
            Path(path).write_bytes(content[:len(content) // 2])
            kill()
        put(backend, content, path)

    os.fsync, LocalBackend.put = sync_half, put_half


def arm(way: str, chance: random.Random, duration: float) -> None:
    """Prepare to kill this process in the given way."""
    if way == 'step':
        kill_at(IterBasedTrainLoop, 'run_iter', chance.randint(1, 2 * MAX_ITERS), chance.uniform(0, 0.3))
    elif way == 'validation':
        kill_at(ValLoop, 'run_iter', chance.randint(1, 4), chance.uniform(0, 0.1))
    elif way == 'write':
        kill_in_write(chance.randint(1, 8))
    elif way == 'stage change':
        kill_at(Stage, 'mark_finished', chance.randint(1, 2), chance.choice([0, chance.uniform(0, 1)]))
    else:
        threading.Timer(chance.uniform(0, duration), kill).start()


def in_child(function: Callable[[], None], log: Path) -> int | None:
    """Run a function in a fork, so that imports are paid once.

    Returns:
        int | None: 0 if it returned, 1 if it failed, None if it was killed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with open(log, 'a') as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    return None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def load_tiny(stage: str, data_root: Path, options: dict = {}) -> Config:
    """Load the config of a stage with a tiny model and a short training."""
    cfg = load_config(str(CONFIG), {**OPTIONS, **options, 'data_root': str(data_root)}, stage=stage)
    for part, sizes in deepcopy(PARTS).items():  # mmengine takes `_delete_` out of what it merges
        if part in cfg.model:
            cfg.merge_from_dict({f'model.{part}': sizes})
    return cfg


def train(work_dir: Path, data_root: Path, num_workers: int, by_mmengine: bool) -> None:
    """Begin a training or go on with it."""

    def load(stage: str, more: dict = {}) -> Config:
        return load_tiny(stage, data_root, {**more, 'train_dataloader.num_workers': num_workers})

    if by_mmengine:
        cfg = load(STAGES[0], MMENGINE)
        del cfg.default_hooks.random_state
        cfg.work_dir, cfg.resume = str(work_dir / STAGES[0]), True
        build_runner(cfg).train()
        return

    run_stages(load_stages(STAGES, str(work_dir), load), resume=True)


def same(one: Any, other: Any) -> bool:
    """Whether two nested structures of tensors and numbers are equal."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def final_state(work_dir: Path, stage: str) -> dict:
    checkpoint = torch.load(work_dir / stage / f'iter_{MAX_ITERS}.pth', weights_only=False)
    return {key: checkpoint[key] for key in COMPARED if key in checkpoint}


class Row:
    """Runs of one method, and the counts of their results."""

    def __init__(self, name: str, folder: Path, data_root: Path, by_mmengine: bool) -> None:
        self.name, self.folder, self.data_root, self.by_mmengine = name, folder, data_root, by_mmengine
        self.stages = STAGES[:1] if by_mmengine else STAGES
        self.ways = [way for way in WAYS if not (by_mmengine and way == 'stage change')]
        self.kills: Counter = Counter()
        self.identical = self.broken = self.runs = 0

    def reference(self) -> None:
        """Train without a kill."""
        start = time.perf_counter()
        work_dir = self.folder / 'whole'
        if in_child(lambda: train(work_dir, self.data_root, 0, self.by_mmengine), work_dir / 'out.txt') != 0:
            sys.exit(f'the training without kills failed: see {work_dir}/out.txt')
        self.duration = time.perf_counter() - start
        self.expected = {stage: final_state(work_dir, stage) for stage in self.stages}

    def run(self, seed: int, num_kills: int) -> str:
        """Train with kills; return 'identical', 'different' or 'broken'."""
        chance = random.Random(seed)
        work_dir = self.folder / f'run_{seed}'
        self.runs += 1
        for way in [*chance.choices(self.ways, k=num_kills), None]:
            moment = chance.random()

            def attempt(way: str | None = way, moment: float = moment) -> None:
                if way is not None:
                    arm(way, random.Random(moment), self.duration)
                train(work_dir, self.data_root, 2, self.by_mmengine)

            status = in_child(attempt, work_dir / 'out.txt')
            if status is None:
                self.kills[way] += 1
            elif status != 0:
                self.broken += 1
                return 'broken'
        if all(same(final_state(work_dir, stage), self.expected[stage]) for stage in self.stages):
            self.identical += 1
            return 'identical'
        return 'different'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, default=20, help='trainings of each method; default: 20')
    parser.add_argument('--kills', type=int, default=3, help='largest number of kills per training; default: 3')
    parser.add_argument('--seed', type=int, default=0, help='seed of the times of the kills; default: 0')
    parser.add_argument('--folder', type=Path, help='keep all files in this folder; default: a temporary one')
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        make_synthetic_dataset(folder / 'data', SyntheticVideoConfig(size=(64, 96), num_frames=8), num_train=3,
                               num_val=1)
        table = PrettyTable(['resumed by', 'runs', 'kills', *WAYS, 'broken', 'different', 'identical'])
        for name, by_mmengine in (('mmvc, three stages', False), ('mmengine, stage 1', True)):
            row = Row(name, folder / name.split(',')[0], folder / 'data/vspw', by_mmengine)
            row.reference()
            print(f'{name}: trained without kills in {row.duration:.0f} s', file=sys.stderr)
            for seed in range(args.seed, args.seed + args.runs):
                before = row.kills.total()
                print(f'  run {seed}: {row.run(seed, args.kills)}', f'after {row.kills.total() - before} kills',
                      file=sys.stderr)
            different = row.runs - row.broken - row.identical
            table.add_row([name, row.runs, row.kills.total(), *(row.kills[way] for way in WAYS), row.broken, different,
                           row.identical])
    print(table)


if __name__ == '__main__':
    main()
