# Copyright (c) The mmvc contributors. All rights reserved.
"""How the tools end on an error that the user can mend: with one line instead of a traceback."""

import errno
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from mmengine.registry import Registry
from mmengine.runner import Runner

from mmvc.utils.errors import DataError, NonFiniteError, UsageError
from mmvc.utils.worker_errors import message_of

from .distributed import exit_with_message
from .hooks import WeightMismatchError
from .stopping import TrainingStopped

#: mmengine's methods that build objects; the first argument of each is the part of the config to build
_BUILDERS = ((Registry, 'build'), (Runner, 'build_train_loop'), (Runner, 'build_val_loop'),
             (Runner, 'build_test_loop'), (Runner, 'build_optim_wrapper'), (Runner, 'build_param_scheduler'))
_MAX_SHOWN = 200  # characters of a config in a message


@contextmanager
def report_errors() -> Iterator[None]:
    """End the process with one line for an error that the user can mend; any other error keeps its traceback.

    The user can mend wrong arguments and configs, damaged or missing files, a full disk, weights that do not fit the
    model, and NaN or infinite losses. Ctrl-C ends the process with a line, too, and exit status 130. An error that
    all ranks meet is printed by the first rank only.
    """
    with _record_failed_builds() as failed_builds:
        try:
            yield
        except TrainingStopped as stopped:
            print(stopped, file=sys.stderr, flush=True)
            sys.exit(stopped.exit_status)
        except KeyboardInterrupt:
            print('stopped by Ctrl-C', file=sys.stderr, flush=True)
            sys.exit(128 + signal.SIGINT)
        except Exception as error:
            message = explain(error, failed_builds.get(error))
            if message is None:
                raise
            exit_with_message(message)


def explain(error: Exception, failed_build: str | None = None) -> str | None:
    """Describe an error to the user in one line.

    Args:
        error (Exception): An error with its traceback.
        failed_build (str, optional): The object that could not be built, if the error occurred while mmengine built
            objects from the config. Defaults to None.

    Returns:
        str | None: The message, or None if the error may be a bug in the code.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (f'{error}. Free some space and run the command again: files that were complete stay as they were, and '
                'a training continues from its last checkpoint with --resume')
    if isinstance(error, (UsageError, DataError, NonFiniteError, WeightMismatchError, OSError)):
        return message_of(error)
    if failed_build is None:
        return None
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    return (f'the config cannot be built: {failed_build}: {type(error).__name__}: {error} '
            f'(raised in {frame.f_code.co_filename}:{line})')


@contextmanager
def _record_failed_builds() -> Iterator[dict[Exception, str]]:
    """Record which object mmengine was building when an error was raised.

    mmengine's errors do not say which part of a config they are about. So its builders are wrapped while the block
    runs; the errors themselves stay as they are.

    Yields:
        dict[Exception, str]: The innermost object, as ``type(key=value)``, for each error that left a builder.
    """
    failed_builds: dict[Exception, str] = {}

    def recording(build: Callable) -> Callable:

        @wraps(build)
        def wrapper(owner: Registry | Runner, cfg: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return build(owner, cfg, *args, **kwargs)
            except Exception as error:
                failed_builds.setdefault(error, _describe(cfg, getattr(owner, 'name', build.__name__)))
                raise

        return wrapper

    originals = [(owner, name, getattr(owner, name)) for owner, name in _BUILDERS]
    for owner, name, build in originals:
        setattr(owner, name, recording(build))
    try:
        yield failed_builds
    finally:
        for owner, name, build in originals:
            setattr(owner, name, build)


def _describe(cfg: Any, fallback: str) -> str:
    """Return ``type(key=value, ...)``; a config without a type is called ``fallback``."""
    arguments = dict(cfg.items()) if isinstance(cfg, dict) else {}
    kind = arguments.pop('type', fallback)
    shown = ', '.join(f'{key}={value!r}' for key, value in arguments.items())
    shown = shown if len(shown) <= _MAX_SHOWN else f'{shown[:_MAX_SHOWN - 3]}...'
    return f'{getattr(kind, "__name__", kind)}({shown})'
