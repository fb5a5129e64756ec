# Copyright (c) The mmvc contributors. All rights reserved.
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmvc.registry import HOOKS
from mmvc.utils.errors import UsageError


@HOOKS.register_module()
class CheckClassesHook(Hook):
    """Checks that ``num_classes`` of the model equals the number of classes of the dataset.

    Without this check, the first label that is out of range raises an index error (on GPUs a device-side assertion),
    or the model trains classes that do not exist.

    Raises:
        UsageError: Before a training, validation or test, if the numbers differ.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Compare with the training set."""
        self._check(runner, runner.train_loop.dataloader.dataset, 'train')

    def before_val(self, runner: Runner) -> None:
        """Compare with the validation set."""
        self._check(runner, runner.val_loop.dataloader.dataset, 'val')

    def before_test(self, runner: Runner) -> None:
        """Compare with the test set."""
        self._check(runner, runner.test_loop.dataloader.dataset, 'test')

    @staticmethod
    def _check(runner: Runner, dataset: Dataset, split: str) -> None:
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        expected = getattr(model, 'num_classes', None)
        classes = getattr(dataset, 'metainfo', {}).get('classes')
        if expected is not None and classes is not None and len(classes) != expected:
            names = ', '.join(map(str, [*classes[:5], *(['...'] if len(classes) > 5 else [])]))
            raise UsageError(f'model.num_classes is {expected}, but the dataset of {split}_dataloader has '
                             f'{len(classes)} classes ({names}): correct model.num_classes, or metainfo.classes of '
                             'the dataset')
