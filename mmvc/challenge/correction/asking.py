# Copyright (c) The mmvc contributors. All rights reserved.
"""Ask a model with a cache, a rate limit and retries."""

import hashlib
import json
import time
from pathlib import Path

from mmvc.utils.arguments import check_number
from mmvc.utils.atomic import atomic_write

from .backends import BackendError, MultimodalBackend, RefusedError, TemporaryBackendError, UnreachableError

#: The run ends after this number of questions in a row that did not reach the server.
MAX_UNREACHED = 3
#: The run ends if this number of questions is refused before the first answer: the settings must be wrong.
MAX_REFUSED = 3
#: Longest wait in seconds that a server can ask for.
MAX_WAIT = 60.0


class Asker:
    """Asks a backend, with a cache on disk, a rate limit, and retries after temporary errors.

    Args:
        backend (MultimodalBackend): The model.
        cache_dir (str | Path): Folder of the answers, one JSON file for each model, question and picture. All answers
            are cached, errors are not.
        requests_per_minute (float, optional): Highest rate of requests. Defaults to None: no limit.
        retries (int): Number of retries after a temporary error, at least 0. Defaults to 5.
        backoff (float): Seconds before the first retry, doubled for each further one. If the server says how long to
            wait, that counts instead, up to a minute. Defaults to 1.

    Attributes:
        asked (int): Number of answers of the backend.
        cached (int): Number of answers from the cache.

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
            TemporaryBackendError: There is no answer after the last retry.
            RefusedError: The server refused this question.
            BackendError: Retries are useless, three questions in a row did not reach the server, or the first three
                questions were refused.
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
                raise BackendError(f'the first {MAX_REFUSED} questions were refused: check the model and the options '
                                   f'of the request. The last one: {error}') from error
            raise
        except UnreachableError as error:
            self._unreached += 1
            if self._unreached == MAX_UNREACHED:
                raise BackendError(f'{MAX_UNREACHED} questions in a row did not reach the server: check base_url and '
                                   f'timeout. The last one: {error}') from error
            raise
        except TemporaryBackendError:
            self._unreached = 0
            raise
        if not isinstance(answer, str):
            raise BackendError(f'{self.backend.name} answered {answer!r}: expected text (its method `ask` must return '
                               'a str)')
        self._unreached = 0
        self.asked += 1
        record = dict(model=self.backend.name, question=question, answer=answer)
        atomic_write(path, json.dumps(record, indent=1, ensure_ascii=False).encode('utf-8', 'backslashreplace'))
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
    """Check the rate and the number of retries of an :class:`Asker`.

    Raises:
        UsageError: A number is out of range.
    """
    if requests_per_minute is not None:
        check_number('requests_per_minute', requests_per_minute, 0, above=True)
    check_number('retries', retries, 0, whole=True)


def _read_answer(path: Path) -> str | None:
    """Read an answer from the cache; None if there is no file or it is damaged."""
    try:
        answer = json.loads(path.read_text(encoding='utf-8'))['answer']
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return answer if isinstance(answer, str) else None
