# Copyright (c) The mmvc contributors. All rights reserved.
import logging
import math
import os.path as osp
import re
import signal
import time
from typing import Any, NoReturn

import torch
from mmengine.dist import all_reduce, get_world_size, is_main_process
from mmengine.fileio import get_file_backend
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvc.engine.checkpoints import is_inside_epoch, is_training_checkpoint
from mmvc.engine.resumable_train_loop import VALIDATED
from mmvc.engine.stopping import TrainingStopped, requested_signal
from mmvc.registry import HOOKS

_OUTDATED = 'outdated_ckpts'
_PARTS = 5  # checkpoints of a training that is shorter than the interval
_ITERS_TO_AGREE = 10  # how often several processes ask each other whether one wants to save or to stop


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """Checkpoint hook that keeps an intact checkpoint on disk whenever the process is killed.

    It differs from mmengine's hook in these ways:

    - Checkpoints on local disk and ``last_checkpoint`` are written atomically.
    - An outdated checkpoint, including ``best_*``, is removed only after the new one is complete. If the process is
      killed between the two, the resumed training removes it.
    - A checkpoint that it resumes from cannot make it remove or read other files: the paths that it took from there
      count by their names, as files of the folder that it saves to.
    - Before rank 0 saves, the hook calls ``gather_for_checkpoint(runner)`` of all hooks that have this method, on all
      ranks. :class:`RandomStateHook` needs it.
    - A checkpoint is also saved when the last one is older than some minutes, and, if the training is shorter than the
      interval, after each fifth of it.
    - If the user or the system asks the process to stop (:func:`mmvc.engine.stopping.stop_on_signals`), a checkpoint
      is saved and the training ends. A training that counts epochs then repeats the epoch that was interrupted, so its
      checkpoint is called ``epoch_<finished epochs>_iter_<iterations>.pth``; the next one replaces it.

    Args:
        max_minutes (float, optional): Longest time between two checkpoints; None for no limit. Counted only in a
            training that is counted in iterations. Defaults to 10.
        backend_args (dict, optional): Storage of the checkpoints, see :class:`mmengine.hooks.CheckpointHook`. Defaults
            to None: local disk with atomic writes.
        **kwargs: As for :class:`mmengine.hooks.CheckpointHook`.
    """

    backend_args: dict | None
    file_backend: Any  # one of mmengine's
    filename_tmpl: str
    interval: int
    max_keep_ckpts: int

    def __init__(self, *args: Any, backend_args: dict | None = None, max_minutes: float | None = 10,
                 **kwargs: Any) -> None:
        super().__init__(*args, backend_args=backend_args, **kwargs)
        self.max_minutes = max_minutes
        self._last_saved_time = time.monotonic()
        self._last_saved_iter: int | None = None
        self._undefined: set[str] = set()
        self._inside_epoch: str | None = None  # what is resumed, if it was saved before the end of an epoch
        self._earlier_best: list[str | None] = []  # while a better checkpoint is being saved

    def before_train(self, runner: Runner) -> None:
        """Select atomic storage, unless ``out_dir`` is remote (``s3://...``), and remove outdated checkpoints."""
        if self.backend_args is None and self.file_client_args is None and '://' not in str(self.out_dir or ''):
            self.backend_args = dict(backend='atomic_local')
        info = runner.message_hub.runtime_info  # of the checkpoint that is resumed
        if 'keep_ckpt_ids' in info:
            info['keep_ckpt_ids'] = [step for step in _as_list(info['keep_ckpt_ids']) if type(step) is int]
        super().before_train(runner)
        self._set_best([self._own_path(path) for path in self._best()])
        self._remove([path for path in map(self._own_path, _as_list(info.get(_OUTDATED))) if path is not None])
        last = self._own_path(info.get('last_ckpt'))
        self._inside_epoch = last if last and is_inside_epoch(last) else None
        self._last_saved_time = time.monotonic()
        steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        length = getattr(runner, 'max_iters', math.inf)
        if not self.by_epoch and self.interval > length:
            self.interval = math.ceil(length / _PARTS / steps) * steps
        if not self.by_epoch and self.interval > 0 and self.interval % steps:
            print_log(f'Every {self.interval} iterations a checkpoint is saved, every {steps} the optimizer steps. '
                      'Gradients accumulated in between are not saved, so a resumed training would differ. Set '
                      'default_hooks.checkpoint.interval to a multiple of optim_wrapper.accumulative_counts',
                      logger='current', level=logging.WARNING)

    def _own_path(self, path: Any) -> str | None:
        """The file of the same name in the folder of this training; None if a training gives no such name."""
        name = re.split(r'[/\\]', path)[-1] if isinstance(path, str) else ''
        return self.file_backend.join_path(self.out_dir, name) if is_training_checkpoint(name) else None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Save a checkpoint if one is due, or if the training is to stop.

        Raises:
            TrainingStopped: The training is to stop, and its checkpoint is saved.
        """
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        done = runner.iter + 1
        steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        if done % steps or get_world_size() > 1 and done // steps % _ITERS_TO_AGREE:
            return
        late = self.max_minutes is not None and time.monotonic() - self._last_saved_time > 60 * self.max_minutes
        late, signal_number = self._agree(late and self.interval > 0 and not self.by_epoch, requested_signal())
        if self.by_epoch and self.end_of_epoch(runner.train_dataloader, batch_idx):
            return  # it ends after this method
        if (late or signal_number) and self._last_saved_iter != done and done < runner.max_iters:
            runner.logger.info(f'Saving checkpoint at {done} iterations')
            if self.by_epoch:
                self._save_inside_epoch(runner, done)
            else:
                self._save_checkpoint(runner)
        if signal_number and done < runner.max_iters:
            self._stop(signal_number, f'after iteration {done}')

    def after_train_epoch(self, runner: Runner) -> None:
        """Save a checkpoint if one is due, or if the training is to stop.

        Raises:
            TrainingStopped: The training is to stop, and its checkpoint is saved.
        """
        super().after_train_epoch(runner)
        if not self.by_epoch:
            return
        _, signal_number = self._agree(False, requested_signal())
        if signal_number and runner.iter < runner.max_iters:
            if self._last_saved_iter != runner.iter:
                self._save_checkpoint(runner)
            self._stop(signal_number, f'after epoch {runner.epoch + 1}')

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """End a validation during the training if it is to stop; a resumed training repeats this validation.

        Several processes finish it, since they may have different numbers of batches. So does a training whose weights
        are exchanged for averaged ones during a validation, unless they are saved already.

        Raises:
            TrainingStopped: The training is to stop, and its checkpoint is saved.
        """
        signal_number = requested_signal() if get_world_size() == 1 else 0
        if not signal_number:
            return
        if self._last_saved_iter != runner.iter:
            if any(isinstance(hook, EMAHook) for hook in runner.hooks):
                return
            runner.message_hub.update_info(VALIDATED, 0)  # it is not complete
            step = runner.epoch if self.by_epoch else runner.iter
            self._save_checkpoint_with_step(runner, step, meta=dict(epoch=runner.epoch, iter=runner.iter))
        self._stop(signal_number, f'in the validation after iteration {runner.iter}')

    def _stop(self, signal_number: int, when: str) -> NoReturn:
        name = signal.Signals(signal_number).name
        raise TrainingStopped(signal_number, f'stopped by {name} {when}, which is saved as "{self.last_ckpt}": go on '
                              'with --resume')

    def _save_inside_epoch(self, runner: Runner, done: int) -> None:
        """Save the weights of an epoch that has begun, under a name of its own: a resumed training repeats it."""
        template, self.filename_tmpl = self.filename_tmpl, f'epoch_{runner.epoch}_iter_{{}}.pth'
        keep, self.max_keep_ckpts = self.max_keep_ckpts, -1
        try:
            self._save_checkpoint_with_step(runner, done, meta=dict(epoch=runner.epoch, iter=done))
        finally:
            self.filename_tmpl, self.max_keep_ckpts = template, keep

    @staticmethod
    def _agree(late: bool, signal_number: int) -> tuple[bool, int]:
        """What any rank asks for; all must do the same, as saving is a collective."""
        if get_world_size() == 1:
            return late, signal_number
        asked = torch.tensor([int(late), signal_number])
        all_reduce(asked, 'max')
        return bool(asked[0]), int(asked[1])

    def save_if_missing(self, runner: Runner) -> str:
        """Save the final weights, unless they are saved already. A training that stops early does not save them.

        Args:
            runner (Runner): Runner after ``train()``.

        Returns:
            str: Path of the checkpoint of the last iteration.
        """
        if self._last_saved_iter != runner.iter:
            step = runner.epoch if self.by_epoch else runner.iter
            self._save_checkpoint_with_step(runner, step, meta=dict(epoch=runner.epoch, iter=runner.iter))
        return self.last_ckpt

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        outdated = self._replaced_best()
        if self._inside_epoch is not None:
            outdated.append(self._inside_epoch)
            self._inside_epoch = None
        if self.max_keep_ckpts > 0 and (not self.keep_ckpt_ids or self.keep_ckpt_ids[-1] != step):
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                oldest = self.filename_tmpl.format(self.keep_ckpt_ids[0])
                outdated.append(self.file_backend.join_path(self.out_dir, oldest))
            self.keep_ckpt_ids.append(step)  # a deque of bounded length, which drops the oldest
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

        filename = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, filename)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.message_hub.update_info(_OUTDATED, outdated)  # a resumed run can remove them
        runner.call_hook('gather_for_checkpoint')
        runner.save_checkpoint(
            self.out_dir,
            filename,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args)
        self._last_saved_iter, self._last_saved_time = meta['iter'], time.monotonic()

        if is_main_process():
            pointer = osp.join(runner.work_dir, 'last_checkpoint')
            get_file_backend(backend_args=dict(backend='atomic_local')).put_text(str(self.last_ckpt), pointer)
        self._remove(outdated)

    def _remove(self, paths: list[str]) -> None:
        """Remove the given checkpoints that exist; only rank 0 does so."""
        for path in paths if is_main_process() else ():
            if self.file_backend.isfile(path) or osp.islink(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):  # a checkpoint of DeepSpeed is a folder
                self.file_backend.rmtree(path)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Save a best checkpoint, then remove the one that it replaces.

        mmengine removes the earlier best checkpoint before it writes the better one. To prevent that, the earlier
        paths are hidden from mmengine while it saves.
        """
        if not self.save_best:
            return
        metrics = self._defined(metrics)
        if not metrics:
            return
        self._earlier_best = self._best()
        self._set_best([None] * len(self._earlier_best))
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            replaced = self._replaced_best()
            self._set_best([new or earlier for new, earlier in zip(self._best(), self._earlier_best)])
            self._earlier_best = []
        self._remove(replaced)
        for path in replaced:
            runner.logger.info(f'The previous best checkpoint {path} is removed')

    def _defined(self, metrics: dict[str, Any]) -> dict[str, Any]:
        """Add None, which is never the best, for the metrics of ``save_best`` that this validation does not define."""
        missing = [key for key in self.key_indicators if key != 'auto' and key not in metrics]
        if not set(missing) <= self._undefined:
            print_log(f'The validation gives no {", ".join(missing)}, which save_best asks for: no best checkpoint is '
                      f'saved by it. It gives {", ".join(metrics) or "no numbers"}; a number is left out if the data '
                      'do not define it', logger='current', level=logging.WARNING)
        self._undefined.update(missing)
        return {**metrics, **dict.fromkeys(missing)}

    def _best(self) -> list[str | None]:
        """Paths of the best checkpoints, one per metric of ``save_best``."""
        if not self.save_best:
            return []
        if len(self.key_indicators) == 1:
            return [self.best_ckpt_path]
        return [self.best_ckpt_path_dict[key] for key in self.key_indicators]

    def _set_best(self, paths: list[str | None]) -> None:
        if self.save_best and len(self.key_indicators) == 1:
            self.best_ckpt_path, = paths
        elif self.save_best:
            self.best_ckpt_path_dict = dict(zip(self.key_indicators, paths))

    def _replaced_best(self) -> list[str]:
        """Earlier best checkpoints for which a better one has been saved under another name."""
        if not self._earlier_best:
            return []
        return [earlier for earlier, new in zip(self._earlier_best, self._best())
                if earlier and new and new != earlier]


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else []
