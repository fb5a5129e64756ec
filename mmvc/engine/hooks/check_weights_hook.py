# Copyright (c) The mmvc contributors. All rights reserved.
import logging
from collections import Counter

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch.distributed.fsdp import FullyShardedDataParallel

from mmvc.engine.checkpoints import fitting_weights, frozen_weights, mismatch_hint, weight_mismatches
from mmvc.registry import HOOKS

MAX_LINES = 20  # mismatches listed in the error message
_ABSENT = ': not in the checkpoint'


@HOOKS.register_module()
class CheckWeightsHook(Hook):
    """Checks that the weights of a checkpoint fit the model; mmengine only warns and keeps random weights.

    Args:
        allow_missing (bool): Whether the model may have weights that the checkpoint lacks, as in a stage that adds a
            module. Frozen parts must be complete. Defaults to False.
        allow_other (bool): Whether weights may also have other shapes or names than the model, as in a training that
            starts from a model of other classes: they are listed, and the others are loaded. Defaults to False.
    """

    priority = 'VERY_LOW'  # after hooks that change the checkpoint, such as EMAHook

    def __init__(self, allow_missing: bool = False, allow_other: bool = False) -> None:
        self.allow_missing = allow_missing
        self.allow_other = allow_other

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare names and shapes.

        Raises:
            WeightMismatchError: No weight fits, or a weight has another shape, is not in the model or is missing, and
                that is not allowed.
        """
        model = runner.model
        if is_model_wrapper(model) and not isinstance(model, FullyShardedDataParallel):
            model = model.module
        if isinstance(model, BaseTTAModel):  # weights are loaded into the wrapped model
            model = model.module
        state_dict = checkpoint.get('state_dict', checkpoint)
        lines = weight_mismatches(model, state_dict, self.allow_missing)
        hint = None if self.allow_missing else mismatch_hint(lines)
        differing = f'{len(lines)} weights of the checkpoint do not fit the model of the config ' \
            f'({hint or "does the number of classes or the architecture differ?"}):\n  {_listed(lines)}'
        if lines and not self.allow_other:
            raise WeightMismatchError(differing)
        if not self.allow_missing:
            return
        fitting = fitting_weights(model, state_dict)
        if not fitting:
            raise WeightMismatchError('no weight of the checkpoint fits the model of the config, which would stay '
                                      'random: set load_from to a checkpoint of this model. The checkpoint has '
                                      f'{_names(state_dict)}; the model has {_names(model.state_dict())}')
        absent = [name for name in frozen_weights(model) if name not in fitting]
        if absent:
            raise WeightMismatchError(f'{len(absent)} weights of the frozen parts of the model are not in the '
                                      f'checkpoint, and would stay random for good:\n  {_listed(absent)}')
        new = [line.removesuffix(_ABSENT) for line in weight_mismatches(model, state_dict) if line.endswith(_ABSENT)]
        if new and not lines:
            print_log(f'The checkpoint lacks {_parts(new)}: they start as the model initialises them',
                      logger='current')
        if lines:
            print_log(f'{differing}\nThey start from random values', logger='current', level=logging.WARNING)


def _listed(lines: list[str]) -> str:
    more = [f'... and {len(lines) - MAX_LINES} more'] if len(lines) > MAX_LINES else []
    return '\n  '.join(lines[:MAX_LINES] + more)


def _parts(names: list[str]) -> str:
    """Count weights by the part of the model that has them: ``tracker (80 weights), refiner (90 weights)``."""
    counts = Counter(name.split('.')[0] for name in names)
    return ', '.join(f'{part} ({count} weights)' for part, count in counts.items())


def _names(state_dict: dict) -> str:
    names = list(map(str, state_dict))
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '') if names else 'no weights'


class WeightMismatchError(RuntimeError):
    """The weights of a checkpoint do not fit the model of the config."""
