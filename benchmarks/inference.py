# Copyright (c) The mmvc contributors. All rights reserved.
"""Time the parts of the segmentation of a video, and measure its peak memory.

    python benchmarks/inference.py                                   # 16 frames: a plain baseline, and mmvc
    python benchmarks/inference.py --frames 16 64 256 --no-baseline  # how time and memory grow
    python benchmarks/inference.py --online --frames 16 64           # DVISOnline, frame by frame
    python benchmarks/inference.py --features-on-disk --half-features --amp --compile   # a row for each option
    python benchmarks/inference.py --device cuda --frames 64
    python benchmarks/inference.py --weights work_dirs/x.pth --video clip.mp4 --amp     # effect on real labels

Every row runs in its own process, so that the peaks are independent. By default weights are random and frames are
generated.

Columns: seconds per part, then "wall" and "CPU" seconds of the whole. They exclude building the model, generating
frames and a warm-up of two frames. "peak MB" is the largest resident memory of the process (on CUDA also of the
device), "base MB" the memory before the first frame. "labels" is the share of pixels whose label differs from the row
"exact" with as many frames. Random weights overstate it: use --weights and --video for realistic labels.

"baseline" is the plain form of the same model: a grid sample per level whose samples are weighted afterwards, windows
of 3 frames, all masks of the video in memory at full size, one product for all classes (16 frames: about 5 GB).
"official" quotes the times of the published code for 480 x 864, offline, on two cores.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from prettytable import PrettyTable
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mmvc.utils import keep_freed_memory  # noqa: E402

PARTS = ('backbone', 'pixel decoder', 'decoder', 'tracker', 'refiner', 'post')
OFFICIAL = {
    16: dict(seconds=dict(zip(PARTS, (3.81, 13.6, 4.54, 1.20, 0.89, 2.73))), wall=26.9, peak_mb=7312),
    8: dict(seconds=dict(zip(PARTS, (1.81, 6.63, 2.27, 0.62, 0.49, 1.38))), wall=13.2, peak_mb=4260),
}
WINDOW = 3  # frames per call of the model


# --- one row, in its own process ---


class Stopwatch:
    """Measures exclusive seconds of nested parts."""

    def __init__(self,
                 device: str,
                 parts: Sequence[str] = PARTS,
                 clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(parts, 0.)
        self.device = device
        self.clock = clock
        self._running: list[str] = []
        self._last = 0.

    def _switch(self) -> None:
        if self.device == 'cuda':
            torch.cuda.synchronize()
        now = self.clock()
        if self._running:
            self.seconds[self._running[-1]] += now - self._last
        self._last = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._switch()
        self._running.append(name)
        yield
        self._switch()
        self._running.pop()

    def watch(self, owner: object, method: str, name: str) -> None:
        """Count all calls of a method as a part."""
        function = getattr(owner, method)

        def timed(*args, **kwargs):
            with self.part(name):
                return function(*args, **kwargs)

        setattr(owner, method, timed)


def memory_mb(peak: bool) -> float:
    """Return the current or the peak resident memory of this process in MB."""
    try:
        with open('/proc/self/status') as f:
            status = dict(line.split(':', 1) for line in f)
        return int(status['VmHWM' if peak else 'VmRSS'].split()[0]) / 1024
    except (OSError, KeyError):  # not Linux: only the peak is available
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == 'darwin' else 1024)


def build_model(config: str, stage: str | None, weights: str | None, device: str,
                feature_store: dict) -> torch.nn.Module:
    """Build the model in evaluation mode; without weights, always with the same random ones."""
    from mmengine.registry import init_default_scope
    from mmengine.runner import load_checkpoint

    import mmvc  # noqa: F401
    from mmvc.engine import load_config
    from mmvc.registry import MODELS

    init_default_scope('mmvc')
    model_cfg = load_config(config, stage=stage).model
    model_cfg.feature_store = feature_store
    torch.manual_seed(0)
    model = MODELS.build(model_cfg)  # init_weights() is left out, because it takes time
    if weights:
        load_checkpoint(model, weights, map_location='cpu', strict=True)
    else:
        spread_scores(model)
    return model.to(device).eval()


def spread_scores(model: torch.nn.Module) -> None:
    """Make the scores of random weights as extreme as those of a trained model. Changes the model in place."""
    for part in model.modules():
        if hasattr(part, 'cls_embed') and hasattr(part, 'mask_embed'):
            torch.nn.init.normal_(part.cls_embed.weight, std=0.3)
            torch.nn.init.normal_(list(part.mask_embed.parameters())[-2], std=0.3)


def generated_frames(num_frames: int, height: int, width: int) -> Iterator[Tensor]:
    """Repeat a few generated frames forwards and backwards, uint8 (3, H, W). Generating all would take too long."""
    from mmvc.datasets.synthetic import SyntheticVideoConfig, generate_video

    config = SyntheticVideoConfig(size=(height, width), num_frames=min(num_frames, 8))
    clip = torch.from_numpy(generate_video(config, seed=0, index=0).frames).permute(0, 3, 1, 2)
    order = [*range(len(clip)), *reversed(range(len(clip)))]
    return (clip[order[t % len(order)]] for t in range(num_frames))


def frames_of_file(path: str, num_frames: int, height: int, width: int) -> Iterator[Tensor]:
    """Yield the first frames of a video file, resized, uint8 (3, H, W)."""
    import cv2

    capture = cv2.VideoCapture(path)
    for _ in range(num_frames):
        found, frame = capture.read()
        if not found:
            raise SystemExit(f'"{path}" cannot be read, or has fewer than {num_frames} frames: lower --frames')
        yield torch.from_numpy(cv2.resize(frame, (width, height))).permute(2, 0, 1).contiguous()


def windows_of(frames: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """Stack consecutive frames: uint8 (t, 3, H, W) with t <= size."""
    window: list[Tensor] = []
    for frame in frames:
        window.append(frame)
        if len(window) == size:
            yield torch.stack(window)
            window = []
    if window:
        yield torch.stack(window)


def plain_attention(value: Tensor, shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    """Compute deformable attention in the usual form: all samples of all levels, then their weighted sum."""
    batch, _, heads, dim = value.shape
    samples = []
    for level, (h, w) in enumerate(shapes):
        start = sum(a * b for a, b in shapes[:level])
        feature = value[:, start:start + h * w].permute(0, 2, 3, 1).reshape(batch * heads, dim, h, w)
        grid = (2 * locations[:, :, :, level] - 1).transpose(1, 2).flatten(0, 1)
        samples.append(F.grid_sample(feature, grid, align_corners=False))  # (B * heads, D, Q, P)
    weights = weights.transpose(1, 2).flatten(0, 1).flatten(2)[:, None]
    return (torch.cat(samples, dim=-1) * weights).sum(-1).view(batch, heads * dim, -1).transpose(1, 2)


def make_plain(model: torch.nn.Module) -> None:
    """Replace the optimisations of speed and memory in this package by the plain form."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import PixelData

    import mmvc.models.layers.multi_scale_deformable_attention as attention
    from mmvc.models.cpu import use_cpu_kernels

    def all_frames_at_once(prediction) -> Iterator[DetDataSample]:
        masks = torch.stack([
            embeds @ features.flatten(1) for embeds, features in zip(prediction.mask_embeds, prediction.mask_features)
        ], dim=1).unflatten(-1, prediction.mask_features[0].shape[-2:])
        height, width = prediction.img_shape
        masks = F.interpolate(masks, prediction.padded_shape, mode='bilinear', align_corners=False)
        masks = masks[..., :height, :width].sigmoid()
        masks = F.interpolate(masks, prediction.ori_shape, mode='bilinear', align_corners=False)
        for sem_seg in torch.einsum('qc,qthw->cthw', prediction.class_probs[:, :-1], masks).argmax(0):
            yield DetDataSample(pred_sem_seg=PixelData(sem_seg=sem_seg[None].to(torch.uint8).cpu()))

    attention.multi_scale_deformable_attn = plain_attention
    use_cpu_kernels(False)
    model.postprocessor.frames = all_frames_at_once


def run_row(row: dict) -> dict:
    """Segment a video with the settings of a row; write its labels to a file and return the figures."""
    device, size = row['device'], (row['height'], row['width'])
    model = build_model(row['config'], row['stage'], row['weights'], device, row['feature_store'])
    if row['plain']:
        make_plain(model)
    model.optimize_for_inference()  # as the inferencer does
    if row['compile']:
        model.backbone.compile()
        model.head.compile()
    watch = Stopwatch(device)
    for owner, method, name in ((model.backbone, 'forward', 'backbone'), (model.head, 'forward', 'decoder'),
                                (model.head.pixel_decoder, 'forward', 'pixel decoder'), (model, 'track', 'tracker'),
                                (model, 'finalize', 'refiner')):
        watch.watch(owner, method, name)

    def segment(frames: Iterator[Tensor]) -> Iterator:
        windows = windows_of(frames, 1 if row['online'] else WINDOW)
        if row['online']:
            yield from timed_stream(windows)
            return
        prediction = model.predict_video(windows, size)
        with watch.part('post'):
            yield from model.postprocessor.frames(prediction)

    def timed_stream(windows: Iterator[Tensor]) -> Iterator:
        start_stream = model.postprocessor.start_stream

        def start_timed_stream() -> Callable:
            function = start_stream()

            def timed(prediction):
                with watch.part('post'):
                    return function(prediction)

            return timed

        model.postprocessor.start_stream = start_timed_stream
        yield from model.stream(windows, size)
        model.postprocessor.start_stream = start_stream

    source = frames_of_file if row['video'] else generated_frames
    args = (row['video'], ) if row['video'] else ()
    dtype = getattr(torch, row['amp']) if row['amp'] else None
    with torch.no_grad(), torch.autocast(device, dtype=dtype) if dtype else nullcontext():
        for _ in segment(source(*args, 2, *size)):
            pass
        frames = source(*args, row['frames'], *size)
        watch.seconds.update(dict.fromkeys(PARTS, 0.))
        base_mb = memory_mb(peak=False)
        if device == 'cuda':
            torch.cuda.reset_peak_memory_stats()
        start, cpu = time.perf_counter(), time.process_time()
        with open(row['labels'], 'wb') as f:
            for frame in segment(frames):
                f.write(frame.pred_sem_seg.sem_seg.to(torch.uint8).numpy())
    return dict(
        seconds=watch.seconds,
        wall=time.perf_counter() - start,
        cpu=time.process_time() - cpu,
        base_mb=base_mb,
        peak_mb=memory_mb(peak=True),
        device_mb=torch.cuda.max_memory_allocated() / 2**20 if device == 'cuda' else None)


# --- the table ---


def rows_of(args: argparse.Namespace) -> Iterator[dict]:
    """Yield the rows to measure: the exact form at every length, and one row for each option."""
    stage = args.stage or (None if args.config else 'online' if args.online else 'offline')
    common = dict(
        config=args.config or str(ROOT / 'configs/dvispp/dvispp_r50_vspw.py'), stage=stage,
        weights=args.weights, video=args.video, device=args.device, online=args.online,
        height=args.size[0], width=args.size[1], plain=False, amp=None, compile=False, feature_store={})
    options = {
        'features on disk': (args.features_on_disk, dict(feature_store=dict(memory_limit=0))),
        'half features': (args.half_features, dict(feature_store=dict(dtype='float16'))),
        'amp (bfloat16)': (args.amp, dict(amp='bfloat16')),
        'compile': (args.compile, dict(compile=True)),
    }
    for index, num_frames in enumerate(args.frames):
        if index == 0 and not args.no_baseline and not args.online:
            yield dict(common, name='baseline', frames=num_frames, plain=True)
        yield dict(common, name='exact', frames=num_frames)
        for name, (wanted, settings) in options.items():
            if wanted:
                yield {**common, 'name': name, 'frames': num_frames, **settings}


def measure(row: dict, repeats: int) -> dict:
    """Run a row in several processes; return the figures of the fastest."""
    best = None
    for _ in range(repeats):
        process = subprocess.run(
            [sys.executable, __file__, '--row', json.dumps(row)], stdout=subprocess.PIPE, text=True)
        if process.returncode:
            raise SystemExit(f'the row "{row["name"]}" of {row["frames"]} frames ended with code {process.returncode}'
                             ': see its message above (-9 means killed, usually because memory was full)')
        figures = json.loads(process.stdout.splitlines()[-1])
        time_of = 'wall' if row['device'] == 'cuda' else 'cpu'  # the CPU waits for the GPU
        if best is None or figures[time_of] < best[time_of]:
            best = figures
    return best


def share_of_changed_labels(path: str, reference: str) -> float:
    """Return the share of pixels whose labels differ between two files."""
    labels, others = (np.memmap(p, np.uint8, 'r') for p in (path, reference))
    step = 2**26
    return sum(
        int((labels[i:i + step] != others[i:i + step]).sum()) for i in range(0, len(labels), step)) / len(labels)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--frames', type=int, nargs='+', default=[16], help='lengths of the video (default: 16)')
    parser.add_argument('--size', type=int, nargs=2, default=[480, 864], metavar=('H', 'W'))
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--online', action='store_true',
                        help='DVISOnline, frame by frame in constant memory, instead of DVISOffline')
    parser.add_argument('--no-baseline', action='store_true', help='leave out the plain form')
    parser.add_argument('--features-on-disk', action='store_true', help='add a row with all mask features on disk')
    parser.add_argument('--half-features', action='store_true', help='add a row with mask features kept as float16')
    parser.add_argument('--amp', action='store_true', help='add a row under autocast to bfloat16')
    parser.add_argument('--compile', action='store_true',
                        help='add a row with backbone and head through torch.compile (needs a C++ compiler)')
    parser.add_argument('--config', help='another config, semantic (VSS); default: dvispp_r50_vspw')
    parser.add_argument('--stage', help='stage of the config; default: the last, of dvispp_r50_vspw as --online says')
    parser.add_argument('--weights', help='checkpoint of the config; default: random weights')
    parser.add_argument('--video', help='video file, resized to --size; default: generated frames')
    parser.add_argument('--repeats', type=int, default=1,
                        help='processes per row; the one of least CPU time counts, on CUDA of least time')
    parser.add_argument('--threads', type=int, default=None, help='CPU threads (default: what PyTorch chooses)')
    parser.add_argument('--row', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.online and (args.features_on_disk or args.half_features):
        parser.error('--online keeps no mask features: leave out --features-on-disk and --half-features')
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
    print(f'{"online" if args.online else "offline"}, {args.size[0]} x {args.size[1]}, {args.device}, '
          f'{torch.get_num_threads()} threads, torch {torch.__version__}', flush=True)
    table = PrettyTable(['frames', 'variant', *PARTS, 'wall', 'CPU', 'base MB', 'peak MB', 'device MB', 'labels'])
    table.align = 'r'

    def add(frames: int, name: str, figures: dict, changed: float | None = None) -> None:
        parts = [f'{figures["seconds"][part]:.2f}' for part in PARTS]
        times = [f'{figures[key]:.1f}' if key in figures else '' for key in ('wall', 'cpu')]
        memory = [f'{figures[key]:.0f}' if figures.get(key) else '' for key in ('base_mb', 'peak_mb', 'device_mb')]
        table.add_row([frames, name, *parts, *times, *memory, '' if changed is None else f'{changed:.3%}'])

    with tempfile.TemporaryDirectory() as folder:
        labels, done = {}, []
        for index, row in enumerate(rows_of(args)):
            row['labels'] = labels[row['name'], row['frames']] = f'{folder}/{index}'
            done.append((row, measure(row, args.repeats)))
            print(f'{row["frames"]} frames, {row["name"]}: {done[-1][1]["wall"]:.1f} s', file=sys.stderr)
        for row, figures in done:
            exact = labels['exact', row['frames']]
            changed = None if row['name'] == 'exact' else share_of_changed_labels(row['labels'], exact)
            add(row['frames'], row['name'], figures, changed)
    if not args.online and tuple(args.size) == (480, 864) and args.device == 'cpu':
        for frames in set(args.frames) & set(OFFICIAL):
            add(frames, 'official, quoted', OFFICIAL[frames])
    print(table)


if __name__ == '__main__':
    main()
