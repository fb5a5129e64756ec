# Copyright (c) The mmvc contributors. All rights reserved.
"""The size of the frames that go through the network."""

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError
from mmvc.utils.type_names import type_name

if TYPE_CHECKING:  # slow to import, and not needed for --help
    from mmengine.config import ConfigDict

#: the short side in pixels, or width and height
Size = int | tuple[int, int]
SIZE_RANGE = (16, 16384)
_RESIZES = ('Resize', 'ResizeShortestEdge')


def check_size(size: Any) -> Size:
    """Check a size.

    Args:
        size (int | Sequence[int]): Short side in pixels, or width and height, within ``SIZE_RANGE``.

    Returns:
        int | tuple[int, int]: The size.

    Raises:
        UsageError: It is neither.
    """
    if isinstance(size, Sequence) and not isinstance(size, str) and len(size) == 2:
        for side in size:
            check_number('each side of size', side, *SIZE_RANGE, whole=True)
        return size[0], size[1]
    check_number('size', size, *SIZE_RANGE, whole=True)
    return size


def parse_size(text: str) -> Size:
    """Read a size from the command line, as the type of an argument: ``480`` or ``854x480``."""
    match = re.fullmatch(r'(\d+)(?:[xX×](\d+))?', text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f'it must be a short side such as 480, or WIDTHxHEIGHT, got {text!r}')
    try:
        return check_size(int(match[1]) if match[2] is None else (int(match[1]), int(match[2])))
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parse_width_and_height(text: str) -> tuple[int, int]:
    """Read a size of two sides from the command line, as the type of an argument: ``854x480``."""
    size = parse_size(text)
    if isinstance(size, int):
        raise argparse.ArgumentTypeError(f'it must be WIDTHxHEIGHT, such as 864x480, got {text!r}')
    return size


def resize_frames(transforms: 'list[ConfigDict]', size: Size) -> 'list[ConfigDict]':
    """Let a pipeline resize frames to a size, instead of the size that it names, if any.

    Args:
        transforms (list[ConfigDict]): The pipeline.
        size (int | tuple[int, int]): Short side in pixels, which keeps the aspect ratio, or width and height.

    Returns:
        list[ConfigDict]: The pipeline with another ``Resize``.
    """
    from mmengine.config import ConfigDict  # slow to import, and not needed for --help
    scale = (2**31 - 1, size) if isinstance(size, int) else size
    resize = ConfigDict(type='mmdet.Resize', scale=scale, keep_ratio=isinstance(size, int))
    replaced, found = _replace(transforms, resize)
    return replaced if found else [ConfigDict(type='TransformBroadcaster', transforms=[resize]), *transforms]


def _replace(transforms: 'list[ConfigDict]', resize: 'ConfigDict') -> 'tuple[list[ConfigDict], bool]':
    """Put a resize in the place of the first one; others are left out. Whether there was one is returned, too."""
    from mmengine.config import ConfigDict  # slow to import, and not needed for --help
    kept, found = [], False
    for transform in transforms:
        if type_name(transform) in _RESIZES:
            if not found:
                kept.append(resize)
            found = True
            continue
        if isinstance(transform.get('transforms'), list):
            inner, found_inner = _replace(transform.transforms, resize)
            transform, found = ConfigDict(transform, transforms=inner), found or found_inner
        kept.append(transform)
    return kept, found
