# Copyright (c) The mmvc contributors. All rights reserved.
"""Reads frames in a thread while the network computes."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar('Item')
# Bytes of the items that wait: large frames are decoded one at a time.
_MAX_BYTES = 256 * 2**20
# Seconds to wait for the thread. A camera or pipe may give nothing for hours, and a call that waits cannot be ended.
_PATIENCE = 2.


def read_ahead(items: Iterator[Item],
               ahead: int,
               size_of: Callable[[Item], int],
               limit: int | None = None) -> Iterator[Item]:
    """Yield items, and compute the next ones in a thread meanwhile.

    The order and the place of an error are those of ``items``. The thread ends when the caller stops, at the latest
    when the item that it computes is done; it never computes more than ``limit`` items. ``items`` is closed then.

    Args:
        items (Iterator): The items.
        ahead (int): How many items may wait, at least 1. Fewer wait if they have more than 256 MiB together.
        size_of (Callable): Size of an item in bytes.
        limit (int, optional): Items that the caller is sure to need. It gets more, but they are computed when it asks
            for them. Defaults to None: all.

    Yields:
        Any: The items.
    """
    reader = _Reader(items, ahead, size_of, limit)
    reader.thread.start()
    try:
        yield from reader
        yield from items  # beyond the limit
    finally:
        reader.close()


class _Reader(Generic[Item]):
    """Computes items in a thread. It is iterated once."""

    def __init__(self, items: Iterator[Item], ahead: int, size_of: Callable[[Item], int], limit: int | None) -> None:
        self._items, self._ahead, self._size_of, self._limit = items, ahead, size_of, limit
        self._waiting: deque[Item] = deque()
        self._latest_size = 0
        self._changed = threading.Condition()
        self._stopped = self._ended = False
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name='mmvc-read-ahead', daemon=True)

    def _run(self) -> None:
        try:
            for item in islice(self._items, self._limit):
                self._latest_size = self._size_of(item)
                with self._changed:
                    self._waiting.append(item)
                    del item  # this thread must not keep it alive while it waits
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._stopped or self._has_room())
                    if self._stopped:
                        break
        except BaseException as error:  # raised where the item is missed
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            if self._stopped:
                self._close_items()

    def _has_room(self) -> bool:
        """Whether another item may be computed; it will have the size of the latest one."""
        if not self._waiting:
            return True
        size = sum(map(self._size_of, self._waiting)) + self._latest_size
        return len(self._waiting) < self._ahead and size <= _MAX_BYTES

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    break
                item = self._waiting.popleft()
                self._changed.notify_all()
            yield item
            del item
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the thread, and close the items as soon as it has ended."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self.thread.join(_PATIENCE)
        if not self.thread.is_alive():
            self._close_items()

    def _close_items(self) -> None:
        close = getattr(self._items, 'close', None)
        if close is not None:
            close()
