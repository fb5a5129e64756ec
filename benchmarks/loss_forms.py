# Copyright (c) The mmvc contributors. All rights reserved.
"""Measure time and memory of a training step for each form of the loss of Masked Video Consistency.

    python benchmarks/loss_forms.py [CONFIG] [--size 128 192] [--frames 2] [--clips 1] [--steps 3] [--device cuda]

- clean: no masking
- switch: a clip is clean or masked; one pass
- sum, one graph: both passes, then one backward (as in mmengine's own training step)
- sum, two passes: a backward after each pass

Prints seconds of a step (wall and CPU), the peak of bytes that the graphs keep for backward, on a GPU the peak of
allocated memory, and the largest difference of a gradient between the two ways to compute the sum.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from copy import deepcopy

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from torch import Tensor

from mmvc.engine import load_config
from mmvc.registry import MODELS
from mmvc.utils import keep_freed_memory


def make_batch(masking: dict, args: argparse.Namespace) -> dict[str, list]:
    """Make random clips with six moving regions each."""
    rng = np.random.default_rng(0)
    height, width = args.size
    steps = [] if masking is None else [dict(patch_size=32, mask_ratio=0.7, **masking)]
    finish = Compose([*steps, dict(type='PackVideoSegInputs')])
    clips = []
    for _ in range(args.clips):
        regions = rng.integers(0, 6, (height // 16 + 1, width // 16 + 1)).repeat(16, 0).repeat(16, 1)[:height, :width]
        clips.append(finish(dict(
            img=[rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(args.frames)],
            gt_seg_map=[np.roll(regions, 4 * t, axis=1).astype(np.uint8) for t in range(args.frames)],
            ori_shape=[(height, width)] * args.frames,
            img_shape=[(height, width)] * args.frames,
            video_length=[args.frames] * args.frames)))
    return {key: [clip[key] for clip in clips] for key in clips[0]}


class Kept:
    """Counts the bytes of the tensors that are saved for backward. A tensor that is saved twice counts once."""

    def __init__(self) -> None:
        self.now = self.peak = 0
        self._users: dict[tuple[int, int], int] = {}

    def pack(self, tensor: Tensor) -> 'Saved':
        return Saved(tensor, self)

    def add(self, tensor: Tensor, sign: int) -> None:
        storage = tensor.untyped_storage()
        key = storage.data_ptr(), storage.nbytes()
        users = self._users.get(key, 0)
        self._users[key] = users + sign
        if (users, sign) in ((0, 1), (1, -1)):
            self.now += sign * storage.nbytes()
            self.peak = max(self.peak, self.now)


class Saved:
    """A saved tensor. It counts until its graph is freed."""

    def __init__(self, tensor: Tensor, kept: Kept) -> None:
        self.tensor, self.kept = tensor, kept
        kept.add(tensor, 1)

    def __del__(self) -> None:
        self.kept.add(self.tensor, -1)


def one_graph(model: BaseModel, batch: dict, optim_wrapper: OptimWrapper) -> None:
    """Run the training step of mmengine's models."""
    BaseModel.train_step(model, batch, optim_wrapper)


def own_step(model: BaseModel, batch: dict, optim_wrapper: OptimWrapper) -> None:
    """Run the training step of the segmentors."""
    model.train_step(batch, optim_wrapper)


def measure(model: BaseModel, step: Callable, batch: dict, args: argparse.Namespace) -> Iterator[float]:
    """Yield wall and CPU seconds of the fastest step, MiB kept for backward and, on a GPU, MiB allocated."""
    on_gpu = args.device != 'cpu'
    optim_wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0))

    def run() -> None:
        torch.manual_seed(0)
        step(model, deepcopy(batch), optim_wrapper)
        if on_gpu:
            torch.cuda.synchronize()

    run()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(args.steps):
        start = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    yield from map(min, zip(*times))
    allocated = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else float('nan')
    kept = Kept()
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda saved: saved.tensor):
        run()
    yield kept.peak / 2**20
    yield allocated


def gradients(model: BaseModel, step: Callable, batch: dict) -> dict[str, Tensor]:
    model = deepcopy(model)
    model.zero_grad()
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0), accumulative_counts=2)
    optim_wrapper.initialize_count_status(model, 0, 2)  # no update, so that the gradients stay
    torch.manual_seed(0)
    step(model, deepcopy(batch), optim_wrapper)
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', default='configs/mvc/dvispp_r18_camvid.py')
    parser.add_argument('--stage', default='segmenter')
    parser.add_argument('--size', nargs=2, type=int, default=(128, 192), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--frames', type=int, default=2)
    parser.add_argument('--clips', type=int, default=1)
    parser.add_argument('--steps', type=int, default=3)
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    init_default_scope('mmvc')
    keep_freed_memory()
    torch.manual_seed(0)
    np.random.seed(0)
    config = load_config(args.config, stage=args.stage)
    config.model.backbone.pop('init_cfg', None)  # no download
    model = MODELS.build(config.model).to(args.device).train()
    samples = make_batch(dict(type='RandomPatchMask', mode='sum'), args)
    forms = {
        'clean': (own_step, make_batch(None, args)),
        'switch': (own_step, make_batch(dict(type='RandomPatchMask', prob=1.0), args)),
        'sum, one graph': (one_graph, samples),
        'sum, two passes': (own_step, samples),
    }
    print(f'{args.config}, {args.clips} x {args.frames} frames of {args.size[0]}x{args.size[1]}, {args.device}, '
          f'{torch.get_num_threads()} thread(s)')
    print(f'{"":16} {"wall s":>8} {"CPU s":>8} {"graph MiB":>10} {"allocated MiB":>14}')
    for name, (step, batch) in forms.items():
        wall, cpu, kept, allocated = measure(model, step, batch, args)
        print(f'{name:16} {wall:8.3f} {cpu:8.3f} {kept:10.1f} {allocated:14.1f}', flush=True)
    expected, actual = (gradients(model, step, samples) for step in (one_graph, own_step))
    largest = max(gradient.abs().max().item() for gradient in expected.values())
    difference = max((actual[name] - gradient).abs().max().item() for name, gradient in expected.items())
    print(f'gradients of the sum: largest {largest:.3g}, largest difference {difference:.3g}')


if __name__ == '__main__':
    main()
