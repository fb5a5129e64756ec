# Copyright (c) The mmvc contributors. All rights reserved.
"""Asking a model politely: nothing twice, not too fast, again if it was busy."""

import hashlib
import json
import time
from pathlib import Path

from mmvc.utils.arguments import check_number
from mmvc.utils.atomic import atomic_write

from .backends import BackendError, MultimodalBackend, RefusedError, TemporaryBackendError, UnreachableError

#: Questions in a row that get no sign of life from the server, after which it counts as absent.
MAX_UNREACHED = 3
#: Questions in a row that are refused before any is answered, after which the settings are to blame.
MAX_REFUSED = 3
#: Seconds that a server can make us wait.
MAX_WAIT = 60.0


class Asker:
    """Asks a backend through a cache on disk, at a limited rate, and again after temporary errors.

    Args:
        backend (MultimodalBackend): The model.
        cache_dir (str | Path): Folder of the answers: one JSON file for each model, question and picture. Whatever
            the model wrote is kept, errors are not.
        requests_per_minute (float, optional): Largest rate. Defaults to None: no limit.
        retries (int): How often a question is asked again after a temporary error, at least 0. Defaults to 5.
        backoff (float): Seconds before it is asked again, doubled each time; a server that says how long to wait is
            obeyed, up to a minute. Defaults to 1.

    Attributes:
        asked (int): Questions that the backend has answered.
        cached (int): Questions that were answered from the cache.

    Raises:
        UsageError: A number is out of range.
    """

    def __init__(self,
                 backend: MultimodalBackend,
                 cache_dir: str | Path,
                 requests_per_minute: float | None = None,
                 retries: int = 5,
                 backoff: float = 1.0) -> None:
        check_rate(requests_per_minute, retries)
        self.backend = backend
        self.asked = self.cached = 0
        self._cache_dir = Path(cache_dir)
        self._interval = 60 / requests_per_minute if requests_per_minute else 0.0
        self._retries, self._backoff = retries, backoff
        self._next_request = 0.0
        self._unreached = self._refused = 0  # questions in a row

    def ask(self, picture: bytes, question: str) -> str:
        """Ask one question, see :meth:`MultimodalBackend.ask`.

        Raises:
            TemporaryBackendError: The backend still had no answer after the last retry.
            RefusedError: The server refused this question.
            BackendError: Asking again would not help; also if three questions in a row did not reach the server, or
                the first three were refused.
        """
        path = self._path(picture, question)
        known = _read_answer(path)
        if known is not None:
            self.cached += 1
            return known
        try:
            answer = self._ask_again(picture, question)
        except RefusedError as error:
            self._unreached, self._refused = 0, self._refused + 1
            if self._refused == MAX_REFUSED and not self.asked + self.cached:
                raise BackendError(f'the first {MAX_REFUSED} questions were refused, the last one: {error}') from error
            raise
        except UnreachableError as error:
            self._unreached += 1
            if self._unreached == MAX_UNREACHED:
                raise BackendError(f'{MAX_UNREACHED} questions in a row did not reach the server, the last one: '
                                   f'{error}') from error
            raise
        except TemporaryBackendError:
            self._unreached = 0
            raise
        if not isinstance(answer, str):
            raise BackendError(f'{self.backend.name} answered {answer!r}: expected text')
        self._unreached = 0
        self.asked += 1
        record = dict(model=self.backend.name, question=question, answer=answer)
        atomic_write(path, json.dumps(record, indent=1, ensure_ascii=False).encode())
        return answer

    def _path(self, picture: bytes, question: str) -> Path:
        key = hashlib.sha256()
        for part in (self.backend.name.encode(), question.encode(), picture):
            key.update(len(part).to_bytes(8, 'big') + part)
        return self._cache_dir / f'{key.hexdigest()}.json'

    def _ask_again(self, picture: bytes, question: str) -> str:
        attempt = 0
        while True:
            time.sleep(max(0.0, self._next_request - time.monotonic()))
            self._next_request = time.monotonic() + self._interval
            try:
                return self.backend.ask(picture, question)
            except TemporaryBackendError as error:
                if attempt == self._retries:
                    raise
                wait = self._backoff * 2**attempt if error.retry_after is None else min(error.retry_after, MAX_WAIT)
                time.sleep(wait)
            attempt += 1


def check_rate(requests_per_minute: float | None, retries: int) -> None:
    """Raise a UsageError unless these numbers are what :class:`Asker` takes."""
    if requests_per_minute is not None:
        check_number('requests_per_minute', requests_per_minute, 0, above=True)
    check_number('retries', retries, 0, whole=True)


def _read_answer(path: Path) -> str | None:
    """The answer in a file of the cache; None if there is none, or the file is damaged."""
    try:
        answer = json.loads(path.read_text(encoding='utf-8'))['answer']
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return answer if isinstance(answer, str) else None
