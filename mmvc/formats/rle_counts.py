# Copyright (c) The mmvc contributors. All rights reserved.
"""Decoder of compressed RLE counts: the text in which pycocotools stores the runs of a mask.

A number is stored in groups of 5 bits, the lowest first, each in a character from '0' on. The 6th bit says that
another character follows; the 5th bit of the last character is the sign. From the fourth run on, a number is the
difference to the run before last. Many masks are decoded together: one by one takes longer than comparing them.
"""

from collections.abc import Sequence

import numpy as np

from mmvc.utils.errors import DataError


def decode_runs(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Decode the runs of many masks.

    Args:
        texts (Sequence[bytes]): Counts of N masks, none empty.

    Returns:
        tuple[np.ndarray, np.ndarray]: Runs of all masks, one mask after the other, in pixels, int64, shape (R, ); and
        where each mask's runs start, int64, shape (N, ). Runs of damaged texts may be negative.

    Raises:
        DataError: A text has other characters, ends within a number, or has a number of more than 7 digits.
    """
    runs, num_runs = _decode_numbers(texts)
    starts = np.cumsum(num_runs) - num_runs
    third = starts[num_runs > 2] + 2
    runs[third] -= runs[third - 2]  # the third run is stored as it is
    ends = starts + num_runs
    for parity in (0, 1):  # a run and the one before last are in one chain, which here passes through all masks
        links = runs[parity::2]
        chain = np.zeros(len(links) + 1, np.int64)
        np.cumsum(links, out=chain[1:])
        first, end = (starts - parity + 1) // 2, (ends - parity + 1) // 2  # links of each mask
        links[:] = chain[1:] - np.repeat(chain[first], end - first)  # without the sum of the masks before
    return runs, starts


def _decode_numbers(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of all texts, and how many each text has, int64, shape (N, )."""
    codes = np.frombuffer(b''.join(texts), np.uint8) - np.uint8(48)  # wraps around below '0'
    lengths = np.array([len(text) for text in texts])
    ends = np.cumsum(lengths)
    if codes.max() > 63 or codes[ends - 1].max() > 31:
        raise DataError('the counts of the RLE are damaged or cut off; correct the annotation file')
    numbers = (codes[codes < 32] ^ 16).astype(np.int64) - 16  # the last characters, with their sign
    continued = np.flatnonzero(codes > 31)  # few: characters that another one follows
    number_of = continued - np.arange(len(continued))
    if continued.size:
        longer, first, digits = np.unique(number_of, return_index=True, return_counts=True)
        if digits.max() > 6:
            raise DataError('the counts of the RLE are damaged: a run has too many digits; correct the annotation '
                            'file')
        numbers[longer] <<= 5 * digits
        place = np.arange(len(continued)) - np.repeat(first, digits)
        np.add.at(numbers, number_of, (codes[continued].astype(np.int64) & 31) << 5 * place)
    return numbers, lengths - np.diff(np.searchsorted(continued, ends), prepend=0)
