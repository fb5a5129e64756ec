# Copyright (c) The mmvc contributors. All rights reserved.
"""The tasks of video segmentation, and by which class names each is recognised.

This table alone decides the task of a model, a dataset or a metric. It holds names, not classes, so that every layer
can import it.
"""

from typing import Any, NamedTuple

VSS, VPS, VIS = 'vss', 'vps', 'vis'


class TaskNames(NamedTuple):
    """Registered names that belong to a task.

    Attributes:
        title (str): The task in words.
        datasets (tuple[str, ...]): Datasets with its kind of ground truth.
        postprocessor (str): What makes its predictions from a model's raw output.
        metric (str): What scores them.
    """

    title: str
    datasets: tuple[str, ...]
    postprocessor: str
    metric: str


TASKS = {
    VSS: TaskNames('video semantic segmentation',
                   ('BaseVideoSegDataset', 'VSPWDataset', 'CamVidDataset', 'VSPWImageDataset'), 'VSSPostprocessor',
                   'VSSMetric'),
    VPS: TaskNames('video panoptic segmentation', ('VIPSegDataset', ), 'VPSPostprocessor', 'VPSMetric'),
    VIS: TaskNames('video instance segmentation', ('YouTubeVISDataset', 'OVISDataset', 'COCOPseudoVideoDataset'),
                   'VISPostprocessor', 'VISMetric'),
}
_TASK_OF = {
    name: task
    for task, names in TASKS.items() for name in (*names.datasets, names.postprocessor, names.metric)
}


def task_of(named: Any) -> str | None:
    """Find the task of a dataset, post-processor or metric.

    Args:
        named (Any): Its registered name (a scope such as ``mmvc.`` is ignored), its class, or an object of that class.
            A subclass has the task of its nearest parent in the table.

    Returns:
        str | None: ``'vss'``, ``'vps'`` or ``'vis'``; None if the table does not have it.
    """
    if isinstance(named, str):
        return _TASK_OF.get(named.rsplit('.', 1)[-1])
    cls = named if isinstance(named, type) else type(named)
    return next((_TASK_OF[parent.__name__] for parent in cls.__mro__ if parent.__name__ in _TASK_OF), None)
