# Copyright (c) The mmvc contributors. All rights reserved.
"""The archive for the server of a benchmark."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
from mmengine.utils import ProgressBar

from mmvc.formats.label_maps import read_label_map
from mmvc.utils.atomic import atomic_path
from mmvc.utils.errors import DataError
from mmvc.utils.typing import PathLike


def write_submission(pred_dir: PathLike, images: Mapping[str, Sequence[PathLike]], num_classes: int,
                     path: PathLike) -> Path:
    """Check predictions and pack them as ``<video>/<frame>.png``.

    Every frame is decoded, so that an error shows here and not on the server.

    Args:
        pred_dir (str | Path): Folder of ``<video>/<frame>.png``, 8-bit class indices.
        images (Mapping[str, Sequence[str | Path]]): Image files of the frames to submit, by video. The size of the
            first image is the expected size of all predictions of the video.
        num_classes (int): Number of classes.
        path (str | Path): Archive to write. It appears when it is complete.

    Returns:
        Path: The archive.

    Raises:
        FileNotFoundError: A frame has no prediction, or an image is missing.
        DataError: A file is damaged, differs in size from the image, or has a value that is not a class.
    """
    path = Path(path)
    progress = ProgressBar(len(images))
    try:
        # not compressed: PNGs are already
        with atomic_path(path) as draft, zipfile.ZipFile(draft, 'w', zipfile.ZIP_STORED) as archive:
            for video, frames in images.items():
                expected = _size_of(Path(frames[0]))
                for frame in frames:
                    file = Path(pred_dir, video, f'{Path(frame).stem}.png')
                    _check(file, expected, num_classes)
                    archive.write(file, f'{video}/{file.name}')
                progress.update()
    finally:
        print()  # the progress bar does not end its line
    return path


def _size_of(image: Path) -> tuple:
    """Read the height and width of an image."""
    if not image.is_file():
        raise FileNotFoundError(f'image "{image}" does not exist')
    decoded = cv2.imread(str(image), cv2.IMREAD_GRAYSCALE)
    if decoded is None:
        raise DataError(f'image "{image}" cannot be decoded: restore the file')
    return decoded.shape


def _check(file: Path, expected: tuple, num_classes: int) -> None:
    """Raise an error if a prediction is missing, damaged, or not a label map of the expected size."""
    if not file.is_file():
        raise FileNotFoundError(f'prediction "{file}" does not exist: predict every frame before submitting')
    labels = read_label_map(str(file))
    if labels.shape != expected:
        raise DataError(f'prediction "{file}" has the size {labels.shape}, its image {expected}: predict at the size '
                        'of the frames')
    if labels.max() >= num_classes:
        raise DataError(f'prediction "{file}" has the value {labels.max()}: expected class indices from 0 to '
                        f'{num_classes - 1}')
