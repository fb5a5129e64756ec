# Copyright (c) The mmvc contributors. All rights reserved.
import pytest

import mmvc.datasets.vspw_image  # noqa: F401  registers, as the rest of mmvc.datasets
from mmvc.apis.results import FRAME_RESULTS
from mmvc.apis.writers import OFFICIAL_WRITERS
from mmvc.models import VPSPostprocessor
from mmvc.registry import DATASETS, METRICS, TASK_UTILS
from mmvc.utils.tasks import TASKS, task_of


def test_the_table_names_what_is_registered():
    for names in TASKS.values():
        assert TASK_UTILS.get(names.postprocessor) and METRICS.get(names.metric)
        for dataset in names.datasets:
            assert DATASETS.get(dataset), dataset


def test_every_dataset_of_the_package_has_a_task():
    wrappers = {'JointDataset', 'SeededDataset'}
    named = {name for names in TASKS.values() for name in names.datasets}
    registered = {name for name, cls in DATASETS.module_dict.items() if cls.__module__.startswith('mmvc.')}
    assert registered - wrappers == named


@pytest.mark.parametrize('table', [FRAME_RESULTS, OFFICIAL_WRITERS], ids=['results', 'writers'])
def test_tables_by_task_have_all_tasks(table):
    assert set(table) == set(TASKS)


def test_a_class_has_the_task_of_its_nearest_parent():

    class OwnPostprocessor(VPSPostprocessor):
        pass

    assert task_of(OwnPostprocessor) == task_of(OwnPostprocessor([0])) == task_of('mmvc.VPSPostprocessor') == 'vps'
    assert task_of('VISMetric') == 'vis' and task_of('OVISDataset') == 'vis' and task_of('VSPWDataset') == 'vss'
    assert task_of('mmdet.CocoMetric') is None and task_of(dict) is None
