# Copyright (c) The mmvc contributors. All rights reserved.
"""Reading image files: what decoders would accept although it is damaged, or too large for the memory.

Decoders fill missing rows with grey or decode wrong values. A frame is turned as its EXIF orientation says, wherever
it is loaded, converted or checked.
"""

import io
import os
import re
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from .errors import DataError, UsageError

PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
JPEG_START = b'\xff\xd8'
_ORIENTATION = 0x112  # EXIF tag
#: environment variable with the largest size of an image in megapixels
SIZE_VARIABLE = 'MMVC_MAX_MEGAPIXELS'
_MAX_MEGAPIXELS = 178.  # half a gigabyte in colour; from here on, Pillow refuses by itself
_JPEG_MARKER = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]', re.DOTALL)
_JPEG_END, _JPEG_TEMPORARY = 0xd9, 0x01  # last byte of the marker at the end, and of one without a length


def find_damage(content: bytes) -> str | None:
    """Look for damage in an image file, and for a size that fills the memory, without decoding it.

    Args:
        content (bytes): Content of the file.

    Returns:
        str | None: The damage: an empty file, more pixels than the limit, a truncated PNG, a PNG with a wrong
        checksum, a truncated JPEG, or a WebP with an EXIF orientation, which OpenCV does not read. None otherwise.
        Flipped bytes in a JPEG are not detected, because JPEG has no checksums.

    Raises:
        UsageError: The environment variable ``MMVC_MAX_MEGAPIXELS`` is not a number.
    """
    if not content:
        return 'the file is empty'
    excess = find_excess(_pixels(content))
    if excess is not None:
        return excess
    if content.startswith(PNG_SIGNATURE):
        return _find_png_damage(memoryview(content))
    if content.startswith(JPEG_START) and not _has_jpeg_end(content):
        return 'the JPEG is cut off'
    if content.startswith(b'RIFF') and content[8:12] == b'WEBP' and b'EXIF' in content:
        return _find_unread_orientation(content)
    return None


def find_excess(pixels: float) -> str | None:
    """Compare the size of an image, or of the frames of a video, with the limit.

    Args:
        pixels (float): Number of pixels.

    Returns:
        str | None: What is wrong, if there are more than the limit. None otherwise.

    Raises:
        UsageError: The environment variable ``MMVC_MAX_MEGAPIXELS`` is not a number.
    """
    limit, size = max_megapixels(), pixels / 1e6
    if size <= limit:
        return None
    return (f'its {size:.0f} megapixels are more than the limit of {limit:g}: if they fit the memory, set the '
            f'environment variable {SIZE_VARIABLE}={np.ceil(size):.0f}')


def max_megapixels() -> float:
    """Largest size of an image in millions of pixels: 178, or the value of ``MMVC_MAX_MEGAPIXELS``.

    Raises:
        UsageError: That value is not a number above 0.
    """
    text = os.environ.get(SIZE_VARIABLE, str(_MAX_MEGAPIXELS))
    try:
        limit = float(text)
    except ValueError:
        limit = 0.
    if not limit > 0:
        raise UsageError(f'the environment variable {SIZE_VARIABLE} must be a number above 0, found "{text}"')
    return limit


def read_image(path: str | os.PathLike, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Read an image file.

    Args:
        path (str | PathLike): File.
        flags (int): As for :func:`cv2.imread`. Defaults to ``cv2.IMREAD_COLOR``.

    Returns:
        np.ndarray: Image, (H, W, 3) in BGR or (H, W), as the flags say.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file is damaged, too large or not an image.
    """
    content = Path(path).read_bytes()
    damage, image = find_damage(content), None
    if damage is None:
        try:
            image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        except cv2.error as error:
            damage = str(error).strip()
    if image is None:
        raise DataError(f'image "{path}" cannot be decoded ({damage or "it is not an image"}): restore the file')
    return image


def _pixels(content: bytes) -> int:
    """Number of pixels that the header of an image says; 0 if it is no image."""
    if content.startswith(PNG_SIGNATURE):
        return int.from_bytes(content[16:20], 'big') * int.from_bytes(content[20:24], 'big')
    _set_limit_of_pillow()
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.width * image.height
    except Image.DecompressionBombError as error:
        return int(re.findall(r'\d+', str(error))[0])
    except Exception:  # the decoder says what is wrong with it
        return 0


def _set_limit_of_pillow() -> None:
    """Pillow has a limit of its own: it warns from there on, and raises an error from the double."""
    Image.MAX_IMAGE_PIXELS = max(1, int(min(max_megapixels() * 1e6, 1 << 40)))


def _has_jpeg_end(content: bytes) -> bool:
    """Whether a JPEG reaches its end marker. What stands behind it, such as the clip of a motion photo, is ignored."""
    position = len(JPEG_START)
    # The marker may occur within a segment (a thumbnail), so segments are skipped by their lengths. The data of a scan
    # follow its segment: in them, 0xff comes only before 0 and in restart markers, which the pattern passes over.
    while (marker := _JPEG_MARKER.search(content, position)) is not None:
        position = marker.end()
        if marker[0][-1] == _JPEG_END:
            return True
        if marker[0][-1] != _JPEG_TEMPORARY:
            position += int.from_bytes(content[position:position + 2], 'big')
    return False


def _find_unread_orientation(content: bytes) -> str | None:
    try:
        with Image.open(io.BytesIO(content)) as image:
            orientation = orientation_of(image)
    except Exception:  # the decoder says what is wrong with it
        return None
    if orientation == 1:
        return None
    return (f'its EXIF orientation ({orientation}) is not read from a WebP: save it as it is to be seen, without that '
            'entry')


def _find_png_damage(content: memoryview) -> str | None:
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(content):
        stop = position + 8 + int.from_bytes(content[position:position + 4], 'big')
        if stop + 4 > len(content):
            break
        if zlib.crc32(content[position + 4:stop]) != int.from_bytes(content[stop:stop + 4], 'big'):
            return 'a checksum of the PNG does not match'
        if bytes(content[position + 4:position + 8]) == b'IEND':
            return None
        position = stop + 4
    return 'the PNG is cut off'


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation of an image: 1 (as it is stored) to 8, where 3 is upside down and 5 to 8 lie on a side.

    Args:
        image (Image.Image): The image, opened and not turned yet.
    """
    orientation = image.getexif().get(_ORIENTATION, 1)
    return orientation if orientation in range(1, 9) else 1


def size_of(image: Image.Image) -> tuple[int, int]:
    """Width and height of an image when it is loaded: turned as its EXIF orientation says.

    Args:
        image (Image.Image): The image, opened and not turned yet.
    """
    turned = image.format != 'TIFF' and orientation_of(image) >= 5  # Pillow turns TIFF itself
    return image.size[::-1] if turned else image.size


def read_size(path: str | Path) -> tuple[int, int] | None:
    """Width and height of an image file when it is loaded, from its header; None if it cannot be read.

    Args:
        path (str | Path): The file.
    """
    _set_limit_of_pillow()
    try:
        with Image.open(path) as image:
            return size_of(image)
    except Exception:  # a damaged file can fail in any way
        return None
