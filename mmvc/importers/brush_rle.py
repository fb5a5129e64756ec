# Copyright (c) The mmvc contributors. All rights reserved.
"""Decoder of the run-length encoding in which Label Studio stores what was painted with its brush.

Label Studio packs the pixels in the format of the JavaScript package ``rle-pack``: a stream of bits, the highest bit
of each byte first.

- header: number of values (32 bits), bits per value minus 1 (5 bits), and four lengths of counts in bits, each minus 1
  (4 bits each)
- then blocks: one bit that says whether one value is repeated, the number of the count's length (2 bits), the count
  minus 1 in that many bits, and then one value, or as many values as the count says

The values are the bytes R, G, B, A of the pixels, row by row. A pixel belongs to the mask if its A is not 0.
"""

from collections.abc import Sequence

import numpy as np

from mmvc.utils.errors import DataError

_CHANNELS = 4
_BITS_PER_VALUE = 8
_REMEDY = 'export the annotations again'


def decode_brush_rle(rle: Sequence[int], height: int, width: int) -> np.ndarray:
    """Decode a mask.

    Args:
        rle (Sequence[int]): Bytes of the encoding, each in [0, 255].
        height (int): Height of the image, in pixels.
        width (int): Width of the image, in pixels.

    Returns:
        np.ndarray: Mask, bool, shape (H, W).

    Raises:
        DataError: It is not a list of bytes, is cut off, or has not as many values as the image.
    """
    if not all(type(byte) is int and 0 <= byte <= 255 for byte in rle):
        raise DataError(f'the brush mask is not a list of whole numbers from 0 to 255: {_REMEDY}')
    stream = _BitStream(bytes(rle))
    num_values = stream.read(32)
    if num_values != height * width * _CHANNELS:
        raise DataError(f'the brush mask has {num_values} values, but an image of {height} x {width} pixels (height x '
                        f'width) has {height * width * _CHANNELS}: {_REMEDY}')
    bits_per_value = stream.read(5) + 1
    if bits_per_value != _BITS_PER_VALUE:
        raise DataError(f'the brush mask has {bits_per_value} bits per value, not {_BITS_PER_VALUE}: {_REMEDY}')
    lengths = [stream.read(4) + 1 for _ in range(4)]
    values = np.empty(num_values, np.uint8)
    start = 0
    while start < num_values:
        is_repeated = stream.read(1)
        stop = start + stream.read(lengths[stream.read(2)]) + 1
        if stop > num_values:
            raise DataError(f'a run of the brush mask ends behind its last value: {_REMEDY}')
        values[start:stop] = stream.read(_BITS_PER_VALUE) if is_repeated else stream.read_bytes(stop - start)
        start = stop
    return values.reshape(height, width, _CHANNELS)[..., 3] > 0


class _BitStream:
    """Reads numbers of any length in bits, the highest bit first.

    Args:
        content (bytes): The bytes.
    """

    def __init__(self, content: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(content, np.uint8))
        self._text = (self._bits + ord('0')).tobytes()  # Python reads numbers much faster from text
        self._position = 0

    def read(self, num_bits: int) -> int:
        """Read a number of ``num_bits`` bits."""
        return int(self._text[self._advance(num_bits)], 2)

    def read_bytes(self, count: int) -> np.ndarray:
        """Read ``count`` numbers of 8 bits, uint8."""
        return np.packbits(self._bits[self._advance(8 * count)])

    def _advance(self, num_bits: int) -> slice:
        start, self._position = self._position, self._position + num_bits
        if self._position > len(self._bits):
            raise DataError(f'the brush mask is cut off: {_REMEDY}')
        return slice(start, self._position)
