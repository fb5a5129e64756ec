# Copyright (c) The mmvc contributors. All rights reserved.
"""What the converters share: parallel jobs with a progress bar, listing, resizing and writing frames."""
from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.utils import ProgressBar
from PIL import Image

from mmvc.datasets.synthetic.dataset import parallel_map
from mmvc.utils.errors import DataError
from mmvc.utils.image_files import find_damage


def run_jobs(function: Callable, jobs: Sequence, workers: int) -> Iterator[Any]:
    """Yield ``function(job)`` in the order of the jobs, computed by ``workers`` processes, under a progress bar."""
    if workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    if not jobs:
        return
    progress = ProgressBar(len(jobs))
    try:
        for result in parallel_map(function, jobs, min(workers, len(jobs))):
            progress.update()
            yield result
    finally:
        print()  # the bar does not end its line


def files_in(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Visible files of a folder by name without suffix, sorted; none if there is no such folder.

    Args:
        folder (Path): The folder.
        suffixes (sequence[str]): Wanted endings, in lower case.
    """
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith('.'))
    return {os.path.splitext(name)[0]: folder / name for name in names
            if os.path.splitext(name)[1].lower() in suffixes}


def videos_in(folder: Path) -> list[str]:
    """Names of the visible folders in ``folder``, sorted.

    Raises:
        FileNotFoundError: There is no such folder, or nothing in it.
    """
    videos = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith('.')) \
        if folder.is_dir() else []
    if not videos:
        raise FileNotFoundError(f'"{folder}" has no folders of videos: is this the root of the downloaded dataset?')
    return videos


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears under its name when it is complete, even if the process is killed meanwhile.

    Unlike :func:`mmvc.engine.atomic_io.atomic_write` it does not wait for the disk, which takes longer than converting
    a frame: after a power cut, check the dataset.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'.{path.name}.tmp')
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    except OSError as error:  # of a full disk it does not say which file
        draft.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def open_image(path: Path) -> Image.Image:
    """Open and decode an image.

    Raises:
        DataError: The file is damaged or not an image.
    """
    content = path.read_bytes()
    damage = find_damage(content)
    if damage is not None:
        raise DataError(f'cannot decode "{path}" ({damage}): download it again')
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except Exception as error:  # a damaged file can fail in any way
        raise DataError(f'cannot decode "{path}" ({error}): download it again') from error
    return image


def check_sizes(height: int, quality: int) -> None:
    """Raise an error unless the height of the result is positive and the JPEG quality in 1..100."""
    if height < 1:
        raise DataError(f'height must be at least 1, got {height}')
    if not 1 <= quality <= 100:
        raise DataError(f'quality must be in 1..100, got {quality}')


def size_at_height(size: tuple[int, int], height: int) -> tuple[int, int]:
    """Width and height of a frame resized to ``height``, the width cut off to a whole number."""
    return int(height * size[0] / size[1]), height


def encode_frame(path: Path, frame: Image.Image, size: tuple[int, int], quality: int) -> bytes:
    """JPEG of a frame at a size (bilinear); the file's own content if it has that size already."""
    if frame.size == size:
        return path.read_bytes()
    buffer = io.BytesIO()
    frame.convert('RGB').resize(size, Image.Resampling.BILINEAR).save(buffer, 'JPEG', quality=quality)
    return buffer.getvalue()


def encode_mask(mask: Image.Image, size: tuple[int, int]) -> bytes:
    """PNG of a mask at a size (nearest neighbour): values and palette stay."""
    buffer = io.BytesIO()
    mask.resize(size, Image.Resampling.NEAREST).save(buffer, 'PNG')
    return buffer.getvalue()
