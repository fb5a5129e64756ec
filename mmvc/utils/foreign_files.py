# Copyright (c) The mmvc contributors. All rights reserved.
"""Recognising files that are no checkpoints: what a failed download, a login page or a clone without LFS leaves."""

import os
import re
import zipfile
from contextlib import nullcontext
from typing import BinaryIO, NamedTuple

_START = 1024  # bytes that are looked at
_LFS_POINTER = b'version https://git-lfs.github.com/spec/'
_AGAIN = 'download it again from the address of the file itself'
_UNPACK = 'unpack it, if the checkpoint is inside'
_NOT_IT = 'give the path of the checkpoint'
# how files start, what they are and what to do; RIFF and ftyp have their name behind a length
_SIGNATURES: tuple[tuple[re.Pattern[bytes], str, str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), kind, remedy) for pattern, kind, remedy in (
        (rb'\x89PNG\r\n', 'a PNG picture', _NOT_IT),
        (rb'\xff\xd8\xff', 'a JPEG picture', _NOT_IT),
        (rb'GIF8[79]a', 'a GIF picture', _NOT_IT),
        (rb'RIFF....WEBP', 'a WebP picture', _NOT_IT),
        (rb'RIFF....AVI ', 'a video (AVI)', _NOT_IT),
        (rb'....ftyp', 'a video (MP4)', _NOT_IT),
        (rb'\x1aE\xdf\xa3', 'a video (Matroska, WebM)', _NOT_IT),
        (rb'%PDF-', 'a PDF document', _NOT_IT),
        (rb'\x1f\x8b', 'a gzip archive', _UNPACK),
        (rb'BZh[1-9]', 'a bzip2 archive', _UNPACK),
        (rb'\xfd7zXZ\x00', 'an xz archive', _UNPACK),
        (rb'7z\xbc\xaf\x27\x1c', 'a 7z archive', _UNPACK),
        (rb'\x28\xb5\x2f\xfd', 'a Zstandard archive', _UNPACK),
        (rb'.{257}ustar', 'a tar archive', _UNPACK),
        (rb'\x89HDF\r\n', 'an HDF5 file, as Keras writes it', _NOT_IT),
        (rb'\x93NUMPY', 'a numpy array (.npy)', _NOT_IT),
        (rb'GGUF', 'a GGUF model', _NOT_IT),
    ))


class ForeignFile(NamedTuple):
    """A file that is no checkpoint.

    Args:
        kind (str): What it is, with an article: ``'a web page'``.
        remedy (str): What to do, as a command: ``'download it again'``.
    """
    kind: str
    remedy: str

    def describe(self, name: object, verb: str = 'is') -> str:
        """Message of an error.

        Args:
            name (object): Name of the file, with or without a noun in front, as it should be shown.
            verb (str): ``'gives'`` for addresses. Defaults to 'is'.
        """
        return f'{name} {verb} {self.kind}, not a checkpoint: {self.remedy}'


def recognise_foreign_file(file: str | os.PathLike | BinaryIO) -> ForeignFile | None:
    """Recognise a file that cannot be a checkpoint, by its first bytes and, for a zip archive, its index.

    Args:
        file (str | PathLike | BinaryIO): File, or an open one that can be rewound; it is left at its beginning.

    Returns:
        ForeignFile | None: What it is. None if it may be a checkpoint (perhaps a part of one) or is of no known kind.

    Raises:
        OSError: The file cannot be read.
    """
    with open(file, 'rb') if isinstance(file, (str, os.PathLike)) else nullcontext(file) as opened:
        opened.seek(0)
        start = opened.read(_START)
        try:
            return _by_start(start) or (_by_index(opened) if start.startswith(b'PK') else None)
        finally:
            opened.seek(0)


def _by_start(start: bytes) -> ForeignFile | None:
    if not start:
        return ForeignFile('an empty file', 'download or copy it again')
    if start.startswith(_LFS_POINTER):
        size = re.search(rb'^size (\d{1,15})$', start, re.MULTILINE)
        whole = f' that stands for {_readable(int(size[1]))}' if size else ''
        return ForeignFile(f'a pointer of Git LFS{whole}', 'run "git lfs pull" in its clone, or download it again '
                           'from its raw address ("resolve" or "raw" instead of "blob")')
    text = _as_text(start)
    if text is not None:
        return _by_text(text)
    for pattern, kind, remedy in _SIGNATURES:
        if pattern.match(start):
            return ForeignFile(kind, remedy)
    return None


def _readable(size: int) -> str:
    """A number of bytes in the unit in which it has one to four digits before the point."""
    if size < 10 * 2**10:
        return f'{size} bytes'
    return f'{size / 2**10:.1f} KiB' if size < 2**20 else f'{size / 2**20:.1f} MiB'


def _as_text(start: bytes) -> str | None:
    """Decode the start of a text file; None for binary data."""
    if re.search(rb'[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]', start):
        return None
    try:
        # the last character may be cut
        return start.decode('utf-8-sig', 'strict' if len(start) < _START else 'ignore').strip()
    except UnicodeDecodeError:
        return None


def _by_text(text: str) -> ForeignFile:
    shown = ' '.join(text.split())[:60]
    if text[:1] == '<':
        return ForeignFile('a web page', f'{_AGAIN}; open the address in a browser to see whether it asks for a '
                           'login, or shows the page about the file')
    if text[:1] in ('{', '['):
        return ForeignFile(f'a text in JSON ({shown})', f'if a server answered so, check the address and your access, '
                           f'and {_AGAIN}')
    return ForeignFile(f'a text ("{shown}")', _AGAIN)


def _by_index(file: BinaryIO) -> ForeignFile | None:
    """Tell a zip archive of other things from one that torch wrote."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return None  # truncated
    if any(name.endswith('data.pkl') for name in names):
        return None
    if names and all(name.endswith('.npy') for name in names):
        return ForeignFile('an archive of numpy arrays (.npz)', _NOT_IT)
    inside = ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')
    return ForeignFile(f'a zip archive of other files ({inside[:100]})' if names else 'an empty zip archive', _UNPACK)
