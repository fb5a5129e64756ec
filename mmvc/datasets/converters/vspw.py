# Copyright (c) The mmvc contributors. All rights reserved.
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from mmvc.formats import vspw
from mmvc.formats.label_maps import read_label_map
from mmvc.utils.arguments import check_number
from mmvc.utils.atomic import atomic_write
from mmvc.utils.batch import Failure, report_broken
from mmvc.utils.errors import DataError
from mmvc.utils.files import FRAME_SUFFIXES, files_in, videos_in
from mmvc.utils.folder_lock import hold_folder
from mmvc.utils.image_files import read_size
from mmvc.utils.jobs import run_jobs
from mmvc.utils.outputs import protect_inputs

from .files import (
    check_videos,
    copy_list,
    encode_frame,
    encode_mask,
    is_whole,
    keep_settings,
    open_frame,
    open_mask,
    read_lists,
    size_at_height,
)


@dataclass
class VSPWSummary:
    """Counts of videos, frames and masks, and how many of the files existed already."""
    videos: int = 0
    frames: int = 0
    masks: int = 0
    already_there: int = 0

    def __add__(self, other: 'VSPWSummary') -> 'VSPWSummary':
        """Sum of the counts."""
        return VSPWSummary(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def convert_vspw(src: Path, dst: Path, height: int = 480, quality: int = 75, workers: int = 1,
                 dry_run: bool = False, overwrite: bool = False, keep_going: bool = False) -> VSPWSummary:
    """Resize VSPW: frames bilinear, masks nearest, width = int(height * width / height).

    Args:
        src (Path): Root of the full-resolution release: ``data/<video>/{origin,mask}`` and the lists.
        dst (Path): Root of the result, in the same layout. Complete files in it are kept.
        height (int): Height of the result in pixels. Defaults to 480.
        quality (int): JPEG quality, 1 to 100. Defaults to 75.
        workers (int): Number of processes. Defaults to 1.
        dry_run (bool): Whether to only count. Defaults to False.
        overwrite (bool): Whether to convert everything again. Defaults to False.
        keep_going (bool): Whether to go on with the other videos if files of one are broken or missing, and to name
            all of those in the end. Defaults to False: the first one is an error.

    Returns:
        VSPWSummary: Counts.

    Raises:
        FileNotFoundError: ``src`` is not VSPW, lacks a video of a list or the mask of a training or validation frame.
        UsageError: ``height`` or ``quality`` is out of range, or ``dst`` was converted with another one, is ``src``
            or within it, or is in use by another process.
        DataError: A file cannot be decoded, frame and mask differ in size, a mask has no frame, or two files are of
            one frame.
    """
    check_number('height', height, 1, whole=True)
    check_number('quality', quality, 1, 100, whole=True)
    videos = videos_in(src / vspw.VIDEOS)
    folders = (vspw.folder_of(dst, folder, video) for video in videos for folder in (vspw.FRAMES, vspw.MASKS))
    protect_inputs([dst, *folders], [src], 'DST')
    lists = read_lists(src, videos)
    splits = {video: split for split in ('val', 'train') for video in lists.get(split, ())}
    intact, broken = check_videos(lambda video: _check_files(src, splits.get(video), video), videos, keep_going)
    if dry_run:
        summary = sum(map(_count, run_jobs(partial(_todo, src, dst, height), intact, workers)), VSPWSummary())
        if broken:
            report_broken(broken, len(videos), 'counted')
        return summary
    with hold_folder(dst):
        if overwrite:  # before the settings are noted: no file of others is left then
            for video in intact:
                for _, frame_target, _, mask_target in _pairs(src, dst, video):
                    frame_target.unlink(missing_ok=True)
                    mask_target.unlink(missing_ok=True)
        keep_settings(dst, dict(height=height, quality=quality), overwrite)
        convert = partial(_convert_video, src, dst, height, quality)
        results = dict(zip(intact, run_jobs(convert, intact, workers, keep_going)))
        broken.update({video: result.error for video, result in results.items() if isinstance(result, Failure)})
        if broken:
            report_broken(broken, len(videos), 'converted')
        summary = sum(results.values(), VSPWSummary())
        for split in lists:
            copy_list(src, dst, split)
    return summary


def _check_files(src: Path, split: str | None, video: str) -> None:
    """Raise an error if frames and masks do not match, or a frame of training or validation has no mask."""
    for frame, _, mask, _ in _pairs(src, src, video):
        if mask is None and split is not None:
            raise FileNotFoundError(f'frame "{frame}" of video "{video}" of {vspw.list_file(split)} has no mask: '
                                    'download the masks again')


def _pairs(src: Path, dst: Path, video: str) -> list[tuple[Path, Path, Path | None, Path]]:
    """Frame, its target, its mask (if any) and the mask's target."""
    frames = files_in(vspw.folder_of(src, vspw.FRAMES, video), FRAME_SUFFIXES)
    masks = files_in(vspw.folder_of(src, vspw.MASKS, video), (vspw.MASK_SUFFIX, ))
    vspw.require_frames(video, vspw.folder_of(src, vspw.FRAMES, video), frames, masks)
    frame_dir, mask_dir = (vspw.folder_of(dst, folder, video) for folder in (vspw.FRAMES, vspw.MASKS))
    return [(path, frame_dir / f'{stem}{vspw.FRAME_SUFFIX}', masks.get(stem), mask_dir / f'{stem}{vspw.MASK_SUFFIX}')
            for stem, path in frames.items()]


def _todo(src: Path, dst: Path, height: int, video: str) -> list[tuple]:
    """List the :func:`_pairs`, and whether the targets of frame and mask are complete (False without a mask)."""
    pairs = []
    for frame, frame_target, mask, mask_target in _pairs(src, dst, video):
        there = frame_target.exists() or mask_target.exists()
        size = size_at_height(read_size(frame) or (1, 1), height) if there else (0, 0)
        pairs.append((frame, frame_target, mask, mask_target, is_whole(frame_target, size),
                      mask is not None and is_whole(mask_target, size)))
    return pairs


def _count(pairs: list[tuple]) -> VSPWSummary:
    return VSPWSummary(1, len(pairs), sum(mask is not None for _, _, mask, *_ in pairs),
                       sum(frame_there + mask_there for *_, frame_there, mask_there in pairs))


def _convert_video(src: Path, dst: Path, height: int, quality: int, video: str) -> VSPWSummary:
    pairs = _todo(src, dst, height, video)
    for frame_path, frame_target, mask_path, mask_target, frame_there, mask_there in pairs:
        missing_mask = None if mask_there else mask_path
        if frame_there and missing_mask is None:
            continue
        frame = open_frame(frame_path)
        size = size_at_height(frame.size, height)
        if not frame_there:
            atomic_write(frame_target, encode_frame(frame_path, frame, size, quality), sync=False)
        if missing_mask is not None:
            mask = open_mask(missing_mask)
            read_label_map(str(missing_mask))
            if mask.size != frame.size:
                raise DataError(f'mask "{missing_mask}" (width, height = {mask.size}) differs in size from its frame '
                                f'"{frame_path}" {frame.size}: download both again')
            atomic_write(mask_target, encode_mask(mask, size), sync=False)
    return _count(pairs)
