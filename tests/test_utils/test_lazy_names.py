# Copyright (c) The mmvc contributors. All rights reserved.
import importlib

import pytest

import mmvc
from mmvc.utils.lazy_names import lazy_names


def test_a_module_is_imported_when_its_name_is_used():
    get, names = lazy_names('mmvc.utils', dict(named='errors', missing='no_such_module'))
    assert {'named', 'missing', '__name__'} <= set(names())
    assert get('named') is importlib.import_module('mmvc.utils.errors').named
    with pytest.raises(ModuleNotFoundError, match='mmvc.utils.no_such_module'):
        get('missing')


def test_other_names_are_an_error():
    with pytest.raises(AttributeError, match="module 'mmvc.utils' has no attribute 'other'"):
        lazy_names('mmvc.utils', {})[0]('other')
    with pytest.raises(AttributeError, match="module 'mmvc' has no attribute 'other'"):
        mmvc.__getattr__('other')


@pytest.mark.parametrize('package', ['mmvc.apis', 'mmvc.datasets'])
def test_every_listed_name_is_there(package):
    module = importlib.import_module(package)
    assert all(getattr(module, name).__name__ == name for name in module.__all__)
    assert set(module.__all__) <= set(dir(module)), 'the documentation lists these'
