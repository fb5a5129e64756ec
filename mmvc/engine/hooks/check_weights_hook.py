# Copyright (c) The mmvc contributors. All rights reserved.
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch.distributed.fsdp import FullyShardedDataParallel

from mmvc.engine.checkpoints import weight_mismatches
from mmvc.registry import HOOKS

MAX_LINES = 20  # mismatches that the error names


@HOOKS.register_module()
class CheckWeightsHook(Hook):
    """Refuses a checkpoint whose weights do not fit the model; mmengine only warns and goes on with random ones.

    Args:
        allow_missing (bool): Whether the model may have parts that the checkpoint lacks, as a stage has that adds a
            module to the one before. Defaults to False.
    """

    priority = 'VERY_LOW'  # after hooks that rewrite the checkpoint (averaged weights)

    def __init__(self, allow_missing: bool = False) -> None:
        self.allow_missing = allow_missing

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare names and shapes.

        Raises:
            WeightMismatchError: If a weight has another shape, is not in the model or (unless allowed) is missing.
        """
        model = runner.model
        if is_model_wrapper(model) and not isinstance(model, FullyShardedDataParallel):
            model = model.module
        if isinstance(model, BaseTTAModel):  # it loads weights into the model that it wraps
            model = model.module
        lines = weight_mismatches(model, checkpoint.get('state_dict', checkpoint), self.allow_missing)
        if lines:
            more = [f'... and {len(lines) - MAX_LINES} more'] if len(lines) > MAX_LINES else []
            raise WeightMismatchError(
                f'{len(lines)} weights of the checkpoint do not fit the model of the config (another number of '
                'classes, another architecture?):\n  ' + '\n  '.join(lines[:MAX_LINES] + more))


class WeightMismatchError(RuntimeError):
    """The weights of a checkpoint do not fit the model of the config."""
