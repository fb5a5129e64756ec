# Copyright (c) The mmvc contributors. All rights reserved.
"""Time and memory of VidEoMT: here, in transformers, and beside DVIS++, from frames to label maps or tracks.

    python benchmarks/encoder_only.py                         # ViT-S, 640 x 640, 4 and 16 frames
    python benchmarks/encoder_only.py --size large --task vss --frames 4
    python benchmarks/encoder_only.py --memory 16 512 --side 320          # does memory grow with the video?
    python benchmarks/encoder_only.py --threads 1 --cpu-time  # on a machine that others use too
    python benchmarks/encoder_only.py --device cuda           # rows for eager, compiled and half precision

All models get the same generated frames. "transformers" is its VideomtForUniversalSegmentation and that model's video
processor; the rows of mmvc have its weights. Weights are random, with class scores as extreme as those of a trained
model, most queries of the empty class. DVIS++ is the online stage of R50, with random weights of its own. Without
transformers (or with an older release) its rows are left out.

- "stream": every frame at once, class scores of the frames so far; nothing is kept but one tensor of queries.
- "predict": class scores of the whole clip, as in tools/test.py; mask logits are kept up to a limit.
- "scores": class scores are resized to full size, as in transformers, instead of mask probabilities (VSS).
- "bf16": both run under autocast to bfloat16.

Columns: seconds a frame, for the encoder, the blocks with queries, the head (upscaling and masks), post-processing and
everything. They exclude building the model and a warm-up. "total" of transformers divided by that of a row is "speed".
"peak MB" is the largest resident memory of the row's process (on CUDA of the device), "base MB" the memory before the
first frame. "labels" is the share of pixels that differ from float32 and default settings (VSS), or the mean overlap
(IoU) with the masks of the same track there (VIS).

Below the table: the largest differences of class and mask logits to those of transformers, relative to the largest
value, and the limit that matrix products set: the products of the network, divided by the rate of the fastest of
PyTorch's and oneDNN's product of the MLP's size, measured in the same process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prettytable import PrettyTable
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.inference import Stopwatch, generated_frames, memory_mb, spread_scores, windows_of  # noqa: E402
from mmvc.utils import keep_freed_memory  # noqa: E402

PARTS = ('encoder', 'blocks', 'head', 'post')
#: size -> channels, encoder blocks, heads, blocks with queries
SIZES = dict(small=(384, 12, 6, 3), base=(768, 12, 12, 3), large=(1024, 24, 16, 4))
NUM_CLASSES = dict(vss=124, vis=40)
NUM_QUERIES, NUM_PREFIX, PATCH = 200, 5, 16
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
POSTPROCESSORS = dict(vss=dict(type='VSSPostprocessor'), vis=dict(type='VISPostprocessor'))
DVISPP = dict(vss='dvispp_r50_vspw', vis='dvispp_r50_ytvis2019')


# --- models ---


def build_transformers(row: dict) -> nn.Module:
    """The class of transformers with random weights, always the same."""
    from transformers import VideomtConfig, VideomtForUniversalSegmentation

    dims, depth, heads, joint = SIZES[row['size']]
    torch.manual_seed(0)
    config = VideomtConfig(
        hidden_size=dims, num_hidden_layers=depth, num_attention_heads=heads, image_size=row['side'],
        num_blocks=joint, num_queries=NUM_QUERIES,
        id2label={index: str(index) for index in range(NUM_CLASSES[row['task']])})
    model = VideomtForUniversalSegmentation(config)
    nn.init.normal_(model.class_predictor.weight, std=0.3)
    nn.init.constant_(model.class_predictor.bias[-1:], 0.9 * dims**0.5)  # most queries are empty
    return model.eval()


def build_mmvc(row: dict, state_dict: dict[str, Tensor] | None) -> nn.Module:
    """Our model with converted weights; with random ones if there are none."""
    from mmvc.models.official_weights import convert_official_weights
    from mmvc.registry import MODELS

    model = MODELS.build(
        dict(
            type='EncoderOnlySegmentor',
            num_classes=NUM_CLASSES[row['task']],
            num_queries=NUM_QUERIES,
            encoder=dict(
                type='PlainViT', arch=row['size'], position='absolute', position_grid=row['side'] // PATCH),
            decoder=dict(type='JointBlocks', num_blocks=SIZES[row['size']][3]),
            propagation=dict(type='LinearPropagation'),
            criterion=dict(type='MaskClassificationLoss'),
            matcher=dict(type='ClipHungarianMatcher'),
            postprocessor={**POSTPROCESSORS[row['task']], **row['postprocessor']},
            data_preprocessor=dict(type='VideoSegDataPreprocessor', mean=MEAN, std=STD, bgr_to_rgb=False,
                                   pad_size_divisor=32)))
    if state_dict is not None:
        model.load_state_dict(convert_official_weights(state_dict).state_dict)
    return model.eval()


def build_dvispp(row: dict) -> nn.Module:
    """The online stage of DVIS++ R50 with random weights."""
    from mmvc.engine import load_config
    from mmvc.registry import MODELS

    torch.manual_seed(0)
    model = MODELS.build(load_config(str(ROOT / f'configs/dvispp/{DVISPP[row["task"]]}.py'), stage='online').model)
    spread_scores(model)
    return model.eval()


# --- one row, in its own process ---


class Clock:
    """Seconds of this process: of the wall, or of the CPU."""

    def __init__(self, cpu: bool, device: str) -> None:
        self.cpu, self.device = cpu, device

    def __call__(self) -> float:
        if self.device == 'cuda':
            torch.cuda.synchronize()
        return time.process_time() if self.cpu else time.perf_counter()


class Transformers:
    """Clips to label maps or tracks with transformers."""

    def __init__(self, row: dict, watch: Stopwatch) -> None:
        from transformers.models.videomt.video_processing_videomt import VideomtVideoProcessor

        self.model = build_transformers(row).to(row['device'])
        self.task, self.side, self.watch = row['task'], row['side'], watch
        self.processor = VideomtVideoProcessor()
        if row['compile']:
            self.model.forward = torch.compile(self.model.forward)
            watch.watch(self.model, 'forward', 'blocks')
            return
        watch.watch(self.model.embeddings, 'forward', 'encoder')
        first = len(self.model.layers) - self.model.config.num_blocks
        for index, layer in enumerate(self.model.layers):
            watch.watch(layer, 'forward', 'encoder' if index < first else 'blocks')
        watch.watch(self.model, 'predict', 'head')

    def network(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Class and mask logits (T, Q, ...) of uint8 frames (T, 3, H, W)."""
        mean, std = (torch.tensor(x, device=frames.device)[:, None, None] for x in (MEAN, STD))
        out = self.model(((frames - mean) / std)[None])
        return out.class_queries_logits, out.masks_queries_logits

    def __call__(self, frames: Tensor) -> Iterator[np.ndarray]:
        from types import SimpleNamespace

        cls_scores, masks = self.network(frames)
        outputs = SimpleNamespace(class_queries_logits=cls_scores, masks_queries_logits=masks)
        process = (self.processor.post_process_semantic_segmentation if self.task == 'vss' else
                   self.processor.post_process_instance_segmentation)
        with self.watch.part('post'):
            results = process(outputs, [(self.side, self.side)] * len(frames))
        for result in results:
            yield result if self.task == 'vss' else result['segmentation']


class Ours:
    """Clips to label maps or tracks with a model of this package: at their end, or frame by frame."""

    def __init__(self, model: nn.Module, row: dict, watch: Stopwatch) -> None:
        self.model, self.task, self.stream = model.to(row['device']), row['task'], row['stream']
        self.size, self.watch = (row['side'], row['side']), watch
        self.model.optimize_for_inference(compile=row['compile'])
        if hasattr(model, 'encoder'):
            parts = ((model, '_run_encoder', 'encoder'), (model, '_join_clips', 'blocks'), (model, '_predict', 'head'))
        else:
            parts = ((model.backbone, 'forward', 'encoder'), (model.head.pixel_decoder, 'forward', 'encoder'),
                     (model.head, 'forward', 'blocks'), (model, 'track', 'blocks'))
        for owner, method, name in parts:
            watch.watch(owner, method, name)

    def network(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Class and mask logits (T, Q, ...) of uint8 frames (T, 3, H, W)."""
        outputs = [output for output, *_ in self.model._process_windows(frames.split(1))]
        return tuple(torch.cat([out[key][0] for out in outputs]) for key in ('cls_scores', 'mask_features'))

    def __call__(self, frames: Tensor | Iterator[Tensor]) -> Iterator[np.ndarray]:
        windows = frames.split(1 if self.stream else self.model.window_size) if isinstance(frames, Tensor) else frames
        if self.stream:
            samples = self._stream(windows)
        else:
            samples = self.model.postprocessor.frames(self.model.predict_video(windows, self.size))
        while True:
            with nullcontext() if self.stream else self.watch.part('post'):
                sample = next(samples, None)
            if sample is None:
                return
            yield (sample.pred_sem_seg.sem_seg[0] if self.task == 'vss' else sample.pred_track_instances.masks)

    def _stream(self, windows: Iterator[Tensor]) -> Iterator:
        """The model's stream, with post-processing as a part of its own."""
        begin = self.model.postprocessor.start_stream

        def timed_begin() -> Callable:
            segment = begin()

            def timed(prediction: Any) -> Any:
                with self.watch.part('post'):
                    return segment(prediction)

            return timed

        self.model.postprocessor.start_stream = timed_begin
        yield from self.model.stream(windows, self.size)
        self.model.postprocessor.start_stream = begin


def build_row(row: dict, watch: Stopwatch) -> Transformers | Ours:
    """The program of a row."""
    from mmengine.registry import init_default_scope

    import mmvc.models  # noqa: F401

    init_default_scope('mmvc')
    if row['kind'] == 'transformers':
        return Transformers(row, watch)
    if row['kind'] == 'dvispp':
        return Ours(build_dvispp(row), row, watch)
    return Ours(build_mmvc(row, build_transformers(row).state_dict() if row['reference'] else None), row, watch)


@torch.no_grad()
def product_rates(dims: int, tokens: int, clock: Clock) -> dict[str, float]:
    """GFLOP/s of the product of an MLP's first layer: in PyTorch's form, and in that of CPUInference."""
    from mmvc.models.cpu.inference import CPUInference

    layer, x = nn.Linear(dims, 4 * dims, device=clock.device), torch.randn(1, tokens, dims, device=clock.device)
    rates = {}
    for name, context in (('PyTorch', nullcontext()), ('oneDNN', CPUInference())):
        with context:
            layer(x)
            times = []
            for _ in range(20):
                start = clock()
                layer(x)
                times.append(clock() - start)
        rates[name] = 8e-9 * tokens * dims**2 / min(times)
    return rates


def network_gflop(size: str, side: int) -> float:
    """GFLOP of all matrix products of VidEoMT for a frame."""
    dims, depth, _, joint = SIZES[size]
    patches = (side // PATCH)**2

    def block(tokens: int) -> int:
        return 12 * tokens * dims**2 + 2 * tokens**2 * dims

    multiplications = patches * 3 * PATCH**2 * dims
    multiplications += (depth - joint) * block(patches + NUM_PREFIX)
    multiplications += joint * block(patches + NUM_PREFIX + NUM_QUERIES)
    multiplications += 5 * patches * dims * 4 * dims + 9 * 20 * patches * dims  # two transposed and depthwise layers
    multiplications += NUM_QUERIES * dims * (16 * patches + 4 * dims)  # masks, their embedding, propagation
    return 2e-9 * multiplications


def run_row(row: dict) -> dict:
    """Run a row; write its outputs to a file and return the figures."""
    clock = Clock(row['cpu_time'], row['device'])
    watch = Stopwatch(row['device'], PARTS, clock)
    frames = torch.stack(list(generated_frames(8, row['side'], row['side']))).to(row['device'])
    frames = frames[torch.arange(row['frames']) % 8] if row['keep'] else frames
    dtype = getattr(torch, row['amp']) if row['amp'] else None
    with torch.no_grad(), torch.autocast(row['device'], dtype=dtype) if dtype else nullcontext():
        program = build_row(row, watch)
        for _ in program(frames[:2]):
            pass
        watch.seconds.update(dict.fromkeys(PARTS, 0.))
        base_mb, results = memory_mb(peak=False), []
        if row['device'] == 'cuda':
            torch.cuda.reset_peak_memory_stats()
        start = clock()
        inputs = frames if row['keep'] else windows_of((frames[t % 8] for t in range(row['frames'])), 1)
        for result in program(inputs):
            if row['keep']:
                results.append(result.cpu().numpy())
        seconds = clock() - start
        peak_mb = torch.cuda.max_memory_allocated() / 2**20 if row['device'] == 'cuda' else memory_mb(peak=True)
        figures = dict(seconds=dict(watch.seconds), total=seconds, base_mb=base_mb, peak_mb=peak_mb)
        if row['outputs']:
            cls_scores, masks = program.network(frames[:2])
            np.savez(row['outputs'], cls_scores=cls_scores.float().cpu(), masks=masks.float().cpu(),
                     results=np.stack(results))
    if row['rates']:
        figures['rates'] = product_rates(SIZES[row['size']][0], (row['side'] // PATCH)**2 + NUM_PREFIX, clock)
    return figures


# --- the table ---


def rows_of(args: argparse.Namespace, has_transformers: bool) -> Iterator[dict]:
    """Yield the rows to measure."""
    common = dict(
        size=args.size, side=args.side, device=args.device, cpu_time=args.cpu_time, compile=False, amp=None,
        stream=True, keep=True, rates=False, reference=has_transformers, outputs='', postprocessor={})
    if args.memory:
        for frames in args.memory:
            yield dict(common, kind='mmvc', name='stream', task=args.task[0], frames=frames, keep=False)
        return
    theirs = dict(kind='transformers', name='transformers')
    for task in args.task:
        for index, frames in enumerate(args.frames):
            row = dict(common, task=task, frames=frames)
            if has_transformers:
                yield {**row, **theirs}
            yield dict(row, kind='mmvc', name='predict', stream=False, rates=index == 0)
            yield dict(row, kind='mmvc', name='stream')
            if task == 'vss':
                yield dict(row, kind='mmvc', name='stream, scores', postprocessor=dict(resizes='scores'))
            if index:
                continue
            for amp, name in dict(bfloat16='bf16', float16='fp16').items():
                if amp == 'float16' and args.device == 'cpu':
                    continue
                if has_transformers:
                    yield {**row, **theirs, 'name': f'transformers {name}', 'amp': amp}
                yield dict(row, kind='mmvc', name=f'predict {name}', stream=False, amp=amp)
                if args.device == 'cuda':
                    yield dict(row, kind='mmvc', name=f'predict {name} compiled', stream=False, amp=amp, compile=True)
            if args.device == 'cuda':
                if has_transformers:
                    yield {**row, **theirs, 'name': 'transformers compiled', 'compile': True}
                yield dict(row, kind='mmvc', name='predict compiled', stream=False, compile=True)
            if not args.no_dvispp:
                yield dict(row, kind='dvispp', name='DVIS++ R50 online')


def measure(row: dict, repeats: int) -> dict:
    """Run a row in several processes; return the figures of the fastest."""
    best = None
    for _ in range(repeats):
        process = subprocess.run([sys.executable, __file__, '--row', json.dumps(row)], stdout=subprocess.PIPE,
                                 text=True)
        if process.returncode:
            raise SystemExit(f'the row "{row["name"]}" of {row["frames"]} frames ended with code {process.returncode}'
                             ': see its message above (-9 means killed, usually because memory was full)')
        figures = json.loads(process.stdout.splitlines()[-1])
        if best is None or figures['total'] < best['total']:
            best = figures
    return best


def agreement(row: dict, outputs: dict, reference: dict) -> str:
    """How far results are from those of the row "predict"."""
    results, expected = outputs['results'], reference['results']
    if row['task'] == 'vss':
        return f'{np.mean(results != expected):.3%}'
    both, either = (results & expected).sum((0, 2, 3)), (results | expected).sum((0, 2, 3))
    return f'IoU {np.mean(both / np.maximum(either, 1)):.4f}'


def difference(outputs: dict, reference: dict) -> str:
    """Largest differences of logits, relative to the largest value."""
    parts = []
    for key, name in (('cls_scores', 'classes'), ('masks', 'masks')):
        expected = reference[key]
        parts.append(f'{name} {np.abs(outputs[key] - expected).max() / np.abs(expected).max():.1e}')
    return ', '.join(parts)


def describe_limit(figures: dict, frames: int, gflop: float) -> str:
    """Compare the time of the network with that of its matrix products."""
    network = sum(figures['seconds'][part] for part in PARTS if part != 'post') / frames
    rates = figures['rates']
    limits = {name: gflop / rate for name, rate in rates.items()}
    text = ', '.join(
        f'{limits[name]:.3f} s at {rate:.0f} GFLOP/s ({name}; network / limit {network / limits[name]:.2f})'
        for name, rate in rates.items())
    return f'{gflop:.0f} GFLOP of products a frame: {text}; network {network:.3f} s'


def find_transformers() -> bool:
    """Whether transformers has the class."""
    try:
        from transformers import VideomtForUniversalSegmentation  # noqa: F401
    except ImportError:
        return False
    return True


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', choices=list(SIZES), default='small')
    parser.add_argument('--side', type=int, default=640, help='height and width of the frames (default: 640)')
    parser.add_argument('--frames', type=int, nargs='+', default=[4, 16], help='lengths of the clip (default: 4 16)')
    parser.add_argument('--task', nargs='+', choices=list(NUM_CLASSES), default=list(NUM_CLASSES),
                        help='vss: label maps of 124 classes; vis: tracks of 40 classes (default: both)')
    parser.add_argument('--memory', type=int, nargs='+', metavar='FRAMES',
                        help='only stream videos of these lengths, and compare their peak memory')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--no-dvispp', action='store_true', help='leave out DVIS++')
    parser.add_argument('--repeats', type=int, default=1, help='processes per row; the fastest counts')
    parser.add_argument('--threads', type=int, default=None, help='CPU threads (default: what PyTorch chooses)')
    parser.add_argument('--cpu-time', action='store_true',
                        help='seconds of the CPU instead of the wall, for one thread on a machine that others use')
    parser.add_argument('--row', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side % 32:
        parser.error(f'--side {args.side} is not a multiple of 32, to which frames are padded')
    if args.cpu_time and args.threads != 1:
        parser.error('--cpu-time needs --threads 1: threads that wait for each other use the CPU, too')
    if args.cpu_time and args.device == 'cuda':
        parser.error('--cpu-time does not see what a CUDA device does: leave it out')
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: PyTorch finds no CUDA device; use --device cpu')
    return args


def main() -> None:
    args = parse_args()
    if args.row:
        keep_freed_memory()  # as `python -m mmvc.apis` does
        print(json.dumps(run_row(json.loads(args.row))))
        return
    if args.threads:
        os.environ['OMP_NUM_THREADS'] = str(args.threads)
        torch.set_num_threads(args.threads)
    has_transformers = find_transformers()
    print(f'VidEoMT {args.size}, {args.side} x {args.side}, {args.device}, {torch.get_num_threads()} threads, torch '
          f'{torch.__version__}, {"CPU" if args.cpu_time else "wall"} seconds', flush=True)
    table = PrettyTable(['task', 'frames', 'row', *PARTS, 'total', 'speed', 'frames/s', 'without post', 'base MB',
                         'peak MB', 'labels'])
    table.align = 'r'
    lines, totals, saved = [], {}, {}
    gflop = network_gflop(args.size, args.side)
    with tempfile.TemporaryDirectory() as folder:
        for index, row in enumerate(rows_of(args, has_transformers)):
            task, frames, name = row['task'], row['frames'], row['name']
            if row['keep'] and frames == args.frames[0] and row['kind'] != 'dvispp':
                row['outputs'] = f'{folder}/{index}.npz'
            figures = measure(row, args.repeats)
            print(f'{task}, {frames} frames, {name}: {figures["total"]:.1f} s', file=sys.stderr)
            totals[task, frames, name] = figures['total']
            labels = ''
            if row['outputs']:
                saved[task, name] = dict(np.load(row['outputs']))
                os.remove(row['outputs'])
                theirs = saved.get((task, f'transformers{" " + name.split()[1] if row["amp"] else ""}'))
                if row['kind'] == 'mmvc' and name in ('predict', 'stream') and theirs:
                    lines.append(f'{task}, {name}, largest differences to transformers: '
                                 f'{difference(saved[task, name], theirs)}')
                exact = 'stream' if name == 'stream, scores' else 'predict'
                if row['kind'] == 'mmvc' and name not in ('predict', 'stream'):
                    labels = agreement(row, saved[task, name], saved[task, exact])
            if 'rates' in figures and args.device == 'cpu':
                lines.append(f'{task}: {describe_limit(figures, frames, gflop)}')
            baseline = totals.get((task, frames, 'transformers'))
            seconds = [figures['seconds'][part] / frames for part in PARTS]
            total = figures['total'] / frames
            table.add_row([
                task, frames, name, *(f'{value:.3f}' for value in seconds), f'{total:.3f}',
                f'{baseline / figures["total"]:.2f}' if baseline else '', f'{1 / total:.2f}',
                f'{1 / max(total - seconds[-1], 1e-9):.2f}', f'{figures["base_mb"]:.0f}', f'{figures["peak_mb"]:.0f}',
                labels])
    print(table, *lines, sep='\n')


if __name__ == '__main__':
    main()
