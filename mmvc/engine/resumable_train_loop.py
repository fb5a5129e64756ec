# Copyright (c) The mmvc contributors. All rights reserved.
import copy
from collections.abc import Iterator
from typing import Any

import torch.nn as nn
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmvc.registry import LOOPS

# The name must not begin with "val": mmengine would log it as a metric.
VALIDATED, _OLD_VALIDATED = 'last_validated_iter', 'validated_iter'


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """Iteration-based training loop that resumes exactly: a resumed training equals an uninterrupted one.

    It differs from mmengine's loop in three ways:

    - Data starts at the iteration of the checkpoint, without loading earlier batches
      (:class:`ResumableBatchSampler`).
    - Random augmentations depend only on the seed and on the sample's position in the training, for any number of
      workers (:class:`SeededDataset`).
    - It runs a validation that was due at the checkpoint but not recorded in it.

    Together with :class:`RandomStateHook`, the final weights are identical bit for bit on the CPU, and on GPUs if all
    operations are deterministic.

    Args:
        runner (Runner): The runner.
        dataloader (dict): Config of the dataloader. Its ``dataset``, ``sampler`` and ``batch_sampler`` must use
            integer indices and depend on nothing but their seed.
        *args: As for :class:`mmengine.runner.IterBasedTrainLoop`.
        **kwargs: As for :class:`mmengine.runner.IterBasedTrainLoop`.

    Raises:
        TypeError: ``dataloader`` is already built, so the order of its data can no longer be changed.
    """

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, *args: Any,
                 **kwargs: Any) -> None:
        if not isinstance(dataloader, dict):
            raise TypeError(f'ResumableTrainLoop needs the config of a dataloader, got {type(dataloader).__name__}: '
                            'set train_cfg.type="mmengine.IterBasedTrainLoop" to pass a built dataloader')
        self._runner = runner
        self._dataloader_cfg = dataloader
        loader = self._build_dataloader()
        # mmengine 0.10.7 starts loading data as soon as it gets a dataloader, so it gets a substitute
        super().__init__(runner, DataLoader(loader.dataset), *args, **kwargs)
        self.dataloader = loader
        self.dataloader_iterator: Iterator | None = None

    def _build_dataloader(self) -> DataLoader:
        self._seed = self.runner.seed
        cfg = copy.deepcopy(self._dataloader_cfg)
        cfg['dataset'] = dict(type='mmvc.SeededDataset', dataset=cfg['dataset'], seed=self._seed)
        cfg['batch_sampler'] = dict(
            type='mmvc.ResumableBatchSampler',
            batch_sampler=cfg.get('batch_sampler'),
            drop_last=cfg.pop('drop_last', False))
        # one seed for all ranks, or one per rank, as in mmengine's loops
        diff_rank_seed = self.runner._randomness_cfg.get('diff_rank_seed', False)
        return self.runner.build_dataloader(cfg, seed=self._seed, diff_rank_seed=diff_rank_seed)

    def run(self) -> nn.Module:
        """Train from the current iteration to the last.

        Returns:
            nn.Module: The trained model.
        """
        if self.runner.seed != self._seed:  # the checkpoint has another seed
            self.dataloader = self._build_dataloader()
        batch_sampler: Any = self.dataloader.batch_sampler
        batch_sampler.start = self._iter
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        info = self.runner.message_hub.runtime_info
        validated = info.pop(_OLD_VALIDATED, None)
        if self._iter > 0 and self._iter not in (info.get(VALIDATED), validated):
            self._validate_if_due()
        while self._iter < self._max_iters and not self.stop_training:
            if self.dataloader_iterator is None:
                self.dataloader_iterator = iter(self.dataloader)
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            self._validate_if_due()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _validate_if_due(self) -> None:
        if (self.runner.val_loop is not None and self._iter >= self.val_begin
                and (self._iter % self.val_interval == 0 or self._iter == self._max_iters)):
            # Record it first: if this is the best validation, the checkpoint is written again and must know of it.
            self.runner.message_hub.update_info(VALIDATED, self._iter)
            self.runner.val_loop.run()
