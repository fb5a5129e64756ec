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
    """Trades time for memory: activations inside the given modules are recomputed in the backward pass.

    Losses and gradients stay the same. mmengine's ``activation_checkpointing`` does the same, but does not support
    patterns, keyword arguments, or modules whose inputs need no gradient.

    Args:
        modules (Sequence[str]): Module names as in ``model.named_modules()``; ``*`` matches one name between dots.
            A module must be used only through ``forward``. Defaults to the layers of the pixel decoder's encoder, the
            decoder, the tracker and the refiner, and the blocks of an encoder-only model; defaults that a stage lacks
            or has frozen are skipped.

    Raises:
        UsageError: Before training, if a given name matches no module.
    """

    MODULES = ('head.pixel_decoder.encoder.layers.*', 'head.transformer_decoder.layers.*', 'tracker.layers.*',
               'refiner.layers.*', 'encoder.blocks.*', 'decoder.blocks.*')

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        self.modules = tuple(modules)

    def before_train(self, runner: Runner) -> None:
        """Wrap the modules."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        count = checkpoint_activations(model, self.modules)
        print_log(f'Activations of {count} modules are recomputed in the backward pass to save memory',
                  logger='current')


def checkpoint_activations(model: nn.Module, patterns: Sequence[str] = ActivationCheckpointHook.MODULES) -> int:
    """Recompute the activations of some modules in the backward pass, see :class:`ActivationCheckpointHook`.

    Args:
        model (nn.Module): Model without a wrapper. Changed in place.
        patterns (Sequence[str]): Module names, with ``*`` for one name between dots.

    Returns:
        int: Number of changed modules.

    Raises:
        UsageError: A pattern that is not a default matches no module.
    """
    modules = {name.replace('_fsdp_wrapped_module.', ''): module for name, module in model.named_modules()}
    chosen = []
    for pattern in patterns:
        found = [module for name, module in modules.items() if _fits(name, pattern)]
        if not found and pattern not in ActivationCheckpointHook.MODULES:
            raise UsageError(f'ActivationCheckpointHook: the model has no module "{pattern}"; it has '
                             f'{", ".join(sorted({name.split(".")[0] for name in modules if name}))} and their '
                             'children: choose names from model.named_modules()')
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
