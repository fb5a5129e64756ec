# Copyright (c) The mmvc contributors. All rights reserved.
"""Downloading checkpoints into a cache. Each address has a file of its own."""

import errno
import hashlib
import logging
import os
import pickle
import re
import time
import zipfile
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from mmengine.logging import print_log
from torch.hub import tqdm

from .atomic import atomic_path, resumable_path
from .checksums import fits_checksum
from .errors import CheckpointError
from .foreign_files import recognise_foreign_file
from .safetensors_files import SUFFIX, is_complete

_TIMEOUT = 60.  # seconds without a byte
_ATTEMPTS = 5  # to continue a broken transfer, without a byte more
_PAUSE = 1.  # seconds between them
_NOTHING_MORE = 416  # status: the range lies behind the end of the file
_MIN_SPEED = 1024  # bytes per second, over the last _TIMEOUT seconds
_CHUNK = 1 << 17
_HASH = re.compile(r'-([0-9a-f]{8,64})\.')  # resnet50-0676ba61.pth: the start of the SHA-256 of the file
_MAX_NAME = 100
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


def download(url: str, folder: str | os.PathLike, progress: bool = True, resume: bool = False,
             checksum: str | None = None) -> str:
    """Download a checkpoint, unless it is in the folder already.

    A broken connection is taken up where it broke, if the server can do that.

    Args:
        url (str): Address.
        folder (str | PathLike): Folder for the file; created if missing.
        progress (bool): Whether to show a progress bar. Defaults to True.
        resume (bool): Whether what has come stays if the transfer fails, and is continued by a later call. Then no
            other process may download the file at the same time. Defaults to False: nothing stays.
        checksum (str, optional): What the file must have, like ``sha256:0676ba61`` or ``md5:94dc52``; the beginning is
            enough. Defaults to None: not checked.

    Returns:
        str: Path of the file.

    Raises:
        CheckpointError: The server does not answer, is too slow, or sends something else than a whole checkpoint.
    """
    known = find_download(url, folder, default=None)
    if known is not None:
        return known
    path = _cached_file(url, folder)
    with resumable_path(path) if resume else atomic_path(path, keep_suffix=True) as draft:
        try:
            length_is_known = _transfer(url, draft, progress, resume)
        except (HTTPException, OSError, ValueError) as error:
            if isinstance(error, OSError) and (error.errno in _DISK_ERRORS or error.filename == str(draft)):
                raise
            raise CheckpointError(f'"{shown(url)}" cannot be downloaded: {_reason(error, url)}. Check the address '
                                  'and the connection, or download the file by hand and give its path') from error
        try:
            _require_checkpoint(draft, url, length_is_known)
            if checksum is not None and not fits_checksum(draft, checksum):
                raise CheckpointError(f'"{shown(url)}" has not the expected checksum {checksum}: the file at this '
                                      'address was replaced, or a proxy changes it. Download it from elsewhere, and '
                                      'give its path')
        except CheckpointError:
            draft.unlink(missing_ok=True)  # also one that is to be continued: it cannot become right
            raise
        finally:
            _tag_file(draft).unlink(missing_ok=True)
    return str(path)


def find_download(url: str, folder: str | os.PathLike, default: Any = ...) -> Any:
    """Find the file of an address in the folder of downloads.

    Args:
        url (str): Address.
        folder (str | PathLike): Folder of downloads.
        default (Any): What to return if there is no file. Defaults to ``...``: raise an error.

    Returns:
        str: Path of the file. A file that torch downloaded, called by the last part of the address, counts if that
        part contains the hash of the file.

    Raises:
        CheckpointError: There is no such file.
    """
    path = _cached_file(url, folder)
    if path.is_file():
        return str(path)
    by_torch = Path(folder, _last_part(url))
    if by_torch.is_file() and _hash_fits(by_torch, _last_part(url)):
        return str(by_torch)
    if default is ...:
        raise CheckpointError(f'"{shown(url)}" is not in "{folder}": its download failed on the first process of '
                              'this machine, whose message says why')
    return default


def _cached_file(url: str, folder: str | os.PathLike) -> Path:
    return Path(folder, f'{hashlib.sha256(url.encode()).hexdigest()[:16]}-{_last_part(url)}')


def _last_part(url: str) -> str:
    """Last part of an address as the name of a file."""
    name = unquote(urlsplit(url).path.rpartition('/')[2])
    return re.sub(r'[^\w.+-]', '_', name, flags=re.ASCII)[-_MAX_NAME:].lstrip('.') or 'checkpoint'


def shown(url: str) -> str:
    """An address for messages: without user, password and query, which may hold a key.

    Args:
        url (str): Address.
    """
    parts = urlsplit(url)
    return f'{parts.scheme}://{parts.netloc.rpartition("@")[2]}{parts.path}'


def _reason(error: Exception, url: str) -> str:
    """An error in one line, without the parts of the address that may hold a key."""
    parts = urlsplit(url)
    text = str(getattr(error, 'reason', None) or error) or type(error).__name__
    code = getattr(error, 'code', None)
    for secret in (url, parts.query, parts.netloc.rpartition('@')[0]):
        text = text.replace(secret, '***') if secret else text
    text = re.sub(r'[^ -~\w]+', ' ', text).strip()[:200]
    return f'{code} {text}' if isinstance(code, int) else text


def _transfer(url: str, draft: Path, progress: bool, resume: bool) -> bool:
    """Write what the server sends to a file; returns whether the server said where it ends.

    If the connection breaks, the transfer goes on behind what has come, as long as the server gives the same version.

    Args:
        url (str): Address.
        draft (Path): The file. What it holds is continued if its version is known from a call before.
        progress (bool): Whether to show a progress bar.
        resume (bool): Whether to note the version beside the file, for a later call.
    """
    version = _tag_file(draft).read_text() if resume and draft.exists() and _tag_file(draft).exists() else ''
    failures = 0
    while True:
        before = draft.stat().st_size if version else 0
        try:
            with urlopen(_request(url, before, version), timeout=_TIMEOUT) as reply:
                version = _version_to_continue(reply)
                if resume and version:
                    _tag_file(draft).write_text(version)
                return _receive(reply, draft, before if reply.status == 206 else 0, progress)
        except (HTTPException, OSError, ValueError) as error:
            size = draft.stat().st_size if draft.exists() else 0
            failures = 0 if size > before else failures + 1
            status = error.code if isinstance(error, HTTPError) else None
            if status == _NOTHING_MORE and before:
                version = ''  # it was broken off behind the last byte, or the file became shorter
                draft.unlink()
            elif not version or status is not None or failures >= _ATTEMPTS:
                if not version:
                    draft.unlink(missing_ok=True)
                raise
            else:
                time.sleep(_PAUSE)


def _request(url: str, start: int, version: str) -> Request:
    headers = {'User-Agent': 'mmvc'}
    if start and version:
        headers.update({'Range': f'bytes={start}-', 'If-Range': version})
    return Request(url, headers=headers)


def _version_to_continue(reply: Any) -> str:
    """The version of the file of a reply, if the server can continue a transfer of it; else an empty text."""
    tag = reply.headers.get('ETag', '')
    ranges = reply.status == 206 or reply.headers.get('Accept-Ranges') == 'bytes'
    return tag if ranges and tag.startswith('"') else ''  # W/"...": equal versions may have other bytes


def _receive(reply: Any, draft: Path, start: int, progress: bool) -> bool:
    """Write a reply to a file, behind its first ``start`` bytes."""
    length, is_chunked = reply.headers.get('Content-Length', ''), bool(getattr(reply, 'chunked', False))
    total = int(length) + start if length.isdigit() and not reply.headers.get('Content-Encoding') else None
    started, received, before = time.monotonic(), start, start
    with open(draft, 'ab' if start else 'wb') as file, \
            tqdm(total=total, initial=start, disable=not progress, unit='B', unit_scale=True,
                 unit_divisor=1024) as bar:
        while chunk := reply.read1(_CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
            received += len(chunk)
            if time.monotonic() - started > _TIMEOUT:
                if received - before < _MIN_SPEED * _TIMEOUT:
                    raise TimeoutError(f'the server sent less than {_MIN_SPEED} bytes per second')
                started, before = time.monotonic(), received
    if total is not None and received != total:
        raise ValueError(f'{received} of {total} bytes came')
    return total is not None or is_chunked


def _tag_file(draft: Path) -> Path:
    """File for the version (``ETag``) of a transfer that is to be continued."""
    return draft.with_name(f'{draft.name}.etag')


def _require_checkpoint(draft: Path, url: str, length_is_known: bool) -> None:
    """Raise an error unless a download is a whole checkpoint; it is not kept then."""
    foreign = recognise_foreign_file(draft)
    if foreign is not None:
        raise CheckpointError(foreign.describe(f'"{shown(url)}"', 'gives'))
    with open(draft, 'rb') as file:
        start = file.read(1)
    if draft.suffix == SUFFIX:
        whole = is_complete(draft)
    elif zipfile.is_zipfile(draft):
        with zipfile.ZipFile(draft) as archive:
            whole = archive.testzip() is None
    else:
        # as torch < 1.6 wrote, without checksums
        whole = start == pickle.PROTO and (length_is_known or _hash_fits(draft, _last_part(url)))
    if not whole:
        raise CheckpointError(f'"{shown(url)}" gives no checkpoint, or only a part of one: check the address, and '
                              'try again')
    if not _hash_fits(draft, _last_part(url), missing=True):
        print_log(f'"{shown(url)}" has another SHA-256 than its name says: the file at this address was replaced',
                  'current', level=logging.WARNING)


def _hash_fits(path: Path, name: str, missing: bool = False) -> bool:
    """Whether a file has the hash that a name contains; ``missing`` if it contains none."""
    match = _HASH.search(name)
    return missing if match is None else fits_checksum(path, f'sha256:{match[1]}')
