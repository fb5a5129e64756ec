# Copyright (c) The mmvc contributors. All rights reserved.
r"""Measure what keyframes cost in quality, and what they save in time.

    python benchmarks/keyframes.py                   # R50, 480 x 864, random weights, generated frames: time
    python benchmarks/keyframes.py --config configs/dvispp/dvispp_r18_camvid.py --stage segmenter \
        --weights iter_2400.pth --data-root data/camvid   # quality on the validation videos (VSS), and time
    python benchmarks/keyframes.py --intervals 1 3 --stage online --frames 30

Each interval is a row; that of 1 is the baseline, in the same run. Times are CPU seconds per frame of this process:
"network" (up to mask features or mask logits), "flow" (optical flow and its check), "post" (warping, resizing and
classes, and reading the frames). "faster" compares the totals. "same labels" is the share of pixels with the label of
the baseline. mIoU, VC8 and VC16 need labels.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.registry import init_default_scope
from prettytable import PrettyTable

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.inference import Stopwatch  # noqa: E402
from mmvc.apis import VideoSegInferencer  # noqa: E402
from mmvc.engine import load_config  # noqa: E402
from mmvc.evaluation.functional import VSSCounter, pool_windows, vss_numbers  # noqa: E402
from mmvc.formats.label_maps import read_label_map  # noqa: E402
from mmvc.models.utils.keyframes import KeyframeSchedule  # noqa: E402
from mmvc.registry import DATASETS  # noqa: E402

PARTS = ('network', 'flow')  # the rest is "post"


def moving_texture(num_frames: int, height: int, width: int) -> list[np.ndarray]:
    """Frames of a texture that moves by 4 pixels from frame to frame."""
    small = np.random.default_rng(0).integers(0, 255, (height // 12, width // 8, 3), np.uint8)
    large = cv2.resize(small, (width + 4 * num_frames, height), interpolation=cv2.INTER_CUBIC)
    return [large[:, 4 * t:4 * t + width] for t in range(num_frames)]


def labelled_videos(inferencer: VideoSegInferencer, data_root: str | None, num_videos: int | None,
                    num_frames: int | None) -> Iterator[tuple[list[str], list[str], VSSCounter]]:
    """Files of frames and masks of each test video, and empty counts."""
    cfg = inferencer.cfg.test_dataloader.dataset
    if data_root is not None:
        cfg.data_root = data_root
    dataset = DATASETS.build(cfg)
    meta = dataset.metainfo
    for index in range(len(dataset))[:num_videos]:
        frames = dataset.get_data_info(index)['images'][:num_frames]
        counter = VSSCounter(len(meta['classes']), meta['label_offset'], (8, 16), meta.get('void_values'))
        yield [frame['img_path'] for frame in frames], [frame['seg_map_path'] for frame in frames], counter


def measure(inferencer: VideoSegInferencer, videos: list[tuple[Any, list[str], VSSCounter | None]],
            baseline: list[np.ndarray]) -> tuple[dict[str, float], dict[str, float]]:
    """Segment the videos: seconds per frame by part, and numbers. Fills the labels of an empty baseline."""
    watch, labels, same = Stopwatch('cpu', PARTS, time.process_time), [], []
    motion = KeyframeSchedule.motion
    for owner, method, part in ((inferencer.model, 'process_window', 'network'),
                                (inferencer.model, 'finalize', 'network'), (KeyframeSchedule, 'motion', 'flow')):
        watch.watch(owner, method, part)
    next(inferencer.stream(videos[0][0][:1]))  # warm up
    watch.seconds = dict.fromkeys(PARTS, 0.)
    start = time.process_time()
    scoring = 0.
    for frames, masks, counter in videos:
        for t, frame in enumerate(inferencer.stream(frames, online=False)):
            began = time.process_time()
            index = len(labels)
            labels.append(frame.sem_seg.astype(np.uint8))
            if counter is not None:
                counter.update(read_label_map(masks[t]), labels[-1])
            if baseline:
                same.append((labels[-1] == baseline[index]).mean())
            scoring += time.process_time() - began
    total = time.process_time() - start - scoring
    KeyframeSchedule.motion = motion
    if not baseline:
        baseline.extend(labels)
    parts = {**watch.seconds, 'post': total - sum(watch.seconds.values())}
    numbers = {'same labels': float(np.mean(same)) if same else 1.}
    counts = [counter.compute() for _, _, counter in videos if counter is not None]
    if counts:
        scores, _ = vss_numbers((video.confusion.dense() for video in counts), pool_windows(counts, (8, 16)))
        numbers.update({name: scores[name] for name in ('mIoU', 'VC8', 'VC16')})
    return {name: seconds / len(labels) for name, seconds in parts.items()}, numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--config', default=str(ROOT / 'configs/dvispp/dvispp_r50_vspw.py'),
                        help='config of a VSS model')
    parser.add_argument('--stage', help='stage of the config')
    parser.add_argument('--weights', help='checkpoint; default: random weights and generated frames')
    parser.add_argument('--data-root', help='root of the data set, in place of that of the config')
    parser.add_argument('--intervals', nargs='+', type=int, default=[1, 2, 3, 5])
    parser.add_argument('--videos', type=int, help='number of videos (default: all)')
    parser.add_argument('--frames', type=int, help='frames per video (default: all; 15 generated ones)')
    parser.add_argument('--size', nargs=2, type=int, default=(480, 864), metavar=('HEIGHT', 'WIDTH'),
                        help='size of generated frames')
    args = parser.parse_args()
    init_default_scope('mmvc')
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    table = PrettyTable(['interval', 'network', 'flow', 'post', 'total, s', 'faster', 'same labels', 'mIoU', 'VC8',
                         'VC16'], align='r')
    baseline: list[np.ndarray] = []
    reference = None
    for interval in args.intervals:
        torch.manual_seed(0)
        cfg = load_config(args.config, stage=args.stage)
        cfg.load_from = None  # the weights are those of the option, or random
        inferencer = VideoSegInferencer(cfg, args.weights, 'cpu', show_progress=False,
                                        size=None if args.weights else tuple(args.size[::-1]),
                                        keyframe_interval=interval)
        if args.weights:
            videos = list(labelled_videos(inferencer, args.data_root, args.videos, args.frames))
        else:
            videos = [(moving_texture(args.frames or 15, *args.size), [], None)]
        parts, numbers = measure(inferencer, videos, baseline)
        total = sum(parts.values())
        reference = reference or total
        table.add_row([interval, *(f'{parts[name]:.3f}' for name in ('network', 'flow', 'post')), f'{total:.3f}',
                       f'{reference / total:.2f}', f'{100 * numbers["same labels"]:.2f} %',
                       *(f'{100 * numbers[name]:.2f}' if name in numbers else '-'
                         for name in ('mIoU', 'VC8', 'VC16'))])
    print(table)
    print('CPU seconds per frame on one thread' + ('' if args.weights else '; random weights and a moving texture'))


if __name__ == '__main__':
    main()
