# Copyright (c) The mmvc contributors. All rights reserved.
import json
import logging
import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor
from torch.optim import Optimizer

from mmvc.registry import HOOKS
from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import NonFiniteError


@HOOKS.register_module()
class NaNGuardHook(Hook):
    """Stops the training on a NaN or infinite loss or gradient, before the update, and reports the clips.

    Gradients are checked right before each optimizer step. If they are NaN or infinite they are discarded, so weights,
    momenta and averaged weights keep their values of the previous iteration. The hook then writes a report to
    ``<work_dir>/nonfinite/iter_<number>_rank_<rank>.json``: the clips of the batch (with gradient accumulation: of all
    batches of the step), their frames, the losses, and the parameters with bad gradients. After that the training
    stops with an error, or continues without that step, up to a limit.

    With automatic mixed precision, infinite gradients are normal: the loss scaler finds its scale that way and skips
    the step itself. Then only NaN or infinite losses count.

    If gradients are not clipped, the hook logs their norm as ``grad_norm``; otherwise mmengine does.

    Args:
        max_skipped (int): Number of steps that may be skipped before the training stops, including those before it
            was resumed. Defaults to 0.

    Raises:
        NonFiniteError: During training, if more steps than ``max_skipped`` are bad.
    """

    priority = 'HIGH'  # before the hooks that average weights, log and save

    def __init__(self, max_skipped: int = 0) -> None:
        self.max_skipped = max_skipped
        self._clips: list[dict] = []  # since the last step
        self._norm: float | None = None  # of the gradients, if it is NaN or infinite
        self._parameters: list[str] = []
        self._handles: list = []

    def before_train(self, runner: Runner) -> None:
        """Register the gradient check with all optimizers."""
        wrappers = [runner.optim_wrapper]
        if isinstance(runner.optim_wrapper, OptimWrapperDict):
            wrappers = list(runner.optim_wrapper.values())
        names = {id(parameter): name for name, parameter in runner.model.named_parameters()}
        for wrapper in wrappers:
            message_hub = None if wrapper.clip_grad_kwargs else runner.message_hub
            check = partial(self._before_step, names=names, message_hub=message_hub)
            self._handles.append(wrapper.optimizer.register_step_pre_hook(check))

    def after_train(self, runner: Runner) -> None:
        """Remove the gradient check."""
        while self._handles:
            self._handles.pop().remove()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Record the clips of the batch."""
        self._clips += describe_batch(data_batch)

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: dict | None = None,
                         outputs: dict[str, Any] | None = None) -> None:
        """Report a bad loss or gradient, and stop the training if there are too many."""
        losses = {name: float(value.detach() if isinstance(value, Tensor) else value)
                  for name, value in (outputs or {}).items() if _is_scalar(value)}
        bad = [f'{name} = {value}' for name, value in losses.items() if not math.isfinite(value)]
        clips, norm = self._clips, self._norm
        if isinstance(runner.optim_wrapper, OptimWrapperDict) or runner.optim_wrapper.should_update():
            self._clips = []  # an optimizer has just stepped
        if not bad and norm is None:
            return
        self._norm = None
        path = self._write_report(runner, losses, norm, clips)
        skipped = runner.message_hub.runtime_info.get('skipped_steps', 0) + 1
        runner.message_hub.update_info('skipped_steps', skipped)

        what = ', '.join(bad) if bad else f'gradient norm = {norm}, with finite losses on this rank'
        message = (f'iteration {runner.iter + 1}: {what}, on {_describe(clips)}. The step is skipped; clips, losses '
                   f'and parameters are in "{path}"')
        if skipped > self.max_skipped:
            limit = f' after {self.max_skipped} skipped steps' if self.max_skipped else ''
            raise NonFiniteError(f'{message}. The training stops{limit}: check these clips, lower the learning rate '
                                 'or clip the gradients, then continue from the last checkpoint with --resume; or '
                                 'allow more skipped steps with NaNGuardHook(max_skipped=N)')
        runner.logger.log(logging.WARNING, f'{message} (skipped step {skipped} of at most {self.max_skipped})')

    def _before_step(self, optimizer: Optimizer, args: tuple, kwargs: dict, names: dict[int, str],
                     message_hub: MessageHub | None) -> None:
        """Check the gradients before a step (``args`` and ``kwargs`` are those of the step), and log their norm."""
        norm = self._check_gradients(optimizer, names)
        if message_hub is not None:
            message_hub.update_scalar('train/grad_norm', norm)

    def _check_gradients(self, optimizer: Optimizer, names: dict[int, str]) -> float:
        """Return the norm of an optimizer's gradients; discard the gradients if it is NaN or infinite."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group['params']
                      if parameter.grad is not None]
        norm = total_norm([parameter.grad for parameter in parameters])
        finite = math.isfinite(norm)
        if self.max_skipped and get_world_size() > 1:  # all ranks must skip the same steps
            flag = torch.tensor(float(finite), device=parameters[0].device if parameters else 'cpu')
            all_reduce(flag, 'min')
            finite = bool(flag)
        if not finite:
            self._norm = norm
            self._parameters = [names.get(id(parameter), '?') for parameter in parameters
                                if not bool(parameter.grad.isfinite().all())]
            for parameter in parameters:
                parameter.grad = None  # the optimizer skips parameters without a gradient
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
    """Return the Euclidean norm of all tensors together; 0 for an empty list."""
    if not tensors:
        return 0.0
    if hasattr(torch.nn.utils, 'get_total_norm'):  # torch >= 2.6, in a single kernel
        norm = torch.nn.utils.get_total_norm(tensors)
    else:
        norms = [torch.linalg.vector_norm(tensor, dtype=torch.float32) for tensor in tensors]
        norm = torch.linalg.vector_norm(torch.stack([value.to(norms[0].device) for value in norms]))
    return float(norm.full_tensor() if hasattr(norm, 'full_tensor') else norm)  # a sharded tensor (DTensor)


def describe_batch(data_batch: dict | None) -> list[dict]:
    """List the clips of a batch.

    Args:
        data_batch (dict | None): Batch with ``data_samples``, one per clip or image.

    Returns:
        list[dict]: Per clip ``video_id``, ``masked`` and ``frames``, a list of ``dict(frame_id, img_path)``. Missing
        metainfo is None.
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


def _describe(clips: list[dict]) -> str:
    if not clips:
        return 'a batch without metainfo'
    more = f' and {len(clips) - 4} more clips' if len(clips) > 4 else ''
    return '; '.join(f'video "{clip["video_id"]}" frames {[frame["frame_id"] for frame in clip["frames"]]} '
                     f'({clip["frames"][0]["img_path"]})' for clip in clips[:4]) + more


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (int, float)) or isinstance(value, Tensor) and value.numel() == 1
