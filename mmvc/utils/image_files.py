# Copyright (c) The mmvc contributors. All rights reserved.
"""Detection of damaged image files that decoders accept: they fill missing rows with grey or decode wrong values."""

import re
import zlib

PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
JPEG_START = b'\xff\xd8'
_JPEG_MARKER = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]', re.DOTALL)
_JPEG_END, _JPEG_TEMPORARY = 0xd9, 0x01  # last byte of the marker at the end, and of one without a length


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
    if content.startswith(JPEG_START) and not _has_jpeg_end(content):
        return 'the JPEG is cut off'
    return None


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
