# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel

from mmvc.engine.hooks import CheckClassesHook
from mmvc.models.tta import VideoSegTTAModel
from mmvc.registry import HOOKS
from mmvc.utils.errors import UsageError

ROOT = Path(__file__).parents[2]
CLASSES = ('sky', 'sea', 'rock', 'tree', 'boat', 'gull')


def runner_of(model, **metainfo):
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=SimpleNamespace(metainfo=metainfo)))
    return SimpleNamespace(model=model, train_loop=loop, val_loop=loop, test_loop=loop)


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_both_numbers_and_the_split_are_named(split):
    check = getattr(CheckClassesHook(), f'before_{split}')
    check(runner_of(SimpleNamespace(num_classes=6), classes=CLASSES))
    with pytest.raises(UsageError) as caught:
        check(runner_of(SimpleNamespace(num_classes=7), classes=CLASSES))
    assert (f'model.num_classes is 7, but the dataset of {split}_dataloader has 6 classes (sky, sea, rock, tree, '
            'boat, ...)') in str(caught.value)


@pytest.mark.parametrize('wrapper', [VideoSegTTAModel, MMDistributedDataParallel])
def test_the_model_inside_a_wrapper_counts(wrapper):
    wrapped = wrapper.__new__(wrapper)
    object.__setattr__(wrapped, '_modules', dict(module=SimpleNamespace(num_classes=2)))
    with pytest.raises(UsageError, match='num_classes is 2'):
        CheckClassesHook().before_test(runner_of(wrapped, classes=CLASSES))


def test_models_and_datasets_without_classes_pass():
    CheckClassesHook().before_train(runner_of(SimpleNamespace(), classes=CLASSES))  # must not raise
    CheckClassesHook().before_train(runner_of(SimpleNamespace(num_classes=3)))  # must not raise


def test_every_config_has_it():
    hooks = Config.fromfile(str(ROOT / 'configs/_base_/default_runtime.py')).default_hooks
    assert isinstance(HOOKS.build(hooks.check_classes), CheckClassesHook)
