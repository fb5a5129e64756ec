# Copyright (c) The mmvc contributors. All rights reserved.
"""Multimodal models behind one method: a picture and a question in, text out."""

import base64
import io
import json
import os
from abc import ABC, abstractmethod
from typing import Any

import torch
from PIL import Image

from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError

MAX_ANSWER_TOKENS = 32


class BackendError(UsageError):
    """The model cannot be used as configured: asking again would not help."""


class TemporaryBackendError(BackendError):
    """The model did not answer this time: overloaded, not reachable, too slow.

    Args:
        message (str): What happened.
        retry_after (float, optional): Seconds that the server asks to wait.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreachableError(TemporaryBackendError):
    """The server did not say anything: not there, or too slow."""


class RefusedError(BackendError):
    """The server does not take this request: what it thinks of the picture, or the settings are wrong."""


class MultimodalBackend(ABC):
    """A model that answers questions about pictures.

    Args:
        name (str): Model and settings; answers are cached under it.
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
            str: What the model writes.

        Raises:
            TemporaryBackendError: Asking again may help.
            RefusedError: It will not for this question; others may be answered.
            BackendError: It will not.
        """


class OpenAIBackend(MultimodalBackend):
    """Any server that speaks OpenAI's chat protocol: OpenAI, vLLM, Ollama and others, through the ``openai`` client.

    Args:
        model (str): Name of the model on the server.
        base_url (str, optional): Address of the server. Defaults to None: the client's own default, which is the
            environment variable ``OPENAI_BASE_URL`` or OpenAI.
        api_key_env (str): Environment variable that holds the key. Servers at a ``base_url`` may need none. Defaults
            to ``'OPENAI_API_KEY'``.
        timeout (float): Seconds to wait for an answer. Defaults to 60.
        options (dict, optional): Further arguments of a request, in the place of ``dict(temperature=0,
            max_tokens=32)``. Models that think before they answer want others, such as
            ``dict(max_completion_tokens=2000)``. Defaults to None.

    Raises:
        UsageError: ``timeout`` is no number above 0.
        BackendError: The client is not installed, there is no key, or the options are no dict.
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
                               'a server that needs none')
        self._openai = openai
        self._model = model
        self._options = dict(temperature=0, max_tokens=MAX_ANSWER_TOKENS) if options is None else options
        # asking again is the caller's job, who also keeps to the rate
        self._client = openai.OpenAI(api_key=key or 'none', base_url=base_url, timeout=timeout, max_retries=0)
        address = self._client.base_url.copy_with(userinfo=b'', query=None)  # names are published, passwords not
        super().__init__(':'.join([f'openai:{model}@{address}', *([] if options is None else [json.dumps(options)])]))

    def ask(self, picture: bytes, question: str) -> str:
        """Ask the server; see :meth:`MultimodalBackend.ask`."""
        url = f'data:image/jpeg;base64,{base64.b64encode(picture).decode()}'
        content = [dict(type='text', text=question), dict(type='image_url', image_url=dict(url=url))]
        messages: Any = [dict(role='user', content=content)]  # the client wants its own kinds of dict
        try:
            reply = self._client.chat.completions.create(
                model=self._model,
                messages=messages,
                **self._options)
        except (self._openai.RateLimitError, self._openai.InternalServerError) as error:
            raise TemporaryBackendError(f'server: {error}', _seconds(error.response)) from error
        except self._openai.APIConnectionError as error:  # time-outs are of this kind
            raise UnreachableError(f'server not reached: {error}') from error
        except self._openai.BadRequestError as error:
            raise RefusedError(f'refused: {error}') from error
        except self._openai.OpenAIError as error:
            raise BackendError(f'model "{self._model}": {error}') from error
        except TypeError as error:  # the client does not know an option
            raise BackendError(f'options {self._options} of a request: {error}') from error
        except json.JSONDecodeError as error:
            raise TemporaryBackendError(f'the reply is not of the protocol ({error})') from error
        return _text(reply)


class TransformersBackend(MultimodalBackend):
    """A Hugging Face model in this process: LLaVA and its successors, through the auto classes.

    Args:
        model (str): Name on the hub, or a local folder.
        device (str): Where to run it. Defaults to ``'cpu'``.
        dtype (str, optional): Name of a torch type, such as ``'bfloat16'``. Defaults to None: what transformers
            loads it as.

    Raises:
        BackendError: ``transformers`` is not installed, the model cannot be loaded, or there is no such type.
    """

    def __init__(self, model: str, device: str = 'cpu', dtype: str | None = None) -> None:
        super().__init__(':'.join(['transformers', model, *([dtype] if dtype else [])]))
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
            raise BackendError(f'model "{model}" cannot be loaded: {error}') from error
        self._model.to(device=device, dtype=torch_type)

    def ask(self, picture: bytes, question: str) -> str:
        """Ask without sampling; see :meth:`MultimodalBackend.ask`."""
        content = [dict(type='image'), dict(type='text', text=question)]
        prompt = self._processor.apply_chat_template([dict(role='user', content=content)], add_generation_prompt=True)
        image = Image.open(io.BytesIO(picture)).convert('RGB')
        inputs = self._processor(images=image, text=prompt, return_tensors='pt')
        inputs = inputs.to(self._model.device, self._model.dtype)
        with torch.inference_mode():
            tokens = self._model.generate(**inputs, max_new_tokens=MAX_ANSWER_TOKENS, do_sample=False)
        answer = tokens[0, inputs['input_ids'].shape[1]:]
        return self._processor.decode(answer, skip_special_tokens=True).strip()


def answer_limit(options: dict | None) -> int | None:
    """Most tokens that an answer to a request with these options can have; None: there is no limit."""
    if options is None:
        return MAX_ANSWER_TOKENS
    limits = [options[key] for key in ('max_tokens', 'max_completion_tokens') if options.get(key) is not None]
    return max(limits) if limits else None


def _text(reply: Any) -> str:
    """What the model wrote."""
    try:
        text = reply.choices[0].message.content or ''
    except (AttributeError, IndexError, TypeError) as error:
        raise TemporaryBackendError(f'the reply is not of the protocol ({error})') from error
    if not isinstance(text, str):
        raise TemporaryBackendError(f'the reply is not of the protocol (content {text!r} is no text)')
    return text


def _seconds(response: Any) -> float | None:
    """The header ``Retry-After`` in seconds, if there is one."""
    try:
        seconds = float(response.headers['retry-after'])
    except (KeyError, ValueError):
        return None
    return seconds if seconds >= 0 else None  # no more is NaN
