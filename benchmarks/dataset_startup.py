# Copyright (c) The mmvc contributors. All rights reserved.
"""Measure time and memory of starting datasets as large as VSPW (3,536 videos, 251,633 frames), VIPSeg and OVIS.

    python benchmarks/dataset_startup.py [--folder FOLDER] [--dataset vspw vspw_image vipseg ovis]

The image files are empty, because the start-up reads only names and annotation files. --folder keeps them for the next
run. Each dataset is built in its own process. The columns are the seconds to build it (without imports of Python
packages), its CPU seconds, the peak memory of the process, the part of it that the imports take, and the memory of the
finished index. Limits: 10 s and 1 GiB.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from prettytable import PrettyTable

VSPW, VIPSEG, OVIS = (3536, 251633), (2806, 66767), (607, 41883)  # videos, frames; the training sets of the last two
LIMIT_SECONDS, LIMIT_MIB = 10, 1024


def lengths(num_videos: int, num_frames: int) -> dict[str, int]:
    """Return the name and number of frames of each video."""
    shorter, longer = divmod(num_frames, num_videos)
    return {f'{i:04d}_q7wXb{i * 7919 % 100000:05d}k': shorter + (i < longer) for i in range(num_videos)}


def touch(folder: Path, count: int, suffix: str) -> None:
    """Make empty files."""
    folder.mkdir(parents=True)
    for index in range(count):
        os.close(os.open(folder / f'{index:08d}{suffix}', os.O_CREAT | os.O_WRONLY))


def write_vspw(root: Path) -> None:
    """Write folders of frames and masks, and a list of videos."""
    for video, count in lengths(*VSPW).items():
        touch(root / 'data' / video / 'origin', count, '.jpg')
        touch(root / 'data' / video / 'mask', count, '.png')
    (root / 'train.txt').write_text('\n'.join(lengths(*VSPW)))


def write_vipseg(root: Path) -> None:
    """Write empty folders of videos (the start-up reads no files in them) and a JSON with ten segments per frame."""
    videos, annotations = [], []
    for video, count in lengths(*VIPSEG).items():
        (root / 'images' / video).mkdir(parents=True)
        names = [f'{index:08d}.png' for index in range(count)]
        segments = [dict(id=1000000 + i, category_id=i, iscrowd=0, area=90000 + i) for i in range(10)]
        videos.append(dict(video_id=video, images=[
            dict(id=name[:-4], width=1280, height=720, file_name=name) for name in names]))
        annotations.append(dict(video_id=video, annotations=[
            dict(image_id=name[:-4], file_name=name, segments_info=segments) for name in names]))
    from mmvc.datasets.converters.vipseg import CATEGORIES
    content = dict(videos=videos, annotations=annotations, categories=CATEGORIES)
    (root / 'train.json').write_text(json.dumps(content))


def write_ovis(root: Path) -> None:
    """Write seven objects of 300 bytes for every frame: about as many masks as OVIS has."""
    from mmvc.datasets.ovis import OVISDataset
    names = list(lengths(*OVIS))
    videos = [dict(id=i, width=1920, height=1080, length=69, file_names=[f'{name}/{t:08d}.jpg' for t in range(69)])
              for i, name in enumerate(names, 1)]
    for name in names:
        (root / 'train' / name).mkdir(parents=True)
    rle = dict(size=[1080, 1920], counts='x' * 300)
    annotations = [
        dict(id=7 * video['id'] + i, video_id=video['id'], category_id=i + 1, iscrowd=0, segmentations=[rle] * 69)
        for video in videos for i in range(7)
    ]
    categories = [dict(id=i, name=name) for i, name in enumerate(OVISDataset.METAINFO['classes'], 1)]
    (root / 'annotations_train.json').write_text(
        json.dumps(dict(videos=videos, annotations=annotations, categories=categories)))


def importer(name: str, root: str) -> Callable:
    """Import a dataset class; return a function that builds the dataset."""
    if name == 'vspw_image':
        from mmvc.datasets.vspw_image import VSPWImageDataset
        return lambda: VSPWImageDataset(data_root=root, ann_file='train.txt')
    from mmvc.datasets import OVISDataset, VIPSegDataset, VSPWDataset
    return dict(
        vspw=lambda: VSPWDataset(data_root=root, ann_file='train.txt'),
        vipseg=lambda: VIPSegDataset(data_root=root, ann_file='train.json'),
        ovis=lambda: OVISDataset(data_root=root, split='train'))[name]


def peak_mib() -> float:
    """Return the peak memory of this process in MiB; ``getrusage`` would include the peak of its parent."""
    return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) / 1024


def measure(name: str, root: str, send: Callable) -> None:
    """Build a dataset and send its time and memory."""
    build = importer(name, root)
    imports = peak_mib()
    start, start_cpu = time.perf_counter(), time.process_time()
    dataset = build()
    seconds, computing = time.perf_counter() - start, time.process_time() - start_cpu
    send((name, len(dataset), seconds, computing, peak_mib(), imports, dataset.data_bytes.nbytes / 2**20))


WRITERS = dict(vspw=write_vspw, vspw_image=write_vspw, vipseg=write_vipseg, ovis=write_ovis)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--folder', type=Path, help='keep the files in this folder (default: a temporary one)')
    parser.add_argument('--dataset', nargs='+', choices=list(WRITERS), default=list(WRITERS))
    args = parser.parse_args()
    context = multiprocessing.get_context('spawn')
    table = PrettyTable(
        ['dataset', 'items', 'seconds', 'computing', 'peak MiB', 'imports MiB', 'index MiB', 'in limits'], align='r')
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.dataset:
            root = (args.folder or Path(temporary)) / WRITERS[name].__name__
            if not (root / 'complete').exists():
                print(f'writing {root} ...', flush=True)
                WRITERS[name](root)
                (root / 'complete').touch()
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=measure, args=(name, str(root), sender.send))
            process.start()
            sender.close()
            row = receiver.recv()
            process.join()
            within = row[2] <= LIMIT_SECONDS and row[4] <= LIMIT_MIB
            table.add_row([*row[:2], *(f'{value:.1f}' for value in row[2:4]), *(f'{value:.0f}' for value in row[4:]),
                           'yes' if within else 'NO'])
    print(table)


if __name__ == '__main__':
    main()
