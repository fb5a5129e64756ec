# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmvc.datasets import BaseVideoSegDataset
from mmvc.evaluation.functional import ConfusionMatrix, VideoConsistency, vss_classes, vss_numbers
from mmvc.evaluation.metrics.utils import to_dense, to_sparse
from mmvc.formats.label_maps import read_label_map
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.files import files_in, require_placeholder
from mmvc.utils.jobs import prefetch, run_jobs
from mmvc.utils.typing import PathLike

from .files import compare_files, find_missing, named
from .report import Report


class VSSVideo(NamedTuple):
    """Files of one video, in the order of its frames; None where there is no prediction."""
    name: str
    gt: list[str]
    pred: list[str | None]


def list_masks(root: PathLike, ann_file: str = 'val.txt', masks: str = 'data/{video}/mask') -> dict[str, list[str]]:
    """List the ground truth of a split.

    Args:
        root (str | Path): Root of the dataset.
        ann_file (str): Text file with one video name per line, relative to the root. Defaults to VSPW's 'val.txt'.
        masks (str): Folder of a video's masks, relative to the root. Defaults to VSPW's.

    Returns:
        dict[str, list[str]]: Mask files in the order of the frames, by video, in the order of the list.

    Raises:
        FileNotFoundError: The root, the list or a video's folder is missing.
        DataError: The list names no video or one twice, or a video has no masks.
    """
    require_placeholder(masks)
    videos = BaseVideoSegDataset(
        ann_file=ann_file,
        data_root=str(root),
        data_prefix=dict(img_path=masks, seg_map_path=masks),  # the images are not needed
        img_suffix='.png',
        metainfo=dict(classes=('any', )),
        test_mode=True,
        lazy_init=True).load_data_list()
    return {video['video_id']: [image['seg_map_path'] for image in video['images']] for video in videos}


def find_unlabelled(root: PathLike, masks: Mapping[str, Sequence[str]],
                    images: str = 'data/{video}/origin') -> list[str]:
    """List the frames that have an image and no mask, ``<video>/<frame>``.

    Args:
        root (str | Path): Root of the dataset.
        masks (Mapping[str, Sequence[str]]): Ground truth, see :func:`list_masks`.
        images (str): Folder of a video's images, relative to the root; a video without one is passed over. Defaults
            to VSPW's.
    """
    unlabelled = []
    for video, paths in masks.items():
        frames = files_in(Path(root, images.replace('{video}', video)), ('.jpg', '.jpeg', '.png'))
        labelled = {Path(path).stem for path in paths}
        unlabelled += [f'{video}/{frame}' for frame in frames if frame not in labelled]
    return unlabelled


def evaluate_vss(pred_dir: PathLike,
                 masks: Mapping[str, Sequence[str]],
                 classes: Sequence[str],
                 label_offset: int = 1,
                 workers: int = 1,
                 allow_missing: bool = False,
                 unlabelled: Sequence[str] = ()) -> Report:
    """Score ``<pred_dir>/<video>/<frame>.png``: mIoU and video consistency.

    Args:
        pred_dir (str | Path): Folder of the predictions, 8-bit PNGs of class indices (255: no prediction) at the size
            of the masks.
        masks (Mapping[str, Sequence[str]]): Ground truth, see :func:`list_masks`.
        classes (Sequence[str]): Names of the classes.
        label_offset (int): Mask value of class 0. Defaults to 1, as in VSPW.
        workers (int): Number of processes; the numbers do not depend on it. Defaults to 1.
        allow_missing (bool): Whether frames may be missing. They count as pixels without a prediction, and no pixel
            of a window with such a frame counts as consistent. Defaults to False.
        unlabelled (Sequence[str]): Frames without ground truth, see :func:`find_unlabelled`: an error unless
            ``allow_missing``. Defaults to ().

    Returns:
        Report: Numbers as of :class:`VSSMetric`.

    Raises:
        FileNotFoundError: A folder or file is missing.
        DataError: A file cannot be decoded, a prediction has another size than its mask, or a value is no class.
    """
    if not masks:
        raise UsageError('no ground truth to compare with: "masks" is empty')
    if unlabelled and not allow_missing:
        raise FileNotFoundError(f'{len(unlabelled)} frames have an image and no ground truth: {named(unlabelled)}. '
                                'Download the masks again, or leave these frames out with --allow-missing '
                                '(allow_missing=True)')
    frames = {video: [Path(path).stem for path in paths] for video, paths in masks.items()}
    there, unused = compare_files(Path(pred_dir), frames)
    missing = find_missing(frames, there, allow_missing, f'"{pred_dir}/<video>/<frame>.png"')
    jobs = [VSSVideo(video, list(masks[video]), [str(Path(pred_dir, video, f'{name}.png'))
                                                 if name in there[video] else None for name in names])
            for video, names in frames.items()]
    score = partial(_score_video, num_classes=len(classes), label_offset=label_offset)
    entries = list(run_jobs(score, jobs, workers))

    windows = {n: [pair for entry in entries for pair in entry['windows'][n]] for n in entries[0]['windows']}
    numbers, counts = vss_numbers((to_dense(entry['confusion']) for entry in entries), windows)
    return Report(
        task='vss',
        numbers=numbers,
        classes=vss_classes(counts, classes),
        videos=[_video_row(job, entry) for job, entry in zip(jobs, entries)],
        sort_by='mIoU',
        missing=missing,
        unused=unused,
        notes=[f'WARNING: {len(unlabelled)} frames have no ground truth, not scored: {named(unlabelled)}']
        if unlabelled else [])


def _score_video(video: VSSVideo, num_classes: int, label_offset: int) -> dict[str, Any]:
    """Counts of one video."""
    confusion, consistency = ConfusionMatrix(num_classes, label_offset), VideoConsistency()
    maps = prefetch(_read, [path for pair in zip(video.gt, video.pred) for path in pair])
    for t, (gt, pred) in enumerate(zip(maps, maps)):
        try:
            if pred is None:
                confusion.update(gt, np.full_like(gt, ConfusionMatrix.NO_PREDICTION))
                # a value that no other frame has: being left out must not look consistent
                consistency.update(gt, np.full(gt.shape, -1 - t, np.int32))
            else:
                confusion.update(gt, pred)
                consistency.update(gt, pred)
        except ValueError as error:
            raise DataError(f'prediction "{video.pred[t]}", ground truth "{video.gt[t]}": {error}') from error
    return dict(confusion=to_sparse(confusion.counts), windows=consistency.windows)


def _read(path: str | None) -> np.ndarray | None:
    return None if path is None else read_label_map(path)


def _video_row(video: VSSVideo, entry: dict[str, Any]) -> dict:
    windows = entry['windows']
    numbers, _ = vss_numbers([to_dense(entry['confusion'])], windows)
    names = ('mIoU', 'aAcc', 'mAcc', 'fwIoU', *(f'VC{n}' for n in windows))
    return dict(video=video.name, frames=len(video.gt), missing=video.pred.count(None),
                **{name: numbers[name] for name in names})
