# Copyright (c) The mmvc contributors. All rights reserved.
import logging

from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvc.datasets.bad_samples import REPLACED_KEY, BadSampleError
from mmvc.registry import HOOKS


@HOOKS.register_module()
class BadSampleHook(Hook):
    """Logs and counts the samples that were replaced because they could not be loaded.

    The limit is ``max_bad_samples`` of the training set, for the different samples that all workers of all ranks met
    since the training began: the count is kept in the checkpoints. Every one is logged once, with the reason. The
    number so far is the scalar ``train/bad_samples``.

    Args:
        interval (int): Iterations between exchanges of several ranks. Defaults to 50.
    """

    priority = 'HIGH'

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self._pending: list[tuple[str, str]] = []
        self._found: dict[str, str] = {}

    def before_train(self, runner: Runner) -> None:
        """Take up the count of a resumed training."""
        self._limit = getattr(runner.train_dataloader.dataset, 'max_bad_samples', 0)
        self._found = dict(runner.message_hub.runtime_info.get('bad_samples', {}))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Collect what the batch replaces.

        Raises:
            BadSampleError: There are more bad samples than allowed.
        """
        samples = data_batch.get('data_samples', ()) if isinstance(data_batch, dict) else ()
        for sample in samples:
            self._pending += sample.metainfo.get(REPLACED_KEY, ()) if hasattr(sample, 'metainfo') else ()
        if self._limit and (get_world_size() == 1 or self.every_n_train_iters(runner, self.interval)
                            or self.is_last_train_iter(runner)):
            self._exchange(runner)

    def _exchange(self, runner: Runner) -> None:
        gathered = [found for of_rank in all_gather_object(self._pending) for found in of_rank]
        self._pending = []
        for name, reason in gathered:
            if name not in self._found:
                self._found[name] = reason
                runner.logger.log(logging.WARNING, f'bad sample {len(self._found)} of at most {self._limit}: {name} '
                                                   f'is replaced by the next one: {reason}')
        if gathered:
            runner.message_hub.update_info('bad_samples', dict(self._found))
            runner.message_hub.update_scalar('train/bad_samples', len(self._found))
        if len(self._found) > self._limit:
            raise BadSampleError(f'{len(self._found)} samples cannot be loaded, max_bad_samples of the training set '
                                 f'is {self._limit}: correct the data. The last ones: ' +
                                 '; '.join(f'{name}: {reason}' for name, reason in list(self._found.items())[-3:]))
