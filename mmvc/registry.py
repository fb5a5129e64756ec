# Copyright (c) The mmvc contributors. All rights reserved.
"""The registries of the package: children of mmengine's, with scope ``mmvc``.

Modules are imported lazily, when the first of a kind is built (``locations``).
"""

from mmengine import registry as root
from mmengine.registry import Registry

DATASETS = Registry('dataset', parent=root.DATASETS, locations=['mmvc.datasets'], scope='mmvc')
DATA_SAMPLERS = Registry('data sampler', parent=root.DATA_SAMPLERS, locations=['mmvc.datasets'], scope='mmvc')
TRANSFORMS = Registry('transform', parent=root.TRANSFORMS, locations=['mmvc.datasets.transforms'], scope='mmvc')
MODELS = Registry('model', parent=root.MODELS, locations=['mmvc.models'], scope='mmvc')
TASK_UTILS = Registry('task util', parent=root.TASK_UTILS, locations=['mmvc.models'], scope='mmvc')
METRICS = Registry('metric', parent=root.METRICS, locations=['mmvc.evaluation'], scope='mmvc')
HOOKS = Registry('hook', parent=root.HOOKS, locations=['mmvc.engine'], scope='mmvc')
LOOPS = Registry('loop', parent=root.LOOPS, locations=['mmvc.engine'], scope='mmvc')
RUNNERS = Registry('runner', parent=root.RUNNERS, locations=['mmvc.engine'], scope='mmvc')
VISUALIZERS = Registry('visualizer', parent=root.VISUALIZERS, locations=['mmvc.visualization'], scope='mmvc')
