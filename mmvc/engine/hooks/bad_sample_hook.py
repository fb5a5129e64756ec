# Copyright (c) The mmvc contributors. All rights reserved.
import logging

from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvc.datasets.bad_samples import REPLACED_KEY, BadSampleError
from mmvc.registry import HOOKS


@HOOKS.register_module()
class BadSampleHook(Hook):
    """Logs and counts training samples that could not be loaded and were replaced.

    The limit is ``max_bad_samples`` of the training set. It applies to the number of different bad samples in all
    workers of all ranks since the training began; checkpoints keep this count. Each bad sample is logged once, with
    the reason. The count is logged as ``train/bad_samples``.

    Args:
        interval (int): Number of iterations between exchanges among ranks. Defaults to 50.
    """

    priority = 'HIGH'

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self._pending: list[tuple[str, str]] = []
        self._found: dict[str, str] = {}

    def before_train(self, runner: Runner) -> None:
        """Restore the count of a resumed training."""
        self._limit = getattr(runner.train_dataloader.dataset, 'max_bad_samples', 0)
        self._found = dict(runner.message_hub.runtime_info.get('bad_samples', {}))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Collect the bad samples that were replaced in the batch.

        Raises:
            BadSampleError: There are more bad samples than ``max_bad_samples``.
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
                                                   f'is replaced by the next sample: {reason}')
        if gathered:
            runner.message_hub.update_info('bad_samples', dict(self._found))
            runner.message_hub.update_scalar('train/bad_samples', len(self._found))
        if len(self._found) > self._limit:
            raise BadSampleError(f'{len(self._found)} samples cannot be loaded, but max_bad_samples of the training '
                                 f'set is {self._limit}: repair the data. The last bad samples: ' +
                                 '; '.join(f'{name}: {reason}' for name, reason in list(self._found.items())[-3:]))
