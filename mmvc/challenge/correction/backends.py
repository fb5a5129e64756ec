# Copyright (c) The mmvc contributors. All rights reserved.
"""Multimodal models with one method: a picture and a question in, text out."""

import base64
import io
import json
import os
import queue
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar, cast

from PIL import Image

from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError

MAX_ANSWER_TOKENS = 32
_MAX_ERROR = 300  # characters
T = TypeVar('T')


class BackendError(UsageError):
    """The model cannot be used as configured; retries are useless."""


class TemporaryBackendError(BackendError):
    """The model did not answer this time: it is overloaded, unreachable or too slow.

    Args:
        message (str): What happened.
        retry_after (float, optional): Seconds to wait, if the server says so. Defaults to None.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreachableError(TemporaryBackendError):
    """The server did not reply: it is down or too slow."""


class RefusedError(BackendError):
    """The server refused this request: it objects to the picture, or the settings are wrong."""


class MultimodalBackend(ABC):
    """A model that answers questions about pictures.

    Args:
        name (str): Model and settings. It is part of the cache key of the answers.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def ask(self, picture: bytes, question: str) -> str:
        """Ask one question about one picture.

        Args:
            picture (bytes): JPEG.
            question (str): The question.

        Returns:
            str: Text that the model wrote.

        Raises:
            TemporaryBackendError: A retry may help.
            RefusedError: A retry is useless for this question; others may be answered.
            BackendError: A retry is useless.
        """


class OpenAIBackend(MultimodalBackend):
    """A server with the chat API of OpenAI (OpenAI, vLLM, Ollama, ...); uses the ``openai`` client.

    Args:
        model (str): Name of the model on the server.
        base_url (str, optional): Address of the server. Defaults to None: the environment variable
            ``OPENAI_BASE_URL``, or OpenAI if it is not set.
        api_key_env (str): Environment variable that holds the API key. A server at a ``base_url`` may need no key.
            Defaults to ``'OPENAI_API_KEY'``.
        timeout (float): Seconds to wait for a whole answer. Defaults to 60.
        options (dict, optional): Further arguments of a request. Reasoning models need for example
            ``dict(max_completion_tokens=2000)``. Defaults to None: ``dict(temperature=0, max_tokens=32)``.

    Raises:
        UsageError: ``timeout`` is not a number above 0.
        BackendError: The client is not installed, there is no API key, or ``options`` is not a dict.
    """

    def __init__(self,
                 model: str,
                 base_url: str | None = None,
                 api_key_env: str = 'OPENAI_API_KEY',
                 timeout: float = 60.0,
                 options: dict | None = None) -> None:
        check_number('timeout', timeout, 0, above=True)
        if not isinstance(options, (dict, type(None))):
            raise BackendError(f'options = {options!r} of a request: expected a dict of arguments by name')
        try:
            import openai
        except ImportError as error:
            raise BackendError(f'the package "openai" cannot be imported ({error}): pip install openai') from error
        key = os.environ.get(api_key_env)
        if not key and base_url is None and 'OPENAI_BASE_URL' not in os.environ:
            raise BackendError(f'the environment variable {api_key_env} holds no key: set it, or give the base_url of '
                               'a server that needs no key')
        self._openai = openai
        self._model, self._key, self._timeout = model, key, timeout
        self._options = dict(temperature=0, max_tokens=MAX_ANSWER_TOKENS) if options is None else options
        # no retries here: Asker retries, and keeps the rate limit
        self._client = openai.OpenAI(api_key=key or 'none', base_url=base_url, timeout=timeout, max_retries=0)
        # the name is written to files: leave out passwords and keys
        address = self._client.base_url.copy_with(userinfo=b'', query=None)
        public = {name: value for name, value in (options or {}).items() if name != 'extra_headers'}
        super().__init__(':'.join([f'openai:{model}@{address}', *([] if options is None else [json.dumps(public)])]))

    def ask(self, picture: bytes, question: str) -> str:
        """Ask the server; see :meth:`MultimodalBackend.ask`."""
        url = f'data:image/jpeg;base64,{base64.b64encode(picture).decode()}'
        content = [dict(type='text', text=question), dict(type='image_url', image_url=dict(url=url))]
        messages: Any = [dict(role='user', content=content)]  # the client's type hints ask for its own TypedDicts
        try:
            return self._clean(_text(self._request(messages)))
        except BackendError as error:
            text = re.sub(r'(?i)\b(bearer|basic) +[^\s\'"]{8,}', r'\1 ***', self._clean(str(error)))
            error.args = (' '.join(text.split())[:_MAX_ERROR], )
            raise

    def _request(self, messages: Any) -> Any:
        try:
            return _in_time(
                lambda: self._client.chat.completions.create(model=self._model, messages=messages, **self._options),
                self._timeout)
        except BackendError:
            raise
        except (self._openai.RateLimitError, self._openai.InternalServerError) as error:
            raise TemporaryBackendError(f'server: {error}', _retry_after(error.response)) from error
        except self._openai.APIConnectionError as error:  # includes timeouts
            raise UnreachableError(f'server not reached: {error}') from error
        except self._openai.BadRequestError as error:
            raise RefusedError(f'refused: {error}') from error
        except self._openai.OpenAIError as error:
            raise BackendError(f'model "{self._model}": {error}') from error
        except TypeError as error:  # the client does not know one of the options
            raise BackendError(f'options {self._options} of a request: {error}') from error
        except (ValueError, RecursionError) as error:
            raise TemporaryBackendError(f'the reply is not valid JSON ({error})') from error

    def _clean(self, text: str) -> str:
        """Text of a server as it may be shown and written: no key, no control characters, no half characters."""
        if self._key:
            text = text.replace(self._key, '***')
        text = text.encode('utf-8', 'replace').decode()
        return ''.join(letter if letter.isprintable() or letter in '\n\t' else ' ' for letter in text)


class TransformersBackend(MultimodalBackend):
    """A Hugging Face model (LLaVA and its successors) in this process, through the auto classes.

    Args:
        model (str): Name on the hub, or a local folder.
        device (str): Device to run it on. Defaults to ``'cpu'``.
        dtype (str, optional): Name of a floating-point type of torch, e.g. ``'bfloat16'``. Defaults to None: the type
            that transformers chooses.

    Raises:
        BackendError: ``transformers`` is not installed, the model cannot be loaded, or the type is unknown.
    """

    def __init__(self, model: str, device: str = 'cpu', dtype: str | None = None) -> None:
        super().__init__(':'.join(['transformers', model, *([dtype] if dtype else [])]))
        import torch  # slow, and not needed for --help
        torch_type = getattr(torch, dtype, None) if dtype else None
        if dtype and not (isinstance(torch_type, torch.dtype) and torch_type.is_floating_point):
            raise BackendError(f'dtype = {dtype!r}: expected a floating-point type of torch, such as bfloat16')
        try:
            from transformers import AutoModelForImageTextToText, AutoProcessor
        except ImportError as error:
            raise BackendError('AutoModelForImageTextToText cannot be imported from the package "transformers" '
                               f'({error}): pip install "transformers>=4.46"') from error
        try:
            self._processor = AutoProcessor.from_pretrained(model)
            self._model = AutoModelForImageTextToText.from_pretrained(model).eval()
        except (OSError, ValueError) as error:
            raise BackendError(f'model "{model}" cannot be loaded, check its name: {error}') from error
        self._model.to(device=device, dtype=torch_type)

    def ask(self, picture: bytes, question: str) -> str:
        """Ask the model, without sampling; see :meth:`MultimodalBackend.ask`."""
        content = [dict(type='image'), dict(type='text', text=question)]
        prompt = self._processor.apply_chat_template([dict(role='user', content=content)], add_generation_prompt=True)
        image = Image.open(io.BytesIO(picture)).convert('RGB')
        inputs = self._processor(images=image, text=prompt, return_tensors='pt')
        inputs = inputs.to(self._model.device, self._model.dtype)
        import torch
        with torch.inference_mode():
            tokens = self._model.generate(**inputs, max_new_tokens=MAX_ANSWER_TOKENS, do_sample=False)
        answer = tokens[0, inputs['input_ids'].shape[1]:]
        return self._processor.decode(answer, skip_special_tokens=True).strip()


def answer_limit(options: dict | None) -> int | None:
    """Return the largest number of tokens of an answer.

    Args:
        options (dict, optional): The ``options`` of :class:`OpenAIBackend`.

    Returns:
        int | None: The limit. None if the options set no limit.
    """
    if options is None:
        return MAX_ANSWER_TOKENS
    limits = [options[key] for key in ('max_tokens', 'max_completion_tokens') if options.get(key) is not None]
    return max(limits) if limits else None


def _text(reply: Any) -> str:
    """Extract the text that the model wrote."""
    try:
        text = reply.choices[0].message.content or ''
    except (AttributeError, IndexError, TypeError) as error:
        raise TemporaryBackendError(f'the reply is not a chat completion ({error})') from error
    if not isinstance(text, str):
        raise TemporaryBackendError(f'the reply is not a chat completion (its content {text!r} is not text)')
    return text


def _in_time(function: Callable[[], T], seconds: float) -> T:
    """Call a function in another thread. The timeout of a client counts from one byte to the next.

    Raises:
        UnreachableError: It has not returned in time. The thread goes on until the client gives up.
    """
    results: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            results.put((function(), None))
        except Exception as error:  # it belongs to the thread that waits
            results.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise UnreachableError(f'server not reached: no whole reply within {seconds:g} s') from None
    if error is not None:
        raise error
    return cast(T, result)


def _retry_after(response: Any) -> float | None:
    """Return the header ``Retry-After`` in seconds; None if it is missing or not a number."""
    try:
        seconds = float(response.headers['retry-after'])
    except (KeyError, ValueError):
        return None
    return seconds if seconds >= 0 else None  # also rejects NaN
