# Copyright (c) The mmvc contributors. All rights reserved.
"""The archive that a benchmark's server takes."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

from mmvc.formats.label_maps import read_label_map
from mmvc.formats.vspw import FRAME_SUFFIX, frame_of
from mmvc.utils.atomic import atomic_path
from mmvc.utils.errors import DataError
from mmvc.utils.image_files import read_image
from mmvc.utils.names import output_path
from mmvc.utils.progress import ProgressBars
from mmvc.utils.typing import PathLike


def write_submission(pred_dir: PathLike, images: Mapping[str, Sequence[PathLike]], num_classes: int,
                     path: PathLike, image_ending: str = FRAME_SUFFIX) -> Path:
    """Check predictions and pack them as ``<video>/<frame>.png``.

    Every frame is decoded, so that the server does not refuse the archive days later.

    Args:
        pred_dir (str | Path): Folder of ``<video>/<frame>.png``, 8-bit class indices.
        images (Mapping[str, Sequence[str | Path]]): Image files by video: the frames to submit. The first one of a
            video defines the expected size.
        num_classes (int): Number of classes.
        path (str | Path): Archive to write; appears when it is complete.
        image_ending (str): Ending of the image files; the rest is the name of the frame. Defaults to '.jpg'.

    Returns:
        Path: The archive.

    Raises:
        FileNotFoundError: A frame has no prediction, or an image is missing.
        DataError: A file is damaged or has another size than the image, or a value is no class.
    """
    path = Path(path)
    # PNGs are compressed already, so they are only stored
    with ProgressBars('videos') as progress, atomic_path(path) as draft, \
            zipfile.ZipFile(draft, 'w', zipfile.ZIP_STORED) as archive:
        for video, frames in progress.track(images.items(), len(images), 'packing'):
            expected = _size_of(Path(frames[0]))
            for frame in frames:
                file = output_path(pred_dir, video, frame_of(frame, image_ending), suffix='.png')
                _check(file, expected, num_classes)
                archive.write(file, f'{video}/{file.name}')
    return path


def _size_of(image: Path) -> tuple:
    """Height and width of an image."""
    if not image.is_file():
        raise FileNotFoundError(f'image "{image}" does not exist')
    return read_image(image, cv2.IMREAD_GRAYSCALE).shape


def _check(file: Path, expected: tuple, num_classes: int) -> None:
    if not file.is_file():
        raise FileNotFoundError(f'prediction "{file}" does not exist: predict every frame before submitting')
    labels = read_label_map(str(file))
    if labels.shape != expected:
        raise DataError(f'prediction "{file}" has the size {labels.shape}, its image {expected}: predict at the size '
                        'of the frames')
    if labels.max() >= num_classes:
        raise DataError(f'prediction "{file}" has the value {labels.max()}: expected class indices from 0 to '
                        f'{num_classes - 1}')
