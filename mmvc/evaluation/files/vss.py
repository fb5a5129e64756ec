# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmvc.evaluation.functional import VSSCounter, VSSCounts, pool_windows, vss_classes, vss_numbers
from mmvc.formats.label_maps import read_label_map
from mmvc.formats.vspw import MASK_SUFFIX, frame_of
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.jobs import prefetch, run_jobs
from mmvc.utils.natural_order import natural_key
from mmvc.utils.typing import PathLike

from .completeness import compare_files, find_missing, leave_out, note_of_labels
from .report import ScoreReport


class VSSVideo(NamedTuple):
    """Files of one video, in the order of its frames.

    Attributes:
        name (str): Its name.
        gt (list[str | None]): Masks; None for a frame without labels.
        pred (list[str | None]): Predictions; None for a frame without prediction, or without labels.
    """
    name: str
    gt: list[str | None]
    pred: list[str | None]


def evaluate_vss(pred_dir: PathLike,
                 masks: Mapping[str, Sequence[str]],
                 classes: Sequence[str],
                 label_offset: int = 1,
                 workers: int = 1,
                 allow_missing: bool = False,
                 unlabelled: Sequence[str] = (),
                 void_values: Collection[int] | None = None,
                 mask_ending: str = MASK_SUFFIX,
                 sparse_labels: bool = False) -> ScoreReport:
    """Score ``<pred_dir>/<video>/<frame>.png``: mIoU and video consistency.

    Args:
        pred_dir (str | Path): Folder of the predictions, 8-bit PNGs of class indices (255: no prediction) at the size
            of the masks.
        masks (Mapping[str, Sequence[str]]): Ground truth, see :func:`mmvc.formats.vspw.list_masks`.
        classes (Sequence[str]): Names of the classes.
        label_offset (int): Mask value of class 0. Defaults to 1, as in VSPW.
        workers (int): Number of processes; the numbers do not depend on it. Defaults to 1.
        allow_missing (bool): Whether frames may be missing. They count as pixels without a prediction, and no pixel
            of a window with such a frame counts as consistent. Defaults to False.
        unlabelled (Sequence[str]): Frames without ground truth, see :func:`mmvc.formats.vspw.find_unlabelled`: an
            error unless ``allow_missing`` or ``sparse_labels``. Defaults to ().
        void_values (Collection[int], optional): Mask values of void. Defaults to None: all that are not classes.
        mask_ending (str): Ending of the masks' file names; the rest is the name of the frame. Defaults to '.png'.
        sparse_labels (bool): Whether the ``unlabelled`` frames are not to be scored, because only some frames are
            labelled. The windows of the video consistency do not reach over them. Defaults to False.

    Returns:
        ScoreReport: Numbers as of :class:`VSSMetric`.

    Raises:
        FileNotFoundError: A folder or file is missing, or a frame of a video has a prediction and no mask.
        DataError: A file cannot be decoded, a prediction has another size than its mask, or a value is not a class.
    """
    if not masks:
        raise UsageError('no ground truth to compare with: "masks" is empty')
    frames = {video: [frame_of(path, mask_ending) for path in paths] for video, paths in masks.items()}
    there, unused = compare_files(Path(pred_dir), frames)
    without: dict[str, list[str]] = {video: [] for video in masks}  # frames without labels, by video
    if sparse_labels:
        for name in unlabelled:
            without[name.rpartition('/')[0]].append(name.rpartition('/')[2])
        unused = sorted(set(unused).difference(unlabelled))
        notes = note_of_labels({video: (len(paths), len(paths) + len(without[video]))
                                for video, paths in masks.items()})
    else:
        notes = leave_out(unlabelled, 'an image', allow_missing)
    missing = find_missing(frames, there, allow_missing, f'"{pred_dir}/<video>/<frame>.png"')
    notes += leave_out([name for name in unused if '/' in name and name not in unlabelled], 'a prediction',
                       allow_missing)
    jobs = [_pair_frames(video, dict(zip(names, masks[video])), there[video], without[video])
            for video, names in frames.items()]
    score = partial(_score_video, num_classes=len(classes), label_offset=label_offset, void_values=void_values)
    counts: list[VSSCounts] = list(run_jobs(score, jobs, workers))

    windows = pool_windows(counts, list(counts[0].windows))
    numbers, confusion = vss_numbers((of_video.confusion.dense() for of_video in counts), windows)
    return ScoreReport(
        task='vss',
        numbers=numbers,
        classes=vss_classes(confusion, classes),
        videos=[_video_row(*row) for row in zip(jobs, counts)],
        sort_by='mIoU',
        missing=missing,
        unused=unused,
        notes=notes)


def _pair_frames(video: str, masks: Mapping[str, str], there: Mapping[str, Path],
                 unlabelled: Sequence[str]) -> VSSVideo:
    """Masks and predictions of a video, in the order of its frames."""
    names = sorted((*masks, *unlabelled), key=natural_key) if unlabelled else list(masks)
    return VSSVideo(video, [masks.get(name) for name in names],
                    [str(there[name]) if name in there and name in masks else None for name in names])


def _score_video(video: VSSVideo, num_classes: int, label_offset: int,
                 void_values: Collection[int] | None) -> VSSCounts:
    counter = VSSCounter(num_classes, label_offset, void_values=void_values)
    maps = prefetch(_read, [path for pair in zip(video.gt, video.pred) for path in pair])
    for t, (gt, pred) in enumerate(zip(maps, maps)):
        if gt is None:
            counter.skip()
            continue
        try:
            counter.update(gt, pred)
        except ValueError as error:
            raise DataError(f'prediction "{video.pred[t]}", ground truth "{video.gt[t]}": {error}') from error
    return counter.compute()


def _read(path: str | None) -> np.ndarray | None:
    return None if path is None else read_label_map(path)


def _video_row(video: VSSVideo, counts: VSSCounts) -> dict:
    numbers, _ = vss_numbers([counts.confusion.dense()], counts.windows)
    names = ('mIoU', 'aAcc', 'mAcc', 'fwIoU', *(f'VC{n}' for n in counts.windows))
    labelled = [pred for gt, pred in zip(video.gt, video.pred) if gt is not None]
    return dict(video=video.name, frames=len(labelled), missing=labelled.count(None),
                **{name: numbers[name] for name in names})
