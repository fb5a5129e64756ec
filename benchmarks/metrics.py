# Copyright (c) The mmvc contributors. All rights reserved.
"""Time the metrics on generated predictions, from the files to the numbers.

    python benchmarks/metrics.py                # the sizes for which the official scripts were timed
    python benchmarks/metrics.py --workers 2    # videos shared between two processes
    python benchmarks/metrics.py --videos 2     # fewer videos

Generating the files is not timed. "baseline" is a straightforward implementation of the same definitions: it compares
all frames of a window, passes over the pixels once per segment, and merges one mask per pair. It is timed on one video
and scaled to all of them. "official" quotes the times of the official scripts on 2 shared vCPUs for the full size.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from prettytable import PrettyTable
from pycocotools import mask as mask_utils

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mmvc.evaluation import functional as F  # noqa: E402
from mmvc.formats.label_maps import read_label_map, read_panoptic_map  # noqa: E402
from mmvc.utils import keep_freed_memory  # noqa: E402
from mmvc.utils.jobs import prefetch  # noqa: E402

NUM_CLASSES = 124
ISTHING = [index % 2 == 0 for index in range(NUM_CLASSES)]
VSS_SIZE, VPS_SIZE, VIS_SIZE = (70, 480, 853), (24, 720, 1280), (36, 720, 1280)
OFFICIAL_SECONDS = {'mIoU, VC8, VC16': 11.7, 'VPQ (5 windows)': 190.0, 'STQ': 20.0, 'AP': 1.2}
GOAL_SECONDS = {'mIoU, VC8, VC16': 5.0, 'VPQ (5 windows)': 12.0, 'STQ': 2.5, 'AP': 0.6}


# --- generated videos ---


def moving_regions(rng: np.random.Generator, num_frames: int, height: int, width: int, num_regions: int):
    """Yield maps of region indices, uint8 (H, W): moving Voronoi cells with wavy borders."""
    step = 2
    y, x = np.mgrid[:height:step, :width:step].astype(np.float32)
    y = y + 6 * np.sin(x / 23)
    sites = rng.uniform(0, 1, (num_regions, 2)) * (height, width)
    speed = rng.normal(0, 1.5, (num_regions, 2))
    for t in range(num_frames):
        nearest, region = np.full(y.shape, np.inf, np.float32), np.zeros(y.shape, np.uint8)
        for index, (cy, cx) in enumerate(sites + t * speed):
            distance = (y - np.float32(cy))**2 + (x - np.float32(cx))**2
            closer = distance < nearest
            nearest[closer], region[closer] = distance[closer], index
        yield cv2.resize(region, (width, height), interpolation=cv2.INTER_NEAREST)


def disturb(rng: np.random.Generator, regions: np.ndarray, num_regions: int) -> np.ndarray:
    """Make a prediction with shifted borders and small blobs of other regions."""
    pred = np.roll(regions, (2, -3), (0, 1))
    for _ in range(40):
        cy, cx = rng.integers(0, regions.shape[0]), rng.integers(0, regions.shape[1])
        cv2.circle(pred, (int(cx), int(cy)), int(rng.integers(3, 15)), int(rng.integers(num_regions)), -1)
    return pred


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write with Pillow's default settings, as the converters of the benchmarks and most projects do."""
    Image.fromarray(pixels).save(path)


def write_vss(folder: Path, index: int) -> None:
    rng = np.random.default_rng(index)
    classes = rng.permutation(NUM_CLASSES)[:25].astype(np.uint8)
    for t, regions in enumerate(moving_regions(rng, *VSS_SIZE, 25)):
        write_png(folder / f'{t:03d}_gt.png', classes[regions] + 1)
        write_png(folder / f'{t:03d}_pred.png', classes[disturb(rng, regions, 25)])


def write_vps(folder: Path, index: int) -> None:
    rng = np.random.default_rng(index)
    ids = rng.choice(np.arange(1, 1 << 24), 18, replace=False)
    colours = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=1).astype(np.uint8)
    classes = rng.integers(0, NUM_CLASSES, 18)
    frames = []
    for t, regions in enumerate(moving_regions(rng, *VPS_SIZE, 18)):
        pred = disturb(rng, regions, 18)
        write_png(folder / f'{t:03d}_gt.png', colours[regions])
        write_png(folder / f'{t:03d}_pred.png', colours[pred])
        frames.append([[dict(id=int(ids[r]), category_id=int(classes[r])) for r in np.unique(regions_of)]
                       for regions_of in (regions, pred)])
    (folder / 'segments.json').write_text(json.dumps(frames))


def write_vis(folder: Path, index: int) -> None:
    rng = np.random.default_rng(index)
    num_frames, height, width = VIS_SIZE

    def track(category, centre, speed, radius):
        segmentations = []
        for t in range(num_frames):
            mask = np.zeros((height, width), np.uint8)
            cy, cx = centre + t * speed
            cv2.ellipse(mask, (int(cx), int(cy)), (int(radius), int(radius * 0.6)), 3.0 * t, 0, 360, 1, -1)
            rle = mask_utils.encode(np.asfortranarray(mask))
            segmentations.append(dict(size=rle['size'], counts=rle['counts'].decode()) if mask.any() else None)
        return dict(category_id=int(category), segmentations=segmentations)

    truths, detections = [], []
    for _ in range(3):
        category = rng.integers(5)
        centre, speed, radius = rng.uniform(0.2, 0.8, 2) * (height, width), rng.normal(0, 4, 2), rng.uniform(40, 250)
        truths.append(track(category, centre, speed, radius))
        for _ in range(3):
            found = track(category, centre + rng.normal(0, 15, 2), speed, radius * rng.uniform(0.8, 1.2))
            detections.append(dict(found, score=float(rng.random())))
    detections.append(dict(truths[0], score=0.1, category_id=5))
    (folder / 'tracks.json').write_text(json.dumps([truths, detections]))


# --- one video, from its files to its counts ---


def read_pairs(folder: Path, read: Callable) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield ground truth and prediction of each frame; two threads decode ahead."""
    names = sorted(str(path) for path in folder.glob('*.png'))  # gt, pred, gt, pred, ...
    maps = prefetch(read, names)
    return zip(maps, maps)


def vss_video(folder: Path):
    confusion, consistency = F.ConfusionMatrix(NUM_CLASSES), F.VideoConsistency()
    for gt, pred in read_pairs(folder, read_label_map):
        confusion.update(gt, pred)
        consistency.update(gt, pred)
    return confusion.counts, consistency.windows


def vps_video(folder: Path, accumulate: Callable):
    accumulator = accumulate()
    segments = json.loads((folder / 'segments.json').read_text())
    for (gt, pred), of_frame in zip(read_pairs(folder, read_panoptic_map), segments):
        accumulator.update(F.compare_panoptic(gt, pred, *of_frame))
    return accumulator


def vis_video(folder: Path):
    truths, detections = json.loads((folder / 'tracks.json').read_text())
    return F.match_video(truths, detections, *VIS_SIZE[1:], VIS_SIZE[0])


def vss_numbers(videos) -> str:
    scores = F.semantic_scores(sum(counts for counts, _ in videos))
    vc = {n: F.mean_consistency([pair for _, windows in videos for pair in windows[n]]) for n in (8, 16)}
    return f'mIoU {scores["mIoU"]:.4f}, VC8 {vc[8]:.4f}, VC16 {vc[16]:.4f}'


def vpq_numbers(videos) -> str:
    counts = sum(video.counts for video in videos)
    return f'VPQ {F.vpq(counts, F.SCRIPT_WINDOWS, ISTHING)["All"]:.4f}'


def stq_numbers(videos) -> str:
    return f'STQ {F.stq([video.compute() for video in videos])["STQ"]:.4f}'


def vis_numbers(videos) -> str:
    categories: dict[int, list] = {}
    for video in videos:
        for category_id, matched in video.items():
            categories.setdefault(category_id, []).append(matched)
    return f'AP {F.track_scores(categories, F.range_names(False))["AP"]:.4f}'


# --- the same definitions in a straightforward form ---


def baseline_vss(folder: Path) -> str:
    names = sorted(str(path) for path in folder.glob('*.png'))
    gts, preds = (np.stack([cv2.imread(name, cv2.IMREAD_UNCHANGED) for name in part])
                  for part in (names[::2], names[1::2]))
    confusion = np.zeros((NUM_CLASSES, NUM_CLASSES))
    for gt, pred in zip(gts, preds):
        valid = (gt >= 1) & (gt <= NUM_CLASSES)
        pairs = (gt[valid].astype(int) - 1) * NUM_CLASSES + pred[valid]
        confusion += np.bincount(pairs, minlength=NUM_CLASSES**2).reshape(NUM_CLASSES, NUM_CLASSES)
    vc = {}
    for n in (8, 16):
        values = []
        for i in range(len(gts) - n):
            common = np.all(gts[i:i + n] == gts[i], axis=0)
            kept = common & np.all(preds[i:i + n] == preds[i], axis=0)
            values.append(kept.sum() / common.sum())
        vc[n] = np.mean(values)
    hits, in_gt = np.diagonal(confusion), confusion.sum(1)
    union = in_gt + confusion.sum(0) - hits
    iou = hits[in_gt > 0] / union[in_gt > 0]
    return f'mIoU {iou.mean():.4f}, VC8 {vc[8]:.4f}, VC16 {vc[16]:.4f}'


def baseline_read_vps(folder: Path):
    names = sorted(str(path) for path in folder.glob('*.png'))
    maps = [cv2.imread(name)[..., ::-1].astype(np.int64) @ [1, 256, 65536] for name in names]
    segments = json.loads((folder / 'segments.json').read_text())
    return np.stack(maps[::2]), np.stack(maps[1::2]), segments


def baseline_vpq(folder: Path) -> str:
    gts, preds, segments = baseline_read_vps(folder)
    values = []
    for k in F.PAPER_WINDOWS + (8, ):
        counts = np.zeros((NUM_CLASSES, 4))
        for i in range(len(gts) - k + 1):
            gt, pred = gts[i:i + k], preds[i:i + k]
            classes = [{s['id']: s['category_id'] for of_frame in segments[i:i + k] for s in of_frame[side]}
                       for side in (0, 1)]
            matched = set()
            for g, category_id in classes[0].items():
                for p in np.unique(pred[gt == g]):
                    if classes[1][p] == category_id:
                        iou = ((gt == g) & (pred == p)).sum() / ((gt == g) | (pred == p)).sum()
                        if iou > 0.5:
                            counts[category_id, :2] += iou, 1
                            matched |= {('g', g), ('p', p)}
            for g, category_id in classes[0].items():
                counts[category_id, 3] += ('g', g) not in matched
            for p, category_id in classes[1].items():
                counts[category_id, 2] += ('p', p) not in matched
        values.append(F.mean_panoptic_quality(counts, ISTHING)['All']['pq'])
    return f'VPQ {np.mean(values[:-1]):.4f}'


def baseline_stq(folder: Path) -> str:
    gts, preds, segments = baseline_read_vps(folder)
    class_of = {s['id']: s['category_id'] for of_frame in segments for side in of_frame for s in side}
    lookup, index = np.unique(np.stack([gts, preds]), return_inverse=True)
    gt_class, pred_class = np.array([class_of[i] for i in lookup])[index.reshape(2, *gts.shape)]
    iou = [((gt_class == c) & (pred_class == c)).sum() / ((gt_class == c) | (pred_class == c)).sum()
           for c in set(class_of.values())]
    association = []
    for g in (i for i in np.unique(gts) if ISTHING[class_of[i]]):
        total = 0.0
        for p in (i for i in np.unique(preds[gts == g]) if ISTHING[class_of[i]]):
            inter = ((gts == g) & (preds == p)).sum()
            total += inter * inter / ((gts == g) | (preds == p)).sum()
        association.append(total / (gts == g).sum())
    return f'STQ {np.sqrt(np.mean(association) * np.mean(iou)):.4f}'


def baseline_vis(folder: Path) -> str:
    truths, detections = json.loads((folder / 'tracks.json').read_text())
    for detection in detections:
        for truth in truths:
            if detection['category_id'] == truth['category_id']:
                for d, g in zip(detection['segmentations'], truth['segmentations']):
                    for intersect in (True, False):
                        mask_utils.area(mask_utils.merge([m for m in (d, g) if m], intersect))
    return 'only the IoU between tracks'


def timed(baseline: Callable, folder: Path) -> tuple[str, float]:
    start = time.perf_counter()
    return baseline(folder), time.perf_counter() - start


def start_process() -> None:
    """Set up a process as tools/evaluate.py does."""
    cv2.setNumThreads(1)
    keep_freed_memory()


METRICS = {
    'mIoU, VC8, VC16': ('vss', vss_video, vss_numbers, baseline_vss),
    'VPQ (5 windows)': ('vps', partial(vps_video, accumulate=partial(F.VideoPanopticQuality, NUM_CLASSES)),
                        vpq_numbers, baseline_vpq),
    'STQ': ('vps', partial(vps_video, accumulate=partial(F.SegmentationTrackingQuality, ISTHING)), stq_numbers,
            baseline_stq),
    'AP': ('vis', vis_video, vis_numbers, baseline_vis),
}
TASKS = dict(vss=(write_vss, 10), vps=(write_vps, 10), vis=(write_vis, 50))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--workers', type=int, default=1, help='processes that share the videos')
    parser.add_argument('--videos', type=int, help='number of videos (default: 10 for VSS and VPS, 50 for VIS)')
    parser.add_argument('--data-dir', type=Path, help='folder for the generated files (default: a temporary one)')
    args = parser.parse_args()
    start_process()

    table = PrettyTable(['metric', 'videos', 'seconds', 'CPU', 'goal', 'official', 'baseline', 'numbers'], align='r')
    pool = ProcessPoolExecutor(max(args.workers, 2), initializer=start_process)
    with tempfile.TemporaryDirectory() as temporary, pool:
        list(pool.map(abs, range(args.workers)))  # start the processes
        root = args.data_dir or Path(temporary)
        for name, (task, count, numbers, baseline) in METRICS.items():
            write, full_size = TASKS[task]
            size = args.videos or full_size
            folders = [root / task / str(index) for index in range(size)]
            missing = [(folder, index) for index, folder in enumerate(folders) if not folder.exists()]
            for folder, _ in missing:
                folder.mkdir(parents=True)
            list(pool.map(write, *zip(*missing)) if missing else ())

            start, cpu_start = time.perf_counter(), time.process_time()
            result = numbers(list(map(count, folders) if args.workers < 2 else pool.map(count, folders)))
            seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start

            single = numbers([count(folders[0])])
            of_baseline, baseline_seconds = pool.submit(timed, baseline, folders[0]).result()
            if task != 'vis' and of_baseline != single:
                raise AssertionError(f'{name}: the baseline gives {of_baseline} on one video, not {single}')
            full = size == full_size
            table.add_row([name, size, f'{seconds:.2f}', f'{cpu_seconds:.2f}' if args.workers < 2 else '-',
                           GOAL_SECONDS[name] if full else '-', OFFICIAL_SECONDS[name] if full else '-',
                           f'{baseline_seconds * size:.1f}', result])
    print(table)
    print(f'{args.workers} process(es), decoding in two threads each; {os.cpu_count()} CPUs; peak memory of this '
          f'process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB. CPU: its CPU seconds, '
          'to compare on a busy machine. goal and official: seconds for the full size.')


if __name__ == '__main__':
    main()
