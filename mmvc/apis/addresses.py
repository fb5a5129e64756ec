# Copyright (c) The mmvc contributors. All rights reserved.
"""Addresses of videos: names of their outputs, and why one cannot be opened."""

import re
from contextlib import suppress
from http.client import HTTPException
from pathlib import PurePosixPath
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

_TIMEOUT = 10.  # seconds
_START = 4096  # bytes


def video_name(address: str) -> str:
    """Name of the output of a video on a server: that of its file, or else of the whole address.

    Args:
        address (str): Address, such as ``https://host/videos/clip.mp4?key=1``.

    Returns:
        str: A name without suffix and query, of letters, digits, dots, hyphens and underscores, such as ``clip``.
    """
    stem = PurePosixPath(unquote(urlsplit(address).path)).stem
    return re.sub(r'[^\w.-]+', '_', stem).strip('_.') or stream_name(address)


def stream_name(address: str) -> str:
    """Name of the output of a stream: its host and path, without user and password."""
    return re.sub(r'[^A-Za-z0-9.]+', '_', address.split('://')[-1].split('@')[-1]).strip('_.') or 'stream'


def why_unreadable(address: str) -> str:
    """Find out why a video cannot be opened, by asking its server.

    Args:
        address (str): Address that OpenCV cannot open.

    Returns:
        str: What is wrong and what to do, in one line.
    """
    failed = f'the address "{address}" cannot be opened: '
    if urlsplit(address).scheme.lower() not in ('http', 'https'):
        return failed + 'check the address and the network'
    request = Request(address, headers={'Range': f'bytes=0-{_START - 1}', 'User-Agent': 'mmvc'})
    try:
        with urlopen(request, timeout=_TIMEOUT) as response:
            start, has_ranges = response.read(_START), response.status == 206
            kind = response.headers.get_content_type()
    except HTTPError as error:
        with suppress(OSError):
            error.close()
        hint = 'it asks for a login' if error.code in (401, 403) else 'check the address'
        return f'{failed}the server answers {error.code} ({error.reason}); {hint}'
    except (HTTPException, OSError, ValueError) as error:
        return f'{failed}{getattr(error, "reason", None) or error}; check the address and the network'
    if kind in ('text/html', 'application/xhtml+xml') or start.lstrip(b'\xef\xbb\xbf \t\r\n')[:1] == b'<':
        return (f'{failed}it is a web page, not a video file. Download the video (from pages of video sites with a '
                'program such as yt-dlp), and give the file')
    if not has_ranges:
        return (f'{failed}the server sends the file only from its start, and some files, such as mp4 with their index '
                'at the end, cannot be read so. Download it (curl -LO ADDRESS), and give the file')
    return f'{failed}what the server sends cannot be decoded. Download it (curl -LO ADDRESS) and try the file'
