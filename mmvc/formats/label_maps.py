# Copyright (c) The mmvc contributors. All rights reserved.
"""Masks stored as images: maps of class indices (8 bits) and maps of segment ids (colours).

There is one reader for each kind. Training, scoring and the checks of datasets use it, so all see the same values.
"""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.image_files import JPEG_START, PNG_SIGNATURE, find_damage, orientation_of
from mmvc.utils.typing import PathLike

from .other_formats import IMPORTER

#: class index of pixels without a class
VOID_LABEL = 255
#: segment id of pixels without a segment
VOID_ID = 0
_LOSSY = ('JPEG', 'MPO', 'JPEG2000', 'AVIF', 'HEIF')
_PNG_GREY_8_BIT, _PNG_COLOUR_8_BIT = b'\x08\x00', b'\x08\x02'  # bytes 24 and 25 of the file: bit depth, colour type
# other depths whose values decoders change: they stretch few bits to 8, and cut off those beyond 8 of a colour
_CHANGED_DEPTHS = {b'\x02\x00': '2 bits in grey', b'\x04\x00': '4 bits in grey', b'\x10\x02': '16 bits per colour'}
_BITS_PER_SAMPLE = 258  # TIFF tag


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
        DataError: If the file is damaged, not an image or a JPEG, or has several channels or not 8 bits per pixel.
    """
    label_map = _read_values(path, backend_args)
    if label_map.ndim != 2:
        raise DataError(f'mask "{path}" is a colour image of shape {label_map.shape}: save one class index per pixel '
                        f'(grey or palette image), not colours. {IMPORTER} converts the colours and object ids of '
                        'annotation tools')
    if label_map.dtype.kind not in 'ui':
        raise DataError(f'mask "{path}" holds {label_map.dtype} numbers: save one class index per pixel as an 8-bit '
                        'grey or palette image')
    if label_map.dtype != np.uint8:
        raise DataError(f'mask "{path}" holds the value {label_map.max()} with more than 8 bits per pixel: save it as '
                        f'an 8-bit grey or palette image. {IMPORTER} converts the object ids of annotation tools')
    return label_map


def read_id_map(path: PathLike) -> np.ndarray:
    """Read the ids in a grey image of 1, 8 or 16 bits; a palette image gives its indices.

    A colour image is grey if its channels are equal, and its alpha channel, if it has one, is opaque.

    Args:
        path (str | Path): Image file.

    Returns:
        np.ndarray: Ids, int32, shape (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If the file is damaged, not an image or a JPEG, or has colours or no whole numbers.
    """
    ids = _read_values(str(path), None)
    if ids.ndim == 3 and _is_grey(ids):
        ids = ids[..., 0]
    if ids.ndim != 2:
        raise DataError(f'mask "{path}" is a colour image of shape {ids.shape}: save one id per pixel (grey or '
                        'palette image), not colours')
    if ids.dtype.kind not in 'uib' or ids.size and not 0 <= ids.min() <= ids.max() < 1 << 31:
        raise DataError(f'mask "{path}" holds {ids.dtype} numbers from {ids.min()} to {ids.max()}: save whole numbers '
                        'of 8 or 16 bits')
    return ids.astype(np.int32)


def _is_grey(image: np.ndarray) -> bool:
    """Whether the colour channels of an image, grey and alpha, RGB or RGBA, are equal, and its alpha is opaque."""
    colors = image[..., :-1] if image.shape[-1] in (2, 4) else image
    is_opaque = colors is image or bool((image[..., -1] == np.iinfo(image.dtype).max).all())
    return is_opaque and bool((colors == colors[..., :1]).all())


def require_label_map(num_classes: int) -> None:
    """Raise an error unless label maps can hold the indices of all classes, and 255 for pixels without one.

    Args:
        num_classes (int): Number of classes.

    Raises:
        UsageError: There are too many classes.
    """
    if num_classes > VOID_LABEL:
        raise UsageError(f'{num_classes} classes do not fit the 8-bit PNGs of the benchmark, which hold at most '
                         f'{VOID_LABEL}: do not ask for the official format, or train fewer classes')


def encode_label_map(labels: np.ndarray) -> bytes:
    """Encode class indices as the PNG that :func:`read_label_map` reads.

    Args:
        labels (np.ndarray): Values in [0, 255], integer, shape (H, W).

    Returns:
        bytes: Content of the PNG file, grey, 8 bits.

    Raises:
        ValueError: If a value does not fit 8 bits.
    """
    if labels.size and not 0 <= labels.min() <= labels.max() <= 255:
        raise ValueError(f'class indices {labels.min()}..{labels.max()} do not fit the 8 bits of a label map')
    return cv2.imencode('.png', labels.astype(np.uint8))[1].tobytes()


def read_panoptic_map(path: str, backend_args: dict | None = None) -> np.ndarray:
    """Read segment ids from a colour PNG: id = R + 256 G + 65536 B.

    A palette image gives its colours. In a grey image, of 8 or 16 bits, the value is the id.

    Args:
        path (str): Image file, three channels of 8 bits, with a palette, or grey.
        backend_args (dict, optional): Where files lie, see :func:`mmengine.fileio.get`. Defaults to None (local disk).

    Returns:
        np.ndarray: Segment ids in [0, 2^24), 0 = void, int32, shape (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If the file is damaged, is not an image, is a JPEG, has an alpha channel or 16 bits per colour, or
            has an id out of range.
    """
    content = _read(path, backend_args)
    image = None
    if content[24:26] == _PNG_COLOUR_8_BIT:
        image = _decode_by_opencv(content, path)
    if image is None or image.shape[2:] != (3, ):  # OpenCV adds alpha to a PNG with a transparent colour
        decoded = _decode_by_pillow(content, path)
        image = np.asarray(decoded.convert('RGB') if decoded.mode == 'P' else decoded)
        if image.ndim == 2 and image.dtype.kind in 'ui':
            if image.size and not 0 <= image.min() <= image.max() < 1 << 24:
                raise DataError(f'panoptic map "{path}" holds ids from {image.min()} to {image.max()}: save ids from '
                                '0 to 2^24 - 1')
            return image.astype(np.int32)
        if image.shape[2:] != (3, ):
            raise DataError(f'panoptic map "{path}" has the shape {image.shape} and {image.dtype} numbers: save a '
                            'colour image of three channels with id = R + 256 G + 65536 B. '
                            f'{IMPORTER} converts the masks of annotation tools')
        image = image[..., ::-1]
    # four bytes R, G, B, 255 read as one little-endian number
    ids = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2RGBA).view('<i4')[..., 0]
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


def segment_id(colour: Sequence[int]) -> int:
    """Return the segment id of a colour in a panoptic map.

    Args:
        colour (Sequence[int]): R, G and B, each in [0, 255].
    """
    red, green, blue = colour
    return red + 256 * green + 65536 * blue


def _read_values(path: str, backend_args: dict | None) -> np.ndarray:
    """Values of an image as they are stored, (H, W), or (H, W, channels) of one in colour."""
    content = _read(path, backend_args)
    values = None
    if content[24:26] == _PNG_GREY_8_BIT:
        values = _decode_by_opencv(content, path)  # faster than Pillow
    if values is None or values.ndim != 2:  # OpenCV adds channels to a grey PNG with a transparent value
        values = np.asarray(_decode_by_pillow(content, path))
    return values


def _read(path: str, backend_args: dict | None) -> bytes:
    from mmengine import fileio  # slow to import, and not needed for --help
    try:
        content = fileio.get(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'"{path}" does not exist: check data_root and that the files of this split are '
                                'complete') from error
    damage = find_damage(content)
    if damage is not None:
        raise DataError(f'"{path}" cannot be decoded ({damage}): restore the file')
    require_exact(content, path)
    return content


def require_exact(content: bytes, path: PathLike) -> None:
    """Raise an error unless the values of a mask are those that were saved, at the place where they are seen.

    Args:
        content (bytes): Content of the file.
        path (str | Path): The file, for the error.

    Raises:
        DataError: The image is compressed with a loss, has a number of bits that decoders change, is animated, or has
            an EXIF orientation by which viewers turn it.
    """
    if content.startswith(JPEG_START):
        raise DataError(f'mask "{path}" is a JPEG, whose compression changes the values: save masks as PNG')
    depth = None
    if content.startswith(PNG_SIGNATURE):
        depth = _CHANGED_DEPTHS.get(content[24:26])
        if depth is None and b'eXIf' not in content and b'acTL' not in content:
            return
    try:
        with Image.open(io.BytesIO(content)) as image:
            num_frames = getattr(image, 'n_frames', 1)
            depth = depth or _changed_tiff_depth(image)
            kind, compression = image.format, str(image.info.get('compression'))
            orientation = 1 if kind == 'TIFF' else orientation_of(image)  # Pillow turns these, OpenCV does, too
    except Exception:  # the decoder says what is wrong
        return
    if kind in _LOSSY or kind == 'WEBP' and b'VP8L' not in content[:64] or 'jpeg' in compression:
        raise DataError(f'mask "{path}" is a {kind} with a compression that changes the values: save masks as PNG')
    if depth is not None:
        raise DataError(f'mask "{path}" is a {kind} with {depth}, whose values decoders change: save it with 8 bits')
    if num_frames > 1:
        raise DataError(f'mask "{path}" has {num_frames} pictures: save each mask in a file of its own')
    if orientation != 1:
        raise DataError(f'mask "{path}" has an EXIF orientation ({orientation}): save it as it is to be seen, without '
                        'that entry')


def _changed_tiff_depth(image: Image.Image) -> str | None:
    bits = image.tag_v2.get(_BITS_PER_SAMPLE, (8, )) if isinstance(image, TiffImageFile) else (8, )
    if image.mode == 'L' and bits[0] in (2, 4):
        return f'{bits[0]} bits in grey'
    return '16 bits per colour' if image.mode == 'RGB' and bits[0] == 16 else None


def _decode_by_opencv(content: bytes, path: str) -> np.ndarray | None:
    """Decode an image without conversions (BGR if in colour); None if it is not a PNG or OpenCV cannot decode it."""
    if not content.startswith(PNG_SIGNATURE):
        return None
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:  # the header names a size that OpenCV refuses
        raise DataError(f'"{path}" cannot be decoded ({error}): restore the file') from error


def _decode_by_pillow(content: bytes, path: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except Exception as error:  # a damaged file can fail in any way
        raise DataError(f'"{path}" cannot be decoded ({error}): restore the file') from error
    return image
