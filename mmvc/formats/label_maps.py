# Copyright (c) The mmvc contributors. All rights reserved.
"""Reading label images exactly as they are stored, without colour conversion."""

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2
import mmengine.fileio as fileio
import numpy as np
from PIL import Image

from mmvc.utils.errors import DataError
from mmvc.utils.image_files import find_damage

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_PNG_GREY_8_BIT = b'\x08\x00'  # bytes 24 and 25 of the file: bit depth, colour type


def read_label_map(path: str, backend_args: dict | None = None) -> np.ndarray:
    """Read the raw values of a single-channel label image.

    A palette image gives its indices, never its colours.

    Args:
        path (str): Image file, 8 bits per pixel, grey or with a palette.
        backend_args (dict, optional): Where files lie, see :func:`mmengine.fileio.get`. Defaults to None (local disk).

    Returns:
        np.ndarray: Raw values, uint8, shape (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If the file is damaged, is not an image or has more than one channel.
    """
    content = _read(path, backend_args)
    if content[:8] == _PNG_SIGNATURE and content[24:26] == _PNG_GREY_8_BIT:
        label_map = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)  # faster than Pillow
    else:
        try:
            with Image.open(io.BytesIO(content)) as image:
                label_map = np.array(image)
        except Exception as error:  # a damaged file can fail in any way
            raise DataError(f'label map "{path}" cannot be decoded ({error}): restore the file') from error
    if label_map is None:
        raise DataError(f'label map "{path}" cannot be decoded: restore the file')
    if label_map.ndim != 2 or label_map.dtype != np.uint8:
        raise DataError(f'label map "{path}" has shape {label_map.shape} and type {label_map.dtype}: expected one '
                        '8-bit value per pixel (grey or palette image), not colours')
    return label_map


def read_panoptic_map(path: str, backend_args: dict | None = None) -> np.ndarray:
    """Read segment ids from a colour PNG: id = R + 256 G + 65536 B.

    Args:
        path (str): Image file with three channels of 8 bits.
        backend_args (dict, optional): Where files lie, see :func:`mmengine.fileio.get`. Defaults to None (local disk).

    Returns:
        np.ndarray: Segment ids in [0, 2^24), 0 = void, int32, shape (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If the file is damaged, is not an image or has not three channels.
    """
    content = _read(path, backend_args)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:  # a size beyond all bounds
        raise DataError(f'panoptic map "{path}" cannot be decoded ({error}): restore the file') from error
    if image is None:
        raise DataError(f'panoptic map "{path}" cannot be decoded: restore the file')
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DataError(f'panoptic map "{path}" has shape {image.shape} and type {image.dtype}: expected a colour '
                        'image with id = R + 256 G + 65536 B')
    # four bytes R, G, B, 255 read as one little-endian number
    ids = cv2.cvtColor(image, cv2.COLOR_BGR2RGBA).view('<i4')[..., 0]
    ids &= 0xffffff
    return ids


def encode_panoptic_map(ids: np.ndarray) -> bytes:
    """Encode segment ids as the PNG that :func:`read_panoptic_map` reads.

    Args:
        ids (np.ndarray): Segment ids in [0, 2^24), integer, shape (H, W).

    Returns:
        bytes: Content of the PNG file.

    Raises:
        ValueError: If an id does not fit 24 bits.
    """
    if ids.size and not 0 <= ids.min() <= ids.max() < 1 << 24:
        raise ValueError(f'segment ids {ids.min()}..{ids.max()} do not fit the 24 bits of a colour PNG')
    bgr = np.stack([ids >> 16, ids >> 8 & 255, ids & 255], axis=-1).astype(np.uint8)
    return cv2.imencode('.png', bgr)[1].tobytes()


def prefetch(function: Callable, items: Iterable, ahead: int = 4) -> Iterator[Any]:
    """Map in order, computing a few results ahead in two threads: decoding images leaves Python to the other threads.

    Args:
        function (Callable): Called with each item.
        items (Iterable): The items.
        ahead (int): How many results are computed, and held, ahead. Defaults to 4.

    Yields:
        Any: ``function(item)``, in the order of the items.
    """
    with ThreadPoolExecutor(2) as pool:
        waiting: deque[Future] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read(path: str, backend_args: dict | None) -> bytes:
    try:
        content = fileio.get(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'"{path}" does not exist: check data_root and that the files of this split are '
                                'complete') from error
    damage = find_damage(content)
    if damage is not None:
        raise DataError(f'"{path}" cannot be decoded ({damage}): restore the file')
    return content
