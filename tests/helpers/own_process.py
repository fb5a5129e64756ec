# Copyright (c) The mmvc contributors. All rights reserved.
"""Signals that a test sends must not reach the process that runs the tests."""

import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import Any

#: what a program finds when a shell starts it
HANDLERS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}


def in_own_process(function: Callable[[], Any]) -> Any:
    """Call a function in a fork of this process, in a session of its own, and return what it returns.

    Args:
        function (Callable): Returns something that can be pickled.

    Raises:
        ChildProcessError: The function failed, or a signal ended the process. The error tells its exit status.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setsid()
            for number, handler in HANDLERS.items():
                signal.signal(number, handler)
            result = pickle.dumps(function())
            with open(writer, 'wb') as file:
                file.write(result)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, 'rb') as file:
        result = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0:
        raise ChildProcessError(f'the process of the test ended with status {status}')
    return pickle.loads(result)
