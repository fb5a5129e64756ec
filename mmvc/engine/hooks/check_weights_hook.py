# Copyright (c) The mmvc contributors. All rights reserved.
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch.distributed.fsdp import FullyShardedDataParallel

from mmvc.engine.checkpoints import weight_mismatches
from mmvc.registry import HOOKS

MAX_LINES = 20  # mismatches listed in the error message


@HOOKS.register_module()
class CheckWeightsHook(Hook):
    """Checks that the weights of a checkpoint fit the model; mmengine only warns and keeps random weights.

    Args:
        allow_missing (bool): Whether the model may have weights that the checkpoint lacks, as in a stage that adds a
            module. Defaults to False.
    """

    priority = 'VERY_LOW'  # after hooks that change the checkpoint, such as EMAHook

    def __init__(self, allow_missing: bool = False) -> None:
        self.allow_missing = allow_missing

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare names and shapes.

        Raises:
            WeightMismatchError: A weight has another shape, is not in the model or, unless allowed, is missing.
        """
        model = runner.model
        if is_model_wrapper(model) and not isinstance(model, FullyShardedDataParallel):
            model = model.module
        if isinstance(model, BaseTTAModel):  # weights are loaded into the wrapped model
            model = model.module
        lines = weight_mismatches(model, checkpoint.get('state_dict', checkpoint), self.allow_missing)
        if lines:
            more = [f'... and {len(lines) - MAX_LINES} more'] if len(lines) > MAX_LINES else []
            raise WeightMismatchError(
                f'{len(lines)} weights of the checkpoint do not fit the model of the config (does the number of '
                'classes or the architecture differ?):\n  ' + '\n  '.join(lines[:MAX_LINES] + more))


class WeightMismatchError(RuntimeError):
    """The weights of a checkpoint do not fit the model of the config."""
