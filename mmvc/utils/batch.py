# Copyright (c) The mmvc contributors. All rights reserved.
"""What the tools for many videos share: they go on past a broken one, and name it in the end."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from .errors import DataError, named
from .worker_errors import message_of

#: errors that concern the files of one video; a full disk or a wrong argument concerns them all
BROKEN = (DataError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


@dataclass(frozen=True)
class Failure:
    """Takes the place of the result of a broken video.

    Attributes:
        error (str): What is wrong with it.
    """
    error: str


def attempt(function: Callable, *arguments: Any, keep_going: bool = True) -> Any:
    """Call a function; if a file of the video is broken or missing, return a :class:`Failure`.

    Args:
        function (Callable): The function.
        *arguments: Its arguments.
        keep_going (bool): With False, such an error is raised as any other is. Defaults to True.

    Returns:
        Any: What the function returns, or the failure.
    """
    try:
        return function(*arguments)
    except BROKEN as error:
        if not keep_going:
            raise
        return Failure(message_of(error))


def report_broken(errors: Mapping[str, str], total: int, done: str, what: str = 'videos') -> NoReturn:
    """Raise an error with the number of broken videos; print a line for each to standard error if there are several.

    Args:
        errors (Mapping[str, str]): What is wrong, by name of the video. At least one.
        total (int): Number of all videos.
        done (str): What happened to the others: ``'converted'``.
        what (str): What they are. Defaults to ``'videos'``.

    Raises:
        DataError: Always.
    """
    summary = f'{len(errors)} of {total} {what} could not be {done}'
    if len(errors) == 1:
        raise DataError(f'{summary}: {": ".join(*errors.items())}')
    for name, error in errors.items():
        print(f'not {done}: {name}: {error}', file=sys.stderr)
    raise DataError(f'{summary}: {named(list(errors))}. See above for the reasons')
