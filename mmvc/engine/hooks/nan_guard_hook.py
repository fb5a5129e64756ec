# Copyright (c) The mmvc contributors. All rights reserved.
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor
from torch.optim import Optimizer

from mmvc.registry import HOOKS
from mmvc.utils.atomic import atomic_write


class NonFiniteError(RuntimeError):
    """A loss or a gradient is NaN or infinite."""


@HOOKS.register_module()
class NaNGuardHook(Hook):
    """Ends a training whose loss or gradient is NaN or infinite, before that reaches the weights, and says on what.

    The gradients are looked at right before each step of the optimizer: if they are not finite they are dropped, and
    weights, momenta and averaged weights stay those of the iteration before. The clips of the batch (with gradient
    accumulation: of all batches of the step), their frames, the losses and the parameters concerned are written to
    ``<work_dir>/nonfinite/iter_<number>_rank_<rank>.json``. Then the training ends with an error, or goes on without
    that step, up to a limit.

    With automatic mixed precision, infinite gradients are the ordinary way to find the loss scale; the scaler drops
    them itself, and only losses that are not finite count.

    Where gradients are not clipped, their norm is logged as ``grad_norm`` (where they are, mmengine does it).

    Args:
        max_skipped (int): How many steps may be dropped before the training ends, counted over all its resumptions.
            Defaults to 0.

    Raises:
        NonFiniteError: In training, see above.
    """

    priority = 'HIGH'  # before the hooks that average, log and save

    def __init__(self, max_skipped: int = 0) -> None:
        self.max_skipped = max_skipped
        self._clips: list[dict] = []  # since the last step
        self._norm: float | None = None  # of the gradients, if it is not finite
        self._parameters: list[str] = []
        self._handles: list = []

    def before_train(self, runner: Runner) -> None:
        """Watch the optimizers."""
        wrappers = [runner.optim_wrapper]
        if isinstance(runner.optim_wrapper, OptimWrapperDict):
            wrappers = list(runner.optim_wrapper.values())
        names = {id(parameter): name for name, parameter in runner.model.named_parameters()}
        for wrapper in wrappers:
            log_norm = None if wrapper.clip_grad_kwargs else runner.message_hub.update_scalar

            def check(optimizer: Optimizer, args: tuple, kwargs: dict,
                      log_norm: Callable[[str, float], None] | None = log_norm) -> None:
                norm = self._check_gradients(optimizer, names)
                if log_norm is not None:
                    log_norm('train/grad_norm', norm)

            self._handles.append(wrapper.optimizer.register_step_pre_hook(check))

    def after_train(self, runner: Runner) -> None:
        """Leave the optimizers alone."""
        while self._handles:
            self._handles.pop().remove()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Remember what is in the batch."""
        self._clips += describe_batch(data_batch)

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: dict | None = None,
                         outputs: dict[str, Any] | None = None) -> None:
        """Report what was found, and end the training or go on."""
        losses = {name: float(value.detach() if isinstance(value, Tensor) else value)
                  for name, value in (outputs or {}).items() if _is_scalar(value)}
        bad = [f'{name} = {value}' for name, value in losses.items() if not math.isfinite(value)]
        clips, norm = self._clips, self._norm
        if isinstance(runner.optim_wrapper, OptimWrapperDict) or runner.optim_wrapper.should_update():
            self._clips = []
        if not bad and norm is None:
            return
        self._norm = None
        path = self._write_report(runner, losses, norm, clips)
        skipped = runner.message_hub.runtime_info.get('skipped_steps', 0) + 1
        runner.message_hub.update_info('skipped_steps', skipped)

        what = ', '.join(bad) if bad else f'gradient norm = {norm}, with finite losses here'
        message = (f'iteration {runner.iter + 1}: {what}, on {_name(clips)}. The step is dropped; clips, losses and '
                   f'parameters are in "{path}"')
        if skipped > self.max_skipped:
            limit = f' after {self.max_skipped} others that were dropped' if self.max_skipped else ''
            raise NonFiniteError(f'{message}. This ends the training{limit}: look at these clips, lower the learning '
                                 'rate or clip the gradient, then go on from the last checkpoint with --resume; or '
                                 'let more steps be dropped with NaNGuardHook(max_skipped=N)')
        runner.logger.log(logging.WARNING, f'{message} (number {skipped} of at most {self.max_skipped})')

    def _check_gradients(self, optimizer: Optimizer, names: dict[int, str]) -> float:
        """Norm of the gradients of an optimizer; unless it is finite, they are dropped."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group['params']
                      if parameter.grad is not None]
        norm = total_norm([parameter.grad for parameter in parameters])
        finite = math.isfinite(norm)
        if self.max_skipped and get_world_size() > 1:  # ranks that hold parts of the model must agree
            flag = torch.tensor(float(finite), device=parameters[0].device if parameters else 'cpu')
            all_reduce(flag, 'min')
            finite = bool(flag)
        if not finite:
            self._norm = norm
            self._parameters = [names.get(id(parameter), '?') for parameter in parameters
                                if not bool(parameter.grad.isfinite().all())]
            for parameter in parameters:
                parameter.grad = None  # an optimizer leaves alone what has no gradient
        return norm

    def _write_report(self, runner: Runner, losses: dict[str, float], norm: float | None,
                      clips: list[dict]) -> Path:
        path = Path(runner.work_dir, 'nonfinite', f'iter_{runner.iter + 1}_rank_{get_rank()}.json')
        content = dict(
            iteration=runner.iter + 1,
            rank=get_rank(),
            losses={name: value if math.isfinite(value) else str(value) for name, value in losses.items()},
            gradient_norm=None if norm is None else str(norm),
            parameters_with_bad_gradients=self._parameters,
            clips=clips)
        self._parameters = []
        atomic_write(path, json.dumps(content, indent=1).encode())
        return path


def total_norm(tensors: list[Tensor]) -> float:
    """Euclidean norm of many tensors taken together; 0 if there are none."""
    if not tensors:
        return 0.0
    if hasattr(torch.nn.utils, 'get_total_norm'):  # torch >= 2.6: all tensors in one kernel
        norm = torch.nn.utils.get_total_norm(tensors)
    else:
        norms = [torch.linalg.vector_norm(tensor, dtype=torch.float32) for tensor in tensors]
        norm = torch.linalg.vector_norm(torch.stack([value.to(norms[0].device) for value in norms]))
    return float(norm.full_tensor() if hasattr(norm, 'full_tensor') else norm)  # of sharded tensors: all parts


def describe_batch(data_batch: dict | None) -> list[dict]:
    """Name what is in a batch.

    Args:
        data_batch (dict | None): Batch with ``data_samples``, one per clip or image.

    Returns:
        list[dict]: Per clip: ``video_id``, ``masked`` and ``frames``, a list of ``dict(frame_id, img_path)``; what a
        sample does not tell is None.
    """
    samples = data_batch.get('data_samples') or () if isinstance(data_batch, dict) else ()
    clips = []
    for sample in samples:
        frames = [frame.metainfo for frame in getattr(sample, 'video_data_samples', [sample])
                  if hasattr(frame, 'metainfo')]
        if frames:
            clips.append(dict(
                video_id=frames[0].get('video_id'),
                masked=any(bool(frame.get('masked')) for frame in frames),
                frames=[dict(frame_id=frame.get('frame_id'), img_path=frame.get('img_path')) for frame in frames]))
    return clips


def _name(clips: list[dict]) -> str:
    if not clips:
        return 'a batch without names'
    more = f' and {len(clips) - 4} more clips' if len(clips) > 4 else ''
    return '; '.join(f'video "{clip["video_id"]}" frames {[frame["frame_id"] for frame in clip["frames"]]} '
                     f'({clip["frames"][0]["img_path"]})' for clip in clips[:4]) + more


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (int, float)) or isinstance(value, Tensor) and value.numel() == 1
