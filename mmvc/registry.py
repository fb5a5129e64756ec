# Copyright (c) The mmvc contributors. All rights reserved.
"""The registries of the package: children of mmengine's registries, with scope ``mmvc``.

The modules in ``locations`` are imported when a registry is first used. Every registry that a config with
``default_scope = 'mmvc'`` uses has a child here, even if the package registers nothing in it: mmengine warns if a
child is missing.
"""

from importlib import import_module
from typing import Any

from mmengine import registry as root
from mmengine.registry import Registry


class OnDemandRegistry(Registry):
    """A registry that imports the modules of some classes only when these are asked for, because they take seconds.

    Args:
        name (str): Name of the registry.
        on_demand (dict[str, str]): The module of each such class, by its name.
        **kwargs: Other arguments of :class:`mmengine.registry.Registry`.
    """

    def __init__(self, name: str, on_demand: dict[str, str], **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._on_demand = on_demand

    def get(self, key: str) -> type | None:
        """Return the class of a name, or None if there is none."""
        module = self._on_demand.get(self.split_scope_key(key)[1])
        if module is not None:
            import_module(module)
        return super().get(key)


# of mmvc.datasets, which imports none of them by itself
_DATASET_MODULES = ('base_video_seg', 'camvid', 'coco_pseudo_video', 'joint', 'ovis', 'seeded_dataset', 'vipseg',
                    'vspw', 'youtube_vis')

DATASETS = OnDemandRegistry(
    'dataset',
    on_demand=dict(VSPWImageDataset='mmvc.datasets.vspw_image'),
    parent=root.DATASETS,
    locations=[f'mmvc.datasets.{module}' for module in _DATASET_MODULES],
    scope='mmvc')
DATA_SAMPLERS = Registry('data sampler', parent=root.DATA_SAMPLERS, locations=['mmvc.datasets.samplers'], scope='mmvc')
TRANSFORMS = Registry('transform', parent=root.TRANSFORMS, locations=['mmvc.datasets.transforms'], scope='mmvc')
MODEL_WRAPPERS = Registry('model_wrapper', parent=root.MODEL_WRAPPERS, scope='mmvc')
WEIGHT_INITIALIZERS = Registry('weight initializer', parent=root.WEIGHT_INITIALIZERS, scope='mmvc')
MODELS = Registry('model', parent=root.MODELS, locations=['mmvc.models'], scope='mmvc')
TASK_UTILS = Registry('task util', parent=root.TASK_UTILS, locations=['mmvc.models'], scope='mmvc')
EVALUATORS = Registry('evaluator', parent=root.EVALUATOR, scope='mmvc')
METRICS = Registry('metric', parent=root.METRICS, locations=['mmvc.evaluation'], scope='mmvc')
HOOKS = Registry('hook', parent=root.HOOKS, locations=['mmvc.engine'], scope='mmvc')
OPTIMIZERS = Registry('optimizer', parent=root.OPTIMIZERS, locations=['mmvc.engine'], scope='mmvc')
OPTIM_WRAPPERS = Registry('optim_wrapper', parent=root.OPTIM_WRAPPERS, locations=['mmvc.engine'], scope='mmvc')
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer constructor', parent=root.OPTIM_WRAPPER_CONSTRUCTORS, locations=['mmvc.engine'], scope='mmvc')
PARAM_SCHEDULERS = Registry(
    'parameter scheduler', parent=root.PARAM_SCHEDULERS, locations=['mmvc.engine'], scope='mmvc')
LOOPS = Registry('loop', parent=root.LOOPS, locations=['mmvc.engine'], scope='mmvc')
LOG_PROCESSORS = Registry('log_processor', parent=root.LOG_PROCESSORS, scope='mmvc')
RUNNERS = Registry('runner', parent=root.RUNNERS, locations=['mmvc.engine'], scope='mmvc')
STRATEGIES = Registry('strategy', parent=root.STRATEGIES, locations=['mmvc.engine.sharded_strategy'], scope='mmvc')
FUNCTIONS = Registry('function', parent=root.FUNCTIONS, locations=['mmvc.engine'], scope='mmvc')
VISBACKENDS = Registry('vis_backend', parent=root.VISBACKENDS, locations=['mmvc.visualization'], scope='mmvc')
VISUALIZERS = Registry('visualizer', parent=root.VISUALIZERS, locations=['mmvc.visualization'], scope='mmvc')
