# Copyright (c) The mmvc contributors. All rights reserved.
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mmvc.datasets.vspw import VSPWDataset
from mmvc.formats import vspw
from mmvc.formats.label_maps import read_label_map
from mmvc.utils.errors import DataError
from mmvc.utils.files import other_images
from mmvc.utils.jobs import run_jobs
from mmvc.utils.names import find_name_fault

from .report import CheckReport

NUM_VIDEOS = dict(train=2806, val=343, test=387)
FRAMES = (251633, 250412)  # full resolution, 480p


def check_vspw(root: Path,
               splits: Sequence[str] = vspw.SPLITS,
               workers: int = 1,
               quick: bool = False,
               own: bool = False,
               num_classes: int = 124,
               sparse_labels: bool = False) -> CheckReport:
    """Check a dataset in VSPW's layout.

    Args:
        root (Path): Root of the dataset.
        splits (sequence[str]): Splits; frames of ``test`` need no masks. Defaults to all.
        workers (int): Number of processes. Defaults to 1.
        quick (bool): Whether to read only the headers of images and no mask values. Defaults to False.
        own (bool): Whether it is another dataset in this layout, whose totals are not known. Defaults to False.
        num_classes (int): Number of classes. Defaults to 124.
        sparse_labels (bool): Whether frames may have no mask, but for one frame of each video. Defaults to False.

    Returns:
        CheckReport: The findings.
    """
    report = CheckReport()
    split_of: dict[str, str] = {}
    for split in splits:
        known = len(report.problems)
        path = root / vspw.list_file(split)
        report.count(split, videos=0, frames=0, labelled=0)
        if not path.is_file():
            report.add('missing file', str(path))
            continue
        try:
            names = Counter(vspw.listed_videos(path))
        except DataError as error:
            report.add('unreadable file', str(error))
            continue
        for video in list(names):
            fault = find_name_fault(video, str(path))
            if fault is not None:
                report.add('name', fault)
                del names[video]
        for video, times in names.items():
            if times > 1:
                report.add('list', f'{path}: names video "{video}" {times} times')
            if split_of.setdefault(video, split) != split:
                report.add('list', f'{path}: names video "{video}", and so does {vspw.list_file(split_of[video])}')
        for video_report in run_jobs(partial(_check_video, root, split, quick, num_classes, sparse_labels),
                                     list(names), workers):
            report.merge(video_report)
        if len(report.problems) == known:
            dataset = partial(VSPWDataset, ann_file=path.name, data_root=str(root), test_mode=split == 'test',
                              sparse_labels=sparse_labels, lazy_init=True)
            report.attempt_to_load(dataset)
    if not own:
        for split in splits:
            report.expect(split, 'videos', NUM_VIDEOS[split])
        if set(splits) == set(NUM_VIDEOS):
            report.expect('all', 'frames', FRAMES)
    return report


def _check_video(root: Path, split: str, quick: bool, num_classes: int, is_sparse: bool, video: str) -> CheckReport:
    report = CheckReport()
    folder = vspw.folder_of(root, vspw.FRAMES, video)
    frames = report.files_in(folder, (vspw.FRAME_SUFFIX, ))
    masks = report.files_in(vspw.folder_of(root, vspw.MASKS, video), (vspw.MASK_SUFFIX, ))
    report.others += other_images(folder, {path.name for path in frames.values()})
    report.count(split, videos=1, frames=len(frames), labelled=len(frames.keys() & masks.keys()))
    if is_sparse and frames:
        report.count_labels(split, video, len(frames.keys() & masks.keys()), len(frames))
    if not frames:
        report.add('missing file', f'{folder}: no frames')
    for stem, path in frames.items():
        size = report.image_size(path, quick)
        if size is not None:
            report.sizes[size] += 1
        if stem in masks:
            _check_mask(report, masks[stem], size, quick, num_classes)
        elif split != 'test' and not is_sparse:
            report.add('frame without mask', str(path))
    for stem in masks.keys() - frames.keys():
        report.add('mask without frame', str(masks[stem]))
    return report


def _check_mask(report: CheckReport, path: Path, size: tuple[int, int] | None, quick: bool, num_classes: int) -> None:
    if quick:
        mask_size = report.image_size(path, quick)
    else:
        try:
            mask = read_label_map(str(path))
        except (OSError, ValueError) as error:
            report.add('unreadable file', str(error))
            return
        mask_size = mask.shape[::-1]
        first = vspw.LABEL_OFFSET
        known = {*range(first, num_classes + first), *vspw.VOID_VALUES}
        unknown = sorted(set(np.flatnonzero(np.bincount(mask.reshape(-1))).tolist()) - known)
        if unknown:
            report.add('unknown id', f'{path}: values {unknown}; known are 1 to {num_classes}, 0 and 252 to 255 '
                                     '(void)')
    if size is not None and mask_size is not None and size != mask_size:
        report.add('size', f'{path}: {mask_size[0]} x {mask_size[1]}, its frame {size[0]} x {size[1]}')
