# Copyright (c) The mmvc contributors. All rights reserved.
"""Compare the ways to run an online model: PyTorch, ONNX Runtime, and ONNX Runtime with weights of 8 bits.

    python benchmarks/deployment.py CONFIG CHECKPOINT --stage online            # exports the model first
    python benchmarks/deployment.py CONFIG CHECKPOINT --stage online --graphs work_dirs/graphs   # keeps the graphs
    python benchmarks/deployment.py CONFIG CHECKPOINT --video clip.mp4 --frame-size 480 854 --threads 1

Every row runs in its own process, so that the peaks are independent. Frames are generated videos unless --video is
given. Columns: "file MB", size of the weights (PyTorch: of the parameters) or of the graph; "load s", until the first
frame can come; "s/frame" and "CPU s/frame", after two frames to warm up; "base MB" and "peak MB", resident memory
before the first frame and at most; "labels", the share of pixels whose label differs from the row of PyTorch; "mIoU"
of generated videos, if the model has their classes.

"PyTorch, plain" is the model without the kernels that mmvc has for CPUs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

WARM_UP = 2
ROWS = ('PyTorch', 'PyTorch, plain', 'ONNX Runtime', 'ONNX Runtime, int8')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of an online model')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--stage', help='stage of the config; default: the last')
    parser.add_argument('--graphs', type=Path, help='folder that keeps the graphs, and uses those that are there')
    parser.add_argument('--video', help='video file; default: generated videos')
    parser.add_argument('--frame-size', type=int, nargs=2, default=(128, 192), metavar=('H', 'W'),
                        help='size of the generated frames; default: 128 192')
    parser.add_argument('--videos', type=int, default=4, help='number of generated videos; default: 4')
    parser.add_argument('--frames', type=int, default=16, help='frames of a video; default: 16')
    parser.add_argument('--threads', type=int, help='CPU threads; default: what PyTorch chooses')
    parser.add_argument('--row', help=argparse.SUPPRESS)
    return parser.parse_args()


# --- one row, in its own process ---


def run_row(row: dict) -> dict:
    """Segment all videos; write the labels, and return the figures."""
    import numpy as np
    import torch

    from benchmarks.inference import memory_mb
    from mmvc.apis import VideoSegInferencer
    from mmvc.models.cpu import use_cpu_kernels
    from mmvc.utils import keep_freed_memory

    keep_freed_memory()
    if row['threads']:
        torch.set_num_threads(row['threads'])
    use_cpu_kernels(row['name'] != 'PyTorch, plain')
    begun = time.perf_counter()
    size = tuple(row['size'][::-1])
    inferencer = VideoSegInferencer(**row['model'], device='cpu', size=size, show_progress=False)
    load = time.perf_counter() - begun
    first = next(videos(row))[0]
    for _ in inferencer.stream(first[:WARM_UP]):
        pass
    figures = dict(load=load, base_mb=memory_mb(peak=False), frames=0, wall=0., cpu=0.)
    maps, truths = [], []
    for frames, truth in videos(row):
        wall, cpu = time.perf_counter(), time.process_time()
        results = list(inferencer.stream(frames))
        figures['wall'] += time.perf_counter() - wall
        figures['cpu'] += time.process_time() - cpu
        figures['frames'] += len(results)
        maps += [result.encode().class_map() for result in results]
        truths += list(truth)
    figures['peak_mb'] = memory_mb(peak=True)
    figures['bytes'] = sum(value.numel() * value.element_size() for value in inferencer.model.state_dict().values())
    np.savez_compressed(row['labels'], maps=np.stack(maps))
    figures['miou'] = miou(maps, truths, inferencer.dataset_meta['classes'])
    return figures


def videos(row: dict) -> Iterator[tuple]:
    """Yield frames, BGR uint8 (T, H, W, 3), and their labels (none of a video file)."""
    import cv2
    import numpy as np

    from mmvc.datasets.synthetic import SyntheticVideoConfig, generate_video

    height, width = row['size']
    if row['video']:
        capture = cv2.VideoCapture(row['video'])
        frames = [frame for found, frame in (capture.read() for _ in range(row['frames'])) if found]
        if not frames:
            raise SystemExit(f'"{row["video"]}" cannot be read as a video: correct --video')
        yield np.stack([cv2.resize(frame, (width, height)) for frame in frames]), []
        return
    config = SyntheticVideoConfig(size=(height, width), num_frames=row['frames'])
    for index in range(row['videos']):
        clip = generate_video(config, seed=1, index=index, split='val')
        yield clip.frames, clip.sem


def miou(maps: list, truths: list, classes: tuple) -> float | None:
    """Mean IoU over the classes of generated videos; None for a model of other classes, and without truth."""
    from mmvc.datasets.synthetic.classes import METAINFO
    from mmvc.evaluation.functional.semantic import ConfusionMatrix, semantic_scores

    if not truths or tuple(classes) != tuple(METAINFO['classes']):
        return None
    matrix = ConfusionMatrix(len(classes), label_offset=0)
    for predicted, truth in zip(maps, truths):
        matrix.update(predicted, truth)
    return float(semantic_scores(matrix.counts)['mIoU'])


# --- all rows ---


def export_graphs(args: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """Export the model in float32 and with 8 bits, each unless it is there."""
    graphs = {'ONNX Runtime': folder / 'float32.onnx', 'ONNX Runtime, int8': folder / 'int8.onnx'}
    for name, path in graphs.items():
        if not path.with_name(f'{path.name}.json').is_file():
            command = [sys.executable, str(ROOT / 'tools/deployment/export.py'), args.config, args.checkpoint, '--out',
                       str(path)]
            command += ['--stage', args.stage] if args.stage else []
            subprocess.run(command + (['--int8'] if 'int8' in name else []), check=True, stdout=sys.stderr)
    return graphs


def measure(row: dict) -> dict:
    """Run a row in its own process."""
    environment = dict(os.environ, **({'OMP_NUM_THREADS': str(row['threads'])} if row['threads'] else {}))
    done = subprocess.run([sys.executable, __file__, '', '', '--row', json.dumps(row)], check=True,
                          stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    args = parse_args()
    if args.row:
        print(json.dumps(run_row(json.loads(args.row))))
        return
    import numpy as np
    from prettytable import PrettyTable

    columns = ('variant', 'file MB', 'load s', 's/frame', 'CPU s/frame', 'base MB', 'peak MB', 'labels', 'mIoU')
    table = PrettyTable(columns)
    table.align = 'r'
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.graphs or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        graphs = export_graphs(args, folder)
        for name in ROWS:
            model = dict(model=str(graphs[name])) if name in graphs else dict(
                model=args.config, weights=args.checkpoint, stage=args.stage)
            labels = f'{scratch}/{ROWS.index(name)}.npz'
            figures = measure(dict(name=name, model=model, labels=labels, video=args.video, size=args.frame_size,
                                   videos=args.videos, frames=args.frames, threads=args.threads))
            size = graphs[name].stat().st_size if name in graphs else figures['bytes']
            changed = (np.load(labels)['maps'] != np.load(f'{scratch}/0.npz')['maps']).mean()
            score = '' if figures['miou'] is None else f'{figures["miou"]:.2f}'
            table.add_row([name, f'{size / 1e6:.1f}', f'{figures["load"]:.1f}',
                           f'{figures["wall"] / figures["frames"]:.3f}', f'{figures["cpu"] / figures["frames"]:.3f}',
                           f'{figures["base_mb"]:.0f}', f'{figures["peak_mb"]:.0f}', f'{changed:.3%}', score])
            print(f'{name}: done', file=sys.stderr)
    print(table)


if __name__ == '__main__':
    main()
