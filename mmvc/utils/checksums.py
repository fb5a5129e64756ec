# Copyright (c) The mmvc contributors. All rights reserved.
import hashlib
from pathlib import Path


def file_digest(path: str | Path, algorithm: str = 'sha256') -> str:
    """Hexadecimal digest of a file of any size.

    Args:
        path (str | Path): The file.
        algorithm (str): Name that :mod:`hashlib` knows. Defaults to 'sha256'.
    """
    digest = hashlib.new(algorithm)
    with open(path, 'rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def fits_checksum(path: str | Path, checksum: str) -> bool:
    """Whether a file has a checksum.

    Args:
        path (str | Path): The file.
        checksum (str): Name of the algorithm and its hexadecimal result, or the beginning of it, like
            ``sha256:0676ba61``.
    """
    algorithm, _, expected = checksum.partition(':')
    return file_digest(path, algorithm).startswith(expected)
