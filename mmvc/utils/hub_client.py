# Copyright (c) The mmvc contributors. All rights reserved.
"""What ``huggingface_hub`` does when a connection fails: which errors it raises, and what it prints while it waits."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

#: packages whose errors mean that a connection failed, in one version of huggingface_hub or another
_PACKAGES = ('huggingface_hub', 'hf_xet', 'httpx', 'httpx2', 'httpcore', 'httpcore2', 'requests', 'urllib3')
_LOGGER = 'huggingface_hub.utils._http'  # it reports each attempt
_FAILED = re.compile(r"'?(.*?)'? thrown while requesting \S+ (https?://[^/\s]+)", re.DOTALL)


def is_client_error(error: BaseException) -> bool:
    """Whether an error comes from the client of the hub or from a package that carries its connections."""
    return type(error).__module__.split('.')[0] in _PACKAGES


def is_unreachable(error: BaseException) -> bool:
    """Whether an error means that no connection to the hub could be made."""
    return is_client_error(error) and 'Connect' in type(error).__name__


@contextmanager
def brief_retries() -> Iterator[None]:
    """Report in one line that the client tries again, and not each attempt with its whole address.

    The client tries for about half a minute. A line about a rate limit stays, since it tells how long it waits.
    """
    logger = logging.getLogger(_LOGGER)
    shown: set[str] = set()

    def shorten(record: logging.LogRecord) -> bool:
        failure = _FAILED.match(record.getMessage())
        if failure is not None:
            reason, host = failure.groups()
            if host in shown:
                return False
            shown.add(host)
            record.msg, record.args = f'{host}: {reason.strip() or "no answer"}. Trying again for about 30 seconds', ()
            return True
        return not record.getMessage().startswith('Retrying in')

    logger.addFilter(shorten)
    try:
        yield
    finally:
        logger.removeFilter(shorten)
