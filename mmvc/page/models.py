# Copyright (c) The mmvc contributors. All rights reserved.
"""The models that the page offers. One of them is in memory at a time."""

import gc
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from mmvc.apis import VideoSegInferencer
from mmvc.apis.loading import chosen_weights
from mmvc.utils.errors import UsageError


class ModelShelf:
    """Loads the models that a user chooses, and keeps the last one.

    Args:
        models (Sequence[str]): Checkpoint files or addresses, folders of ``save_pretrained()``, or names of models
            with published weights.
        config (str, optional): Config of checkpoints that do not contain theirs. Defaults to None.
        load (Callable, optional): Makes an inferencer of a model and a config. Defaults to None: see
            :func:`load_inferencer`.

    Raises:
        UsageError: There is no model, or a file does not exist.
    """

    def __init__(self, models: Sequence[str], config: str | None = None,
                 load: Callable[[str, str | None], VideoSegInferencer] | None = None) -> None:
        if not models:
            raise UsageError('name at least one model: a checkpoint file, or a name')
        for model in models:
            if '://' not in model and Path(model).suffix in ('.pth', '.safetensors') and not os.path.exists(model):
                raise UsageError(f'checkpoint "{model}" does not exist')
        short = [Path(model).name for model in models]
        self._models = {name if short.count(name) == 1 else model: model for name, model in zip(short, models)}
        self._config = config
        self._load = load or load_inferencer
        self._current: tuple[str, VideoSegInferencer] | None = None
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """Names to choose from: the last part of each path, or the whole path if two are the same."""
        return list(self._models)

    def get(self, name: str) -> VideoSegInferencer:
        """Load a model, unless it is the last one that was used.

        Args:
            name (str): One of ``names``.

        Returns:
            VideoSegInferencer: The model.

        Raises:
            UsageError: The name is not known, or the model cannot be loaded.
        """
        if name not in self._models:
            raise UsageError(f'there is no model "{name}": choose one of {", ".join(self._models)}')
        with self._lock:
            if self._current is None or self._current[0] != name:
                self._current = None  # its memory is needed
                gc.collect()
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                self._current = name, self._load(self._models[name], self._config)
            return self._current[1]


def load_inferencer(model: str, config: str | None = None, **options: Any) -> VideoSegInferencer:
    """Make an inferencer.

    Args:
        model (str): As for :class:`ModelShelf`.
        config (str, optional): Config of a checkpoint. Defaults to None: the one inside it.
        **options: As for :class:`VideoSegInferencer`.

    Returns:
        VideoSegInferencer: It shows no progress bars.

    Raises:
        UsageError: The model cannot be loaded.
    """
    options = dict(options, show_progress=False)
    if os.path.isdir(model):
        return VideoSegInferencer.from_pretrained(model, **options)
    if os.path.isfile(model) or '://' in model:
        return VideoSegInferencer(config, model, **options)
    if chosen_weights(model, stage=options.get('stage')) is None:
        raise UsageError(f'no weights of "{model}" are published: give a checkpoint, and --model {model}')
    return VideoSegInferencer(model, **options)
