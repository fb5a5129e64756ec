# Copyright (c) The mmvc contributors. All rights reserved.
"""What a training prints: the terminal leaves out what is only looked up, which the log file has."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from mmengine.logging import MMLogger
from mmengine.runner import checkpoint

# How mmengine's messages begin that are long, come once per parameter, or warn of what mmengine itself does.
_FILE_ONLY = re.compile('|'.join((
    r'\s*-+\s+System environment:',
    r'Config:\n',
    r'Hooks will be executed in the following order',
    r'Distributed training is not used, all SyncBatchNorm',
    r'paramwise_options -- ',
    r'\S+ is skipped since its requires_grad=False',
    r'\s*\S+ - torch\.Size\(',  # how a parameter was initialised
    r'Exp name: ',
    r'"FileClient" will be deprecated',
    r'`(save|resume)_param_scheduler` is True but `self.param_schedulers` is None',  # the config has no schedule
    r'"HardDiskBackend" is the alias of "LocalBackend"',
)))


class _Unaddressed(str):
    """A message that mmengine gives to no logger, and so prints without a time and a level."""


class ConsoleFilter(logging.Filter):
    """Rejects the messages that only the log file needs: parameter lists, whole configs, hooks, the environment."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to print a record."""
        return not isinstance(record.msg, _Unaddressed) and _FILE_ONLY.match(record.getMessage()) is None


_FILTER = ConsoleFilter()


@contextmanager
def short_console(verbose: bool = False) -> Iterator[None]:
    """Let mmengine's loggers print less while the block runs; their log files still get everything.

    mmengine makes a logger for each run, so the constructor of its loggers is wrapped. What it prints about a
    checkpoint without a logger, among it all weights that a stage adds to those of the stage before, goes to the log
    file as well: :class:`CheckWeightsHook` says what is wrong with a checkpoint, and what it lacks.

    Args:
        verbose (bool): Whether to change nothing. Defaults to False.
    """
    if verbose:
        yield
        return
    original, print_log = MMLogger.__init__, checkpoint.print_log

    def to_file(msg: str, logger: Any = None, level: int = logging.INFO) -> None:
        print_log(_Unaddressed(msg) if logger is None else msg, logger or 'current', level)

    @wraps(original)
    def init(self: MMLogger, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        for handler in _console_handlers(self):
            handler.addFilter(_FILTER)

    for logger in MMLogger._instance_dict.values():
        for handler in _console_handlers(logger):
            handler.addFilter(_FILTER)
    MMLogger.__init__, checkpoint.print_log = init, to_file
    try:
        yield
    finally:
        MMLogger.__init__, checkpoint.print_log = original, print_log
        for logger in MMLogger._instance_dict.values():
            for handler in _console_handlers(logger):
                handler.removeFilter(_FILTER)


def _console_handlers(logger: logging.Logger) -> list[logging.Handler]:
    return [handler for handler in logger.handlers if not isinstance(handler, logging.FileHandler)]
