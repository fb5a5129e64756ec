# Copyright (c) The mmvc contributors. All rights reserved.
"""Errors that the tools print in one line, and what their messages share."""

from collections.abc import Sequence

_EXAMPLES = 5


class DataError(ValueError):
    """Something is wrong with a dataset's files, or with what a config says about them.

    The message names the file and the key; the tools print it in one line, without a traceback.
    """


class UsageError(ValueError):
    """A wrong argument, config or work dir: the tools print its message in one line, without a traceback."""


class CheckpointError(UsageError):
    """A checkpoint is broken, or is refused because reading it could run code."""


def named(items: Sequence[str]) -> str:
    """The first five of many names, and how many more there are."""
    more = f' and {len(items) - _EXAMPLES} more' if len(items) > _EXAMPLES else ''
    return ', '.join(items[:_EXAMPLES]) + more
