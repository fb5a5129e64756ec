# Copyright (c) The mmvc contributors. All rights reserved.
"""Measure time and memory of a training step of an encoder-only model, for clips in chunks and in one graph.

    python benchmarks/chunked_training.py                                # ViT-S, on the CPU
    python benchmarks/chunked_training.py --arch large --size 480 864 --device cuda

- one chunk: clips of as many frames as a chunk
- chunks: clips of --frames frames in chunks, each with a backward of its own (truncated query propagation)
- one graph: the same clips and losses, then one backward, as in mmengine's own training step

Weights and clips are random. "step MiB" is by how much all tensors together grow at most during a step: inputs,
targets, activations, gradients. "all MiB" adds parameters and optimizer states. Both are exact and not the size of the
process. "memory" is the ratio of the step to that of one chunk. The seconds of a step are those of the fastest one.
"""

import argparse
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from prettytable import PrettyTable

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.loss_forms import make_batch  # noqa: E402
from benchmarks.peak_memory import bytes_of_state, peak_growth  # noqa: E402
from mmvc.models import EncoderOnlySegmentor  # noqa: E402
from mmvc.registry import MODELS  # noqa: E402
from mmvc.utils import keep_freed_memory  # noqa: E402

#: levels of the encoder (PMT and LVMT) and joint blocks (VidEoMT)
DECODERS = dict(small=((2, 5, 8, 11), 3), base=((2, 5, 8, 11), 3), large=((5, 11, 17, 23), 4))


def build_model(args: argparse.Namespace) -> EncoderOnlySegmentor:
    """Build LVMT with DINOv3, or VidEoMT with DINOv2 and the GRU of LVMT: one with a frozen, one with a tuned encoder.

    YouTube-VIS's 40 classes and the papers' 200 queries.
    """
    levels, num_joint_blocks = DECODERS[args.arch]
    is_lvmt = args.model == 'lvmt'
    decoder = dict(type='LateralDecoder', levels=levels) if is_lvmt else dict(type='JointBlocks',
                                                                              num_blocks=num_joint_blocks)
    config = dict(
        type='EncoderOnlySegmentor',
        num_classes=40,
        num_queries=200,
        encoder=dict(type='PlainViT', arch=args.arch, position='rope' if is_lvmt else 'absolute'),
        decoder=decoder,
        propagation=dict(type='GRUPropagation'),
        freeze_encoder=is_lvmt,
        chunk_size=args.chunk,
        criterion=dict(type='MaskClassificationLoss'),
        matcher=dict(type='ClipHungarianMatcher'),
        postprocessor=dict(type='VISPostprocessor'),
        data_preprocessor=dict(
            type='VideoSegDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]))
    return MODELS.build(config).to(args.device).train()


def measure(model: EncoderOnlySegmentor, step: Callable, num_frames: int, args: argparse.Namespace) -> list[float]:
    """Return wall and CPU seconds of the fastest step, and MiB of a step without and with weights and optimizer."""
    model = deepcopy(model)
    batch = make_batch(None, argparse.Namespace(size=args.size, clips=args.clips, frames=num_frames))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0)
    optim_wrapper = OptimWrapper(optimizer)

    def run() -> None:
        torch.manual_seed(0)
        step(model, deepcopy(batch), optim_wrapper)
        if args.device == 'cuda':
            torch.cuda.synchronize()

    run()  # makes the optimizer states
    times = []
    for _ in range(args.steps):
        start = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    growth = peak_growth(run, args.device)
    return [*map(min, zip(*times)), growth / 2**20, (growth + bytes_of_state(model, optimizer)) / 2**20]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', choices=('lvmt', 'videomt'), default='lvmt')
    parser.add_argument('--arch', choices=DECODERS, default='small')
    parser.add_argument('--size', nargs=2, type=int, default=(256, 448), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--frames', type=int, default=15)
    parser.add_argument('--chunk', type=int, default=5)
    parser.add_argument('--clips', type=int, default=1)
    parser.add_argument('--steps', type=int, default=2)
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    args = parser.parse_args()
    init_default_scope('mmvc')
    keep_freed_memory()
    torch.manual_seed(0)
    np.random.seed(0)
    model = build_model(args)
    rows = {
        f'one chunk, {args.chunk} frames': (EncoderOnlySegmentor.train_step, args.chunk),
        f'chunks, {args.frames} frames': (EncoderOnlySegmentor.train_step, args.frames),
        f'one graph, {args.frames} frames': (BaseModel.train_step, args.frames),
    }
    table = PrettyTable(['training', 'wall s', 'CPU s', 'step MiB', 'all MiB', 'memory'])
    table.align = 'r'
    reference = None
    for name, (step, num_frames) in rows.items():
        wall, cpu, growth, total = measure(model, step, num_frames, args)
        reference = reference or growth
        table.add_row([name, f'{wall:.2f}', f'{cpu:.2f}', f'{growth:.0f}', f'{total:.0f}',
                       f'{100 * (growth / reference - 1):+.1f} %'])
    print(f'{args.model}, ViT {args.arch}, {args.clips} clip(s) of {args.size[0]} x {args.size[1]}, {args.device}, '
          f'{torch.get_num_threads()} thread(s)')
    print(table)


if __name__ == '__main__':
    main()
