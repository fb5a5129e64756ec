# Copyright (c) The mmvc contributors. All rights reserved.
"""Turns of a benchmark that ends in time on a busy machine, too."""

import time
from collections.abc import Iterator


def turns(most: int, seconds: float) -> Iterator[int]:
    """Yield the numbers of turns, until there were enough of them or another one would take too long.

    A turn that has begun is finished. The next one begins only if the longest turn so far would still end in time.

    Args:
        most (int): Turns on a machine that is fast enough, at least 1.
        seconds (float): Wall seconds for all turns. The first one is made even if it takes longer.

    Yields:
        int: The number of the turn, from 0 on.
    """
    begin, longest = time.monotonic(), 0.
    for turn in range(most):
        start = time.monotonic()
        if turn and start - begin + longest > seconds:
            return
        yield turn
        longest = max(longest, time.monotonic() - start)
