# Copyright (c) The mmvc contributors. All rights reserved.
"""Makes mmengine's ``print_log`` respect the level of a message that goes to no logger."""

import logging
from functools import wraps
from typing import Any

import mmengine.logging


def hide_debug_messages() -> None:
    """Let ``mmengine.logging.print_log`` print no message of level DEBUG if it is given no logger.

    mmengine prints such messages whatever their level. mmdet has two of them, "Could not import OneDL", which are
    printed when its data sets are imported.
    """
    original = mmengine.logging.print_log
    if hasattr(original, '__wrapped__'):
        return

    @wraps(original)
    def print_log(msg: Any, logger: Any = None, level: int = logging.INFO) -> None:
        if logger is not None or level > logging.DEBUG:
            original(msg, logger, level)

    mmengine.logging.print_log = print_log


hide_debug_messages()
