# Copyright (c) The mmvc contributors. All rights reserved.
from __future__ import annotations

import shutil
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from .jobs import (
    check_sizes,
    encode_frame,
    encode_mask,
    files_in,
    open_image,
    run_jobs,
    size_at_height,
    videos_in,
    write_whole,
)

LISTS = ('train.txt', 'val.txt', 'test.txt')


@dataclass
class VSPWSummary:
    """What there was to do: counts of videos, frames and masks, and how many of the files were there already."""
    videos: int = 0
    frames: int = 0
    masks: int = 0
    already_there: int = 0

    def __add__(self, other: VSPWSummary) -> VSPWSummary:
        """Sum of the counts."""
        return VSPWSummary(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def convert_vspw(src: Path, dst: Path, height: int = 480, quality: int = 75, workers: int = 1,
                 dry_run: bool = False) -> VSPWSummary:
    """Resize VSPW: frames bilinear, masks nearest, width = int(height * width / height).

    Args:
        src (Path): Root of the full-resolution release: ``data/<video>/{origin,mask}`` and the lists.
        dst (Path): Root of the result, in the same layout. Files in it are kept: an interrupted run goes on.
        height (int): Height of the result in pixels. Defaults to 480.
        quality (int): JPEG quality, 1 to 100. Defaults to 75.
        workers (int): Number of processes. Defaults to 1.
        dry_run (bool): Whether to only count. Defaults to False.

    Returns:
        VSPWSummary: Counts.

    Raises:
        FileNotFoundError: ``src`` is not VSPW.
        ValueError: A file cannot be decoded, or frame and mask differ in size.
    """
    check_sizes(height, quality)
    videos = videos_in(src / 'data')
    if dry_run:
        return sum((_count(src, dst, video) for video in videos), VSPWSummary())
    convert = partial(_convert_video, src, dst, height, quality)
    summary = sum(run_jobs(convert, videos, workers), VSPWSummary())
    for name in LISTS:
        if (src / name).is_file():
            shutil.copyfile(src / name, dst / name)
    return summary


def _pairs(src: Path, dst: Path, video: str) -> list[tuple[Path, Path, Path | None, Path]]:
    """Frame, its target, its mask (if any) and the mask's target."""
    frames = files_in(src / 'data' / video / 'origin', ('.jpg', '.jpeg', '.png'))
    masks = files_in(src / 'data' / video / 'mask', ('.png', ))
    target = dst / 'data' / video
    return [(path, target / 'origin' / f'{stem}.jpg', masks.get(stem), target / 'mask' / f'{stem}.png')
            for stem, path in frames.items()]


def _count(src: Path, dst: Path, video: str) -> VSPWSummary:
    pairs = _pairs(src, dst, video)
    there = sum(frame.exists() for _, frame, _, _ in pairs) + sum(
        target.exists() for _, _, mask, target in pairs if mask is not None)
    return VSPWSummary(1, len(pairs), sum(mask is not None for _, _, mask, _ in pairs), there)


def _convert_video(src: Path, dst: Path, height: int, quality: int, video: str) -> VSPWSummary:
    summary = _count(src, dst, video)
    for frame_path, frame_target, mask_path, mask_target in _pairs(src, dst, video):
        frame_is_there = frame_target.exists()
        missing_mask = None if mask_target.exists() else mask_path
        if frame_is_there and missing_mask is None:
            continue
        frame = open_image(frame_path)
        size = size_at_height(frame.size, height)
        if not frame_is_there:
            write_whole(frame_target, encode_frame(frame_path, frame, size, quality))
        if missing_mask is not None:
            mask = open_image(missing_mask)
            if mask.size != frame.size:
                raise ValueError(f'mask "{missing_mask}" (width, height = {mask.size}) differs in size from its frame '
                                 f'"{frame_path}" {frame.size}: download both again')
            write_whole(mask_target, encode_mask(mask, size))
    return summary
