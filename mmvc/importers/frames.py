# Copyright (c) The mmvc contributors. All rights reserved.
"""Puts the frames of a video into a folder: copies, links, or the frames of a video file."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from mmvc.apis.video_files import open_video
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.image_files import find_damage, read_image, read_size

from .source import SourceFrame, SourceVideo

FORMATS = dict(jpg='.jpg', png='.png')
LINKS = ('copy', 'hardlink', 'symlink')
_QUALITY = 95  # of a JPEG
_ALIASES = {'.jpeg': '.jpg', '.tif': '.tiff'}


def choose_suffix(videos: Sequence[SourceVideo], image_format: str | None = None) -> str:
    """Choose the one suffix of all frames of a dataset.

    Args:
        videos (Sequence[SourceVideo]): The videos.
        image_format (str, optional): One of ``FORMATS``. Defaults to None: that of the images if they have only one;
            otherwise PNG, which loses nothing. Frames of video files are JPEGs.

    Returns:
        str: The suffix, in lower case.
    """
    if image_format is not None:
        return FORMATS[image_format]
    found = {_kind(frame.image) for video in videos for frame in video.frames if frame.image is not None}
    if any(frame.image is None for video in videos for frame in video.frames):
        found.add('.jpg')
    return found.pop() if len(found) == 1 else '.png'


def write_frames(video: SourceVideo, names: Sequence[str], folder: Path, suffix: str, link: str) -> Iterator[None]:
    """Write the frames of a video, one for each step of the iterator.

    Args:
        video (SourceVideo): The video.
        names (Sequence[str]): Name of each frame, without suffix.
        folder (Path): Folder to write to.
        suffix (str): Suffix of the files. An image with another one is encoded again.
        link (str): One of ``LINKS``: how an image with this suffix gets there.

    Yields:
        None: After each frame.

    Raises:
        DataError: A frame is missing, damaged, or has another size than the annotations say.
        UsageError: The file system has no such links, or the video cannot be opened.
    """
    if video.video_file is not None:
        yield from _extract(video, names, folder, suffix)
        return
    for frame, name in zip(video.frames, names):
        if frame.image is None:
            raise DataError(f'video "{video.name}": the image of frame "{frame.name}" is not known: give the folder '
                            'of the images, or the video file (--images)')
        _place(frame, frame.image, folder / f'{name}{suffix}', video.size, link)
        yield


def _place(frame: SourceFrame, image: Path, target: Path, size: tuple[int, int], link: str) -> None:
    try:
        damage = find_damage(image.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f'the image "{image}" of frame "{frame.name}" does not exist: restore it, or give the folder '
                        'of the images (--images)') from error
    if damage is not None:
        raise DataError(f'the image "{image}" cannot be decoded ({damage}): restore the file')
    found = read_size(image)
    if found is None:
        raise DataError(f'"{image}" is not an image: restore the file')
    _require_size(found[::-1], size, f'"{image}"')
    if _kind(image) != target.suffix:
        target.write_bytes(_encode(read_image(image), target.suffix))
    elif link == 'copy':
        shutil.copyfile(image, target)
    else:
        try:
            os.link(image.resolve(), target) if link == 'hardlink' else os.symlink(image.resolve(), target)
        except OSError as error:
            raise UsageError(f'"{image}" cannot be linked ({error.strerror}): copy the frames (--frames copy)') \
                from error


def _extract(video: SourceVideo, names: Sequence[str], folder: Path, suffix: str) -> Iterator[None]:
    name_of = {frame.index: name for frame, name in zip(video.frames, names)}
    last, found = max(name_of, default=-1), 0
    with open_video(str(video.video_file)) as decoder:
        for index, content, _ in decoder.read():
            if index not in name_of:
                if index > last:
                    break
                continue
            if isinstance(content, str):
                raise DataError(f'video "{video.video_file}", frame {index}: {content}')
            _require_size(content.shape[:2], video.size, f'frame {index} of "{video.video_file}"')
            (folder / f'{name_of[index]}{suffix}').write_bytes(_encode(content, suffix))
            found += 1
            yield
    if found < len(name_of):
        raise DataError(f'video "{video.video_file}" has only {found} of the {len(name_of)} frames that the '
                        'annotations name: give the video that was labelled (--images)')


def _kind(image: Path) -> str:
    """Suffix of an image: one for each format."""
    suffix = image.suffix.lower()
    return _ALIASES.get(suffix, suffix)


def _encode(image: np.ndarray, suffix: str) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if suffix == '.jpg' else []
    return cv2.imencode(suffix, image, options)[1].tobytes()


def _require_size(found: tuple[int, ...], size: tuple[int, int], what: str) -> None:
    if tuple(found) != size:
        raise DataError(f'{what} has the size {tuple(found)}, its annotations are for {size} (height, width): give '
                        'the frames that were labelled (--images)')
