# Copyright (c) The mmvc contributors. All rights reserved.
import pytest

from mmvc.datasets.transforms import SampleClip
from mmvc.registry import TRANSFORMS
from mmvc.utils.type_names import type_class, type_name


@pytest.mark.parametrize('kind', ['SampleClip', 'mmvc.SampleClip', 'mmvc.datasets.transforms.SampleClip', SampleClip])
def test_a_type_is_named_however_it_is_written(kind):
    assert type_name(kind) == type_name(dict(type=kind)) == 'SampleClip'
    assert type_class(kind, TRANSFORMS) is type_class(dict(type=kind), TRANSFORMS) is SampleClip


def test_what_has_no_type():
    assert type_name(None) == type_name({}) == ''
    assert type_class({}, TRANSFORMS) is None
