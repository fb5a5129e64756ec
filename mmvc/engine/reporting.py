# Copyright (c) The mmvc contributors. All rights reserved.
"""How the tools end when something is wrong: with a line that says what, not with a traceback from the depths."""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.worker_errors import message_of

from .distributed import exit_with_message
from .hooks import NonFiniteError, WeightMismatchError

#: mmengine's functions that turn a config into objects -> the variable that holds their part of the config, if any
_BUILDERS = dict(build_from_cfg='args', build_optim_wrapper='cfg', build_param_scheduler='scheduler',
                 build_dataloader='dataloader', from_cfg='')


@contextmanager
def report_errors() -> Iterator[None]:
    """End the process with one line for an error that the user can mend; any other keeps its traceback.

    Such errors are wrong arguments and configs, damaged or missing files and data, a full disk, weights that do not
    fit and losses that are not finite. What every rank finds alike is printed by the first one only.
    """
    try:
        yield
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        exit_with_message(message)


def explain(error: Exception) -> str | None:
    """Say in a line what a user has to mend.

    Args:
        error (Exception): An error with its traceback.

    Returns:
        str | None: The message, or None if the error may be a mistake in the code.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (f'{error}. Free some space and run it again: files that were complete before still are, and a '
                'training goes on from the last one with --resume')
    if isinstance(error, (UsageError, DataError, NonFiniteError, WeightMismatchError, OSError)):
        return message_of(error)
    frames = list(traceback.walk_tb(error.__traceback__))
    builders = [frame for frame, _ in frames if frame.f_code.co_name in _BUILDERS
                and frame.f_globals.get('__name__', '').startswith('mmengine.')]
    if not builders:
        return None
    innermost = builders[-1]
    kind = innermost.f_locals.get('obj_type', innermost.f_code.co_name)
    part = innermost.f_locals.get(_BUILDERS[innermost.f_code.co_name])
    shown = ', '.join(f'{key}={value!r}' for key, value in part.items()) if isinstance(part, dict) else ''
    shown = shown if len(shown) <= 200 else f'{shown[:197]}...'
    last, line = frames[-1]
    return (f'the config cannot be built: {getattr(kind, "__name__", kind)}({shown}): {type(error).__name__}: {error} '
            f'(raised in {last.f_code.co_filename}:{line})')
