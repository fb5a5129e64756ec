# Copyright (c) The mmvc contributors. All rights reserved.
"""Shared by the converters: lists, reading and encoding of images, and the settings of a converted folder."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmvc.formats.label_maps import require_exact
from mmvc.formats.vspw import SPLITS, list_file, read_video_list
from mmvc.utils.atomic import atomic_write, remove_orphaned_drafts
from mmvc.utils.batch import Failure, attempt
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.image_files import find_damage, orientation_of, read_image, size_of

SETTINGS = '.settings.json'  # the settings with which a folder was converted


def keep_settings(dst: Path, settings: dict, overwrite: bool) -> None:
    """Record in ``dst`` the settings with which its files are converted. Drafts of killed conversions are removed.

    Args:
        dst (Path): Root of the result.
        settings (dict): Settings that the content of the files depends on.
        overwrite (bool): Whether other settings than before are accepted.

    Raises:
        UsageError: Files in ``dst`` were converted with other settings.
    """
    path = dst / SETTINGS
    before = settings
    if path.is_file():
        try:
            before = dict(json.loads(path.read_bytes()))
        except (ValueError, TypeError) as error:
            if not overwrite:
                raise UsageError(f'"{path}" is damaged ({error}), so the settings of the files in "{dst}" are not '
                                 'known: convert everything again with --overwrite') from error
    if before != settings and not overwrite:
        changed = {name: value for name, value in settings.items() if before.get(name) != value}
        raise UsageError(f'"{dst}" was converted with {_in_words(before)}, not '
                         f'{_in_words(changed or settings)}: ask for the same, choose another folder, or convert '
                         'everything again with --overwrite')
    remove_orphaned_drafts(dst)
    atomic_write(path, json.dumps(settings).encode())


def _in_words(settings: dict) -> str:
    return ', '.join(f'{name} {value}' for name, value in settings.items())


def is_whole(path: Path, size: tuple[int, int]) -> bool:
    """Whether an image exists, is complete (see :func:`find_damage`) and has a size (width, height)."""
    try:
        content = path.read_bytes()
        if find_damage(content) is not None:
            return False
        with Image.open(io.BytesIO(content)) as image:
            return size_of(image) == size
    except OSError:
        return False


def read_lists(src: Path, videos: Sequence[str]) -> dict[str, set[str]]:
    """Read the lists ``<split>.txt`` that exist: names of the videos by split.

    Raises:
        DataError: A list is not text, empty, or names a video twice.
        FileNotFoundError: A list names a video that is not among ``videos``.
    """
    lists = {}
    for split in SPLITS:
        path = src / list_file(split)
        if path.is_file():
            lists[split] = set(read_video_list(path))
            missing = sorted(lists[split] - set(videos))
            if missing:
                raise FileNotFoundError(f'"{path}" names videos that "{src}" lacks: '
                                        f'{", ".join(missing[:10])}{" ..." if len(missing) > 10 else ""}')
    return lists


def check_videos(check: Callable[[str], None], videos: Sequence[str],
                 keep_going: bool) -> tuple[list[str], dict[str, str]]:
    """Check the files of all videos before anything is written.

    Args:
        check (Callable): Raises an error if files of a video are missing or do not match.
        videos (Sequence[str]): Names of the videos.
        keep_going (bool): Whether to return the errors. Otherwise the first one is raised.

    Returns:
        tuple: Videos without an error, and errors by video.
    """
    errors = {}
    for video in videos:
        outcome = attempt(check, video, keep_going=keep_going)
        if isinstance(outcome, Failure):
            errors[video] = outcome.error
    return [video for video in videos if video not in errors], errors


def copy_list(src: Path, dst: Path, split: str) -> None:
    """Copy the list of a split from one root to another."""
    atomic_write(dst / list_file(split), (src / list_file(split)).read_bytes())


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


def open_frame(path: Path) -> Image.Image:
    """Open a frame as a training loads it: turned as its EXIF orientation says, 16 bits divided by 256.

    Raises:
        DataError: The file is damaged or not an image.
    """
    image = open_image(path)
    if orientation_of(image) == 1 and image.mode in ('RGB', 'RGBA', 'L', 'LA', 'P'):
        return image
    return Image.fromarray(np.ascontiguousarray(read_image(path)[..., ::-1]))


def open_mask(path: Path) -> Image.Image:
    """Open a mask.

    Raises:
        DataError: The file is damaged, not an image, or does not hold the values that were saved, see
            :func:`require_exact`.
    """
    image = open_image(path)
    require_exact(path.read_bytes(), path)
    if image.mode in ('1', 'F') or len(image.getbands()) > 1:
        raise DataError(f'mask "{path}" is an image of the mode {image.mode}: save one number per pixel (grey or '
                        'palette image)')
    return image


def size_at_height(size: tuple[int, int], height: int) -> tuple[int, int]:
    """Width and height of a frame resized to ``height``, the width cut off to a whole number."""
    return int(height * size[0] / size[1]), height


def encode_frame(path: Path, frame: Image.Image, size: tuple[int, int], quality: int) -> bytes:
    """JPEG of a frame of :func:`open_frame` at a size (bilinear); the file's own content if that is the same."""
    if frame.size == size and frame.format is not None:  # a frame that was turned or has lost bits has no format
        return path.read_bytes()
    buffer = io.BytesIO()
    frame.convert('RGB').resize(size, Image.Resampling.BILINEAR).save(buffer, 'JPEG', quality=quality)
    return buffer.getvalue()


def encode_mask(mask: Image.Image, size: tuple[int, int]) -> bytes:
    """PNG of a mask at a size (nearest neighbour): values and palette stay."""
    buffer = io.BytesIO()
    mask.resize(size, Image.Resampling.NEAREST).save(buffer, 'PNG')
    return buffer.getvalue()
