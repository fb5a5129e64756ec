# Copyright (c) The mmvc contributors. All rights reserved.
"""Detection of damaged image files that decoders accept: they fill missing rows with grey or decode wrong values."""

import zlib

PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
JPEG_START = b'\xff\xd8'
_JPEG_SCAN, _JPEG_END = b'\xff\xda', b'\xff\xd9'


def find_damage(content: bytes) -> str | None:
    """Look for damage in an image file without decoding it.

    Args:
        content (bytes): Content of the file.

    Returns:
        str | None: The damage: an empty file, a truncated PNG, a PNG with a wrong checksum, or a truncated JPEG. None
        otherwise. Flipped bytes in a JPEG are not detected, because JPEG has no checksums.
    """
    if not content:
        return 'the file is empty'
    if content.startswith(PNG_SIGNATURE):
        return _find_png_damage(memoryview(content))
    # The end marker cannot occur within the data of a scan, where each byte 0xff is followed by 0. Without a scan,
    # both positions are -1.
    if content.startswith(JPEG_START) and content.rfind(_JPEG_END) <= content.rfind(_JPEG_SCAN):
        return 'the JPEG is cut off'
    return None


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
