# Copyright (c) The mmvc contributors. All rights reserved.
from mmvc.utils.dataset_configs import innermost_dataset, innermost_datasets


def test_datasets_are_found_inside_wrappers():
    first, second = dict(type='A'), dict(type='B')
    wrapped = dict(type='ConcatDataset', datasets=[dict(type='RepeatDataset', times=2, dataset=first), second])
    assert list(innermost_datasets(wrapped)) == [first, second]
    assert innermost_dataset(wrapped) is first
    assert innermost_dataset(second) is second
