# Copyright (c) The mmvc contributors. All rights reserved.
"""Messages of errors that were raised in a worker process of a ``DataLoader``."""

import re


def message_of(error: BaseException) -> str:
    """Message of an error, without the traceback of a worker process.

    torch raises an error of a worker again in the main process, as ``type(error)(text)``. The text is "Caught
    DataError in DataLoader worker process 0." and then the whole traceback, whose last entry is the error with its
    message.

    Args:
        error (BaseException): Any error.

    Returns:
        str: Its message, as it was when the error was first raised.
    """
    text = str(error)
    if not text.startswith(f'Caught {type(error).__name__} in DataLoader worker process'):
        return text
    entries = list(re.finditer(rf'^(?:[\w.<>]+\.)?{type(error).__name__}(?:: |$)', text, re.MULTILINE))
    return text[entries[-1].end():].rstrip() if entries else text
