# Copyright (c) The mmvc contributors. All rights reserved.
"""What the converters share: parallel jobs with a progress bar, listing, resizing and writing frames."""
from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.utils import ProgressBar
from PIL import Image

from mmvc.datasets.synthetic.dataset import parallel_map
from mmvc.engine.atomic_io import atomic_write
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.image_files import find_damage

SPLITS = ('train', 'val', 'test')
SETTINGS = '.settings.json'  # what the files of a folder were converted with


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


def keep_settings(dst: Path, settings: dict, overwrite: bool) -> None:
    """Note in ``dst`` what its files are converted with.

    Args:
        dst (Path): Root of the result.
        settings (dict): What the content of the files depends on.
        overwrite (bool): Whether other settings than before are accepted.

    Raises:
        UsageError: Files in ``dst`` were converted with other settings.
    """
    path = dst / SETTINGS
    before = json.loads(path.read_bytes()) if path.is_file() else settings
    if before != settings and not overwrite:
        raise UsageError(f'"{dst}" was converted with {_in_words(before)}, not {_in_words(settings)}: ask for the '
                         'same, choose another folder, or convert everything anew with --overwrite')
    atomic_write(path, json.dumps(settings).encode())


def _in_words(settings: dict) -> str:
    return ', '.join(f'{name} {value}' for name, value in settings.items())


def is_whole(path: Path, size: tuple[int, int]) -> bool:
    """Whether an image is there, complete (see :func:`find_damage`) and of a size (width, height)."""
    try:
        content = path.read_bytes()
        if find_damage(content) is not None:
            return False
        with Image.open(io.BytesIO(content)) as image:
            return image.size == size
    except OSError:
        return False


def read_lists(src: Path, videos: Sequence[str]) -> dict[str, set[str]]:
    """Videos of the lists ``<split>.txt`` that there are, by split.

    Raises:
        DataError: A list is not text.
        FileNotFoundError: A list names a video that is not among ``videos``.
    """
    lists = {}
    for split in SPLITS:
        path = src / f'{split}.txt'
        if path.is_file():
            try:
                lines = path.read_text(encoding='utf-8').splitlines()
            except UnicodeDecodeError as error:
                raise DataError(f'"{path}" is not text in UTF-8 ({error}): download it again') from error
            lists[split] = {line.strip() for line in lines if line.strip()}
            missing = sorted(lists[split] - set(videos))
            if missing:
                raise FileNotFoundError(f'"{path}" names videos that "{src}" lacks: '
                                        f'{", ".join(missing[:10])}{" ..." if len(missing) > 10 else ""}')
    return lists


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
