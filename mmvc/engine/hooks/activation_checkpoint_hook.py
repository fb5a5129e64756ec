# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import wraps
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmvc.registry import HOOKS
from mmvc.utils.errors import UsageError


@HOOKS.register_module()
class ActivationCheckpointHook(Hook):
    """Saves memory for time: activations inside the named modules are computed again when the gradients need them.

    Losses and gradients stay the same. mmengine's ``activation_checkpointing`` has the same purpose, but takes no
    patterns, no keyword arguments and no module whose inputs come from a frozen one.

    Args:
        modules (Sequence[str]): Names of modules as in ``model.named_modules()``; ``*`` stands for one name between
            dots. Modules must be used by calling them, not by other methods. Defaults to the layers of the pixel
            decoder's encoder, the decoder, the tracker and the refiner; those that a stage lacks or has frozen are
            left out.

    Raises:
        UsageError: Before training, if a given name fits no module.
    """

    MODULES = ('head.pixel_decoder.encoder.layers.*', 'head.transformer_decoder.layers.*', 'tracker.layers.*',
               'refiner.layers.*')

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        self.modules = tuple(modules)

    def before_train(self, runner: Runner) -> None:
        """Wrap the modules."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        count = checkpoint_activations(model, self.modules)
        print_log(f'Activations of {count} modules are computed twice, to save memory', logger='current')


def checkpoint_activations(model: nn.Module, patterns: Sequence[str] = ActivationCheckpointHook.MODULES) -> int:
    """Let modules of a model forget their activations, see :class:`ActivationCheckpointHook`.

    Args:
        model (nn.Module): The model, not wrapped. Changed in place.
        patterns (Sequence[str]): Names of modules.

    Returns:
        int: Number of modules.

    Raises:
        UsageError: If a pattern that is not a default fits no module.
    """
    modules = {name.replace('_fsdp_wrapped_module.', ''): module for name, module in model.named_modules()}
    chosen = []
    for pattern in patterns:
        found = [module for name, module in modules.items() if _fits(name, pattern)]
        if not found and pattern not in ActivationCheckpointHook.MODULES:
            raise UsageError(f'ActivationCheckpointHook: the model has no module "{pattern}"; it has '
                             f'{", ".join(sorted({name.split(".")[0] for name in modules if name}))} and what is in '
                             'them, see model.named_modules()')
        chosen += [module for module in found if any(p.requires_grad for p in module.parameters())]
    for module in chosen:
        module.forward = _checkpointed(module.forward)
    return len(chosen)


def _fits(name: str, pattern: str) -> bool:
    parts, wanted = name.split('.'), pattern.split('.')
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _checkpointed(forward: Callable) -> Callable:

    @wraps(forward)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return wrapper
