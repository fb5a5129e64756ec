# Copyright (c) The mmvc contributors. All rights reserved.
"""Encoder of Label Studio's brush masks, written from the description of the format and not from the decoder."""

import numpy as np


def bits_of(value: int, length: int) -> str:
    """Binary digits of a number."""
    return f'{value:0{length}b}'


def to_bytes(bits: str) -> list[int]:
    """Bytes of binary digits; the last one is filled up with zeros."""
    bits += '0' * (-len(bits) % 8)
    return [int(bits[start:start + 8], 2) for start in range(0, len(bits), 8)]


def encode_brush(mask: np.ndarray, lengths: tuple[int, ...] = (2, 4, 8, 16)) -> list[int]:
    """Encode a mask: white with full alpha where it is True. Runs of one value alternate with lists of values."""
    values = np.repeat(mask.astype(np.uint8).reshape(-1) * 255, 4).tolist()
    bits = bits_of(len(values), 32) + bits_of(7, 5) + ''.join(bits_of(length - 1, 4) for length in lengths)
    start = 0
    while start < len(values):
        stop = start
        while stop < len(values) and values[stop] == values[start] and stop - start < 1 << lengths[-1]:
            stop += 1
        if stop - start < 5:  # a short run, together with the next values
            stop = min(start + 6, len(values))
            block, head = ''.join(bits_of(value, 8) for value in values[start:stop]), '0'
        else:
            block, head = bits_of(values[start], 8), '1'
        count = stop - start - 1
        number = next(number for number, length in enumerate(lengths) if count < 1 << length)
        bits += head + bits_of(number, 2) + bits_of(count, lengths[number]) + block
        start = stop
    return to_bytes(bits)
