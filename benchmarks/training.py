# Copyright (c) The mmvc contributors. All rights reserved.
"""Measure time and peak memory of a training step of every stage: DVIS++, the method, and what saves memory.

    python benchmarks/training.py                                     # ResNet-18 of half width, on the CPU
    python benchmarks/training.py --savings                           # rows for AMP, recomputation, cached features
    python benchmarks/training.py --model r50_vspw --size 480 864 --device cuda --savings

The baseline is configs/dvispp/dvispp_<MODEL>.py, the method configs/mvc/dvispp_<MODEL>.py, each stage of them: patch
masking ("switch" mode) in the stages segmenter and online, object masked attention in the stage offline. Clips are
random and have as many frames as the config samples. Weights are random and do not change, because the learning rate
is 0. A step consists of masking, packing and moving a batch, the losses, the gradients and the optimizer.

All rows of a stage are measured in turns in one process, so that other work on the machine slows them down equally.
Columns: median wall and CPU milliseconds of a step. "time" is the ratio to the baseline step of the same turn (CPU
seconds on a CPU, wall seconds on a GPU): the median, and in brackets the quartiles. "peak MB" is the largest memory of
all tensors during a step, with parameters and optimizer. It is exact and not the size of the process.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from prettytable import PrettyTable
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.peak_memory import bytes_of_state, peak_growth  # noqa: E402
from mmvc.engine import load_config  # noqa: E402
from mmvc.engine.hooks import checkpoint_activations  # noqa: E402
from mmvc.registry import MODELS, TRANSFORMS  # noqa: E402

STAGES = ('segmenter', 'online', 'offline')
MASKS = ('RandomPatchMask', 'TubeMask')
MAX_ITERS = 100


@dataclass
class Row:
    """One kind of training: a model, its optimizer, and the transforms at the end of its pipeline."""

    name: str
    model: nn.Module
    optimizer: OptimWrapper
    transforms: list[Callable]

    def step(self, clips: list[dict], iteration: int) -> dict[str, Tensor]:
        """Train on a batch; returns its losses."""
        hub = MessageHub.get_current_instance()
        hub.update_info('iter', iteration)
        hub.update_info('max_iters', MAX_ITERS)
        samples = []
        for clip in clips:
            results = {key: list(value) for key, value in clip.items()}
            for transform in self.transforms:
                results = transform(results)
            samples.append(results)
        batch = {key: [sample[key] for sample in samples] for key in samples[0]}
        return self.model.train_step(batch, self.optimizer)


def build_row(name: str, cfg: Config, device: str, amp: bool = False, recompute: bool = False,
              cache: str = '') -> Row:
    """Build a model as the runner does, but do not initialise its weights."""
    torch.manual_seed(0)
    model_cfg = cfg.model.copy()
    if cache:
        model_cfg.segmenter_cache = dict(folder=cache, min_free_gb=1)
    model = MODELS.build(model_cfg).to(device).train()
    if recompute:
        checkpoint_activations(model)
        if hasattr(model.backbone, 'with_cp'):
            for module in model.backbone.modules():
                if hasattr(module, 'with_cp'):
                    module.with_cp = True
    optim_cfg = cfg.optim_wrapper.copy()
    optim_cfg.update(type='AmpOptimWrapper', dtype='bfloat16') if amp else optim_cfg.update(type='OptimWrapper')
    optim_cfg.optimizer = dict(optim_cfg.optimizer, lr=0.0, weight_decay=0.0)
    pipeline = cfg.train_dataloader.dataset.pipeline
    transforms = [TRANSFORMS.build(step) for step in pipeline if step.type in MASKS] + [TRANSFORMS.build(pipeline[-1])]
    return Row(name, model, build_optim_wrapper(model, optim_cfg), transforms)


def random_clips(cfg: Config, size: tuple[int, int], num_clips: int, num_frames: int) -> list[dict]:
    """Make loaded clips: frames of noise, with moving blocks of random classes."""
    height, width = size
    generator = np.random.default_rng(0)
    clips = []
    for _ in range(num_clips):
        blocks = generator.integers(cfg.num_classes, size=(3, 4)).astype(np.uint8)
        labels = np.kron(blocks, np.ones((height // 3 + 1, width // 4 + 1), np.uint8))[:height, :width]
        frames = generator.integers(256, size=(num_frames, height, width, 3)).astype(np.uint8)
        clips.append(dict(
            img=list(frames), gt_seg_map=[np.roll(labels, 4 * t, axis=1) for t in range(num_frames)],
            img_shape=[size] * num_frames, ori_shape=[size] * num_frames,
            img_path=[f'{len(clips)}/{t}' for t in range(num_frames)]))
    return clips


def rows_of(stage: str, args: argparse.Namespace, baseline: Config, folder: str) -> list[Row]:
    """Build the rows of a stage, all with the same weights."""
    method = load_config(str(ROOT / f'configs/mvc/dvispp_{args.model}.py'), stage=stage)
    rows = [build_row('DVIS++', baseline, args.device),
            build_row('+ OMA' if stage == 'offline' else '+ MVC', method, args.device)]
    if args.savings:
        if args.device == 'cuda':  # mmengine has AMP only for GPUs
            rows.append(build_row('AMP', baseline, args.device, amp=True))
        rows.append(build_row('recomputation', baseline, args.device, recompute=True))
        if stage != 'segmenter':
            rows.append(build_row('cached segmenter', baseline, args.device, cache=folder))
    for row in rows[1:]:
        row.model.load_state_dict(rows[0].model.state_dict())
    return rows


def timed(row: Row, clips: list[dict], turn: int, device: str) -> tuple[float, float]:
    """Return wall and CPU seconds of a step: guided in even turns, in the second half of the training in odd ones."""
    np.random.seed(turn)
    torch.manual_seed(turn)
    wall, cpu = time.perf_counter(), time.process_time()
    row.step(clips, (turn % 2) * (MAX_ITERS - 1))
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def peak_mb(row: Row, clips: list[dict], device: str) -> float:
    """Return the largest memory of all tensors during a step."""
    static = bytes_of_state(row.model, row.optimizer.optimizer)
    return (static + peak_growth(lambda: timed(row, clips, 0, device), device)) / 2**20


def measure(stage: str, args: argparse.Namespace) -> list[list]:
    """Measure a stage; return its lines of the table."""
    baseline = load_config(str(ROOT / f'configs/dvispp/dvispp_{args.model}.py'), stage=stage)
    loader = baseline.train_dataloader
    num_frames = args.frames or next(step.num_frames for step in loader.dataset.pipeline if 'num_frames' in step)
    clips = random_clips(baseline, tuple(args.size), args.batch_size or loader.batch_size, num_frames)
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(stage, args, baseline, folder)
        seconds: dict[str, list[tuple[float, float]]] = {row.name: [] for row in rows}
        for turn in range(-args.warm_up, args.repeats):
            for row in rows if turn % 2 else reversed(rows):
                result = timed(row, clips, turn + args.warm_up, args.device)
                if turn >= 0:
                    seconds[row.name].append(result)
        column = 0 if args.device == 'cuda' else 1
        lines, peaks = [], [peak_mb(row, clips, args.device) for row in rows]
        for row, peak in zip(rows, peaks):
            wall, cpu = (1000 * statistics.median(result[i] for result in seconds[row.name]) for i in (0, 1))
            ratios = [result[column] / first[column] for result, first in zip(seconds[row.name], seconds['DVIS++'])]
            low, middle, high = (100 * (x - 1) for x in statistics.quantiles(ratios, n=4))
            time_column = '' if row is rows[0] else f'{middle:+.1f} % [{low:+.1f}, {high:+.1f}]'
            memory_column = '' if row is rows[0] else f'{100 * (peak / peaks[0] - 1):+.1f} %'
            lines.append([f'{stage}, {len(clips)} x {num_frames}', row.name, f'{wall:.0f}', f'{cpu:.0f}', time_column,
                          f'{peak:.1f}', memory_column])
    return lines


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default='r18_synthetic', help='middle of the config names (default: r18_synthetic)')
    parser.add_argument('--stages', nargs='+', choices=STAGES, default=list(STAGES))
    parser.add_argument('--size', nargs=2, type=int, default=(128, 192), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--frames', type=int, help="frames of a clip (default: the stage's)")
    parser.add_argument('--batch-size', type=int, help="clips of a batch (default: the stage's)")
    parser.add_argument('--savings', action='store_true', help='add rows for options that save memory or time')
    parser.add_argument('--repeats', type=int, default=20, help='measured turns (default: 20)')
    parser.add_argument('--warm-up', type=int, default=2, help='turns before the measured ones (default: 2)')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    args = parser.parse_args()
    if args.repeats < 2:
        parser.error('--repeats must be at least 2')
    return args


def main() -> None:
    args = parse_args()
    MMLogger.get_instance('mmengine', log_level='ERROR')  # hides one line per parameter
    init_default_scope('mmvc')
    table = PrettyTable(['stage, clips x frames', 'training', 'wall ms', 'CPU ms', 'time', 'peak MB', 'memory'])
    table.align = 'r'
    for stage in args.stages:
        table.add_rows(measure(stage, args))
    print(f'{args.model}, {args.size[0]} x {args.size[1]}, {args.repeats} turns on '
          f'{torch.cuda.get_device_name() if args.device == "cuda" else f"{torch.get_num_threads()} CPU thread(s)"}')
    print(table)


if __name__ == '__main__':
    main()
