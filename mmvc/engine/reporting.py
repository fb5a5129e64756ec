# Copyright (c) The mmvc contributors. All rights reserved.
"""Errors that the user can fix: the tools print them in one line, without a traceback."""

import errno
import io
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.dist import is_main_process

from mmvc.utils.children import watch_parent
from mmvc.utils.errors import DataError, NonFiniteError, UsageError
from mmvc.utils.signals import exit_on_signals
from mmvc.utils.worker_errors import message_of

from .build_errors import FailedBuild, explain_build, record_failed_builds
from .console import short_console
from .distributed import exit_with_message, exit_without_peer, is_lost_peer
from .hooks import WeightMismatchError
from .stopping import TrainingStopped

SHARED_MEMORY = '/dev/shm'
_NO_SHARED_MEMORY = re.compile(r'shared memory(\(shm\))? (for )?(file|object)|bytes from file </torch_|Bus error')


@contextmanager
def report_errors(verbose: bool = False) -> Iterator[None]:
    """End the process with one line for an error that the user can fix; any other error keeps its traceback.

    The user can fix wrong arguments and configs, damaged or missing files, a full disk, weights that do not fit the
    model, and NaN or infinite losses. If all ranks have the same error, only the first rank prints it, and a rank that
    loses another one leaves the last word to that. Ctrl-C ends with one line, too. SIGTERM ends the process as
    :func:`exit_on_signals` says. Nobody who reads standard output any more (``| head``) is no error.

    Args:
        verbose (bool): Whether to print what otherwise only the log files have, see :func:`short_console`. Defaults to
            False.
    """
    watch_parent()
    for stream in (sys.stdout, sys.stderr):  # a locale such as C cannot print every name of a video
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != 'utf-8':
            stream.reconfigure(errors='backslashreplace')
    with short_console(verbose), exit_on_signals(), record_failed_builds() as failed_builds:
        try:
            yield
            if sys.stdout is not None:
                sys.stdout.flush()
        except TrainingStopped as stopped:
            if is_main_process():  # all ranks have stopped
                print(stopped, file=sys.stderr, flush=True)
            sys.exit(stopped.exit_status)
        except KeyboardInterrupt:
            print('interrupted', file=sys.stderr)
            sys.exit(128 + signal.SIGINT)
        except Exception as error:
            if isinstance(error, OSError) and error.filename is None and not _can_print():
                _abandon_output()
                if isinstance(error, BrokenPipeError):
                    sys.exit(128 + signal.SIGPIPE)
            message = explain(error, failed_builds.get(error))
            if message is not None:
                exit_with_message(message)
            if is_lost_peer(error):
                exit_without_peer(error)
            raise


def explain(error: Exception, failed_build: FailedBuild | None = None) -> str | None:
    """Describe an error to the user in one line.

    Args:
        error (Exception): An error with its traceback.
        failed_build (FailedBuild, optional): What could not be built, if the error occurred while mmengine built
            objects from the config. Defaults to None.

    Returns:
        str | None: The message, or None if the error may be a bug in the code.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (f'{error}. Free some space and run the command again: files that were complete stay as they were, and '
                'a training continues from its last checkpoint with --resume')
    if isinstance(error, UnicodeEncodeError):
        return (f'{ascii(error.object)} cannot be written in the encoding "{error.encoding}" of the locale: set '
                'LC_ALL=C.UTF-8, or PYTHONUTF8=1')
    if isinstance(error, RuntimeError) and (problem := _explain_loader(str(error))) is not None:
        return problem
    if isinstance(error, (UsageError, DataError, NonFiniteError, WeightMismatchError, OSError)):
        return message_of(error)
    return None if failed_build is None else explain_build(error, failed_build)


def _explain_loader(text: str) -> str | None:
    """Explain an error of torch that concerns the data workers: they ran out of memory, or are stuck."""
    less = 'lower batch_size or num_workers of the dataloader, or set num_workers=0 ' \
           '(--cfg-options train_dataloader.num_workers=0 train_dataloader.persistent_workers=False)'
    if 'Too many open files' in text:
        return f'a data worker cannot pass on its batch, since too many files are open: raise "ulimit -n", or {less}'
    if _NO_SHARED_MEMORY.search(text):
        try:
            size = f' of {shutil.disk_usage(SHARED_MEMORY).total / 2**20:.3g} MiB'
        except OSError:
            size = ''
        return (f'a data worker has no room for its batch in the shared memory{size}, {SHARED_MEMORY}: make it larger '
                f'(docker run --shm-size=8g), or {less}')
    if timed_out := re.search(r'DataLoader timed out after (\d+) seconds', text):
        return (f'no batch arrived within {timed_out[1]} seconds: the disk does not answer, or a transform is stuck. '
                'Set timeout of the dataloader to more seconds if its samples take longer')
    if 'DataLoader worker' in text and ('exited unexpectedly' in text or 'is killed by signal' in text):
        return (f'a data worker was ended from outside ({text.splitlines()[0]}). If the machine is short of memory, '
                f'{less}')
    return None


def _can_print() -> bool:
    if sys.stdout is None:
        return True
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _abandon_output() -> None:
    """Let what is still to be printed go nowhere: Python would complain again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
