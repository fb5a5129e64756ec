# Copyright (c) The mmvc contributors. All rights reserved.
"""Errors that the tools print in one line, and what their messages share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_EXAMPLES = 5


class DataError(ValueError):
    """A dataset's files are damaged, or do not match the config.

    The message names the file and the key. The tools print it in one line, without a traceback.
    """


class NonFiniteError(RuntimeError):
    """A loss, a gradient or a prediction is NaN or infinite."""


class UsageError(ValueError):
    """An argument, a config or a work dir is wrong. The tools print the message in one line, without a traceback."""


class CheckpointError(UsageError):
    """A checkpoint is broken, or loading it could run code."""


def named(items: Sequence[str]) -> str:
    """The first five of many names, and how many more there are."""
    more = f' and {len(items) - _EXAMPLES} more' if len(items) > _EXAMPLES else ''
    return ', '.join(items[:_EXAMPLES]) + more


@contextmanager
def naming_video(name: str) -> Iterator[None]:
    """Put the name of a video before the message of a :class:`NonFiniteError` that leaves the block."""
    try:
        yield
    except NonFiniteError as error:
        raise NonFiniteError(f'video "{name}": {error}') from error
