# Copyright (c) The mmvc contributors. All rights reserved.
import logging

import mmengine.logging
import pytest
from mmengine.registry import Registry, root

import mmvc.registry
from mmvc.utils.log_levels import hide_debug_messages


def test_messages_of_level_debug_are_not_printed(capsys):
    before = mmengine.logging.print_log
    hide_debug_messages()  # importing mmvc has done it already
    assert mmengine.logging.print_log is before
    mmengine.logging.print_log('Could not import OneDL. Skipping OneDL datasets.', level=logging.DEBUG)
    assert capsys.readouterr().out == ''
    mmengine.logging.print_log('a message')
    mmengine.logging.print_log('a warning', level=logging.WARNING)
    assert capsys.readouterr().out == 'a message\na warning\n'


@pytest.mark.parametrize('name', [
    name for name, value in vars(root).items()
    if isinstance(value, Registry) and name not in ('RUNNER_CONSTRUCTORS', 'INFERENCERS')])  # no config names them
def test_mmengine_misses_no_registry(name):
    """It warns of a registry that the default scope lacks."""
    parent = getattr(root, name)
    assert any(value.parent is parent for value in vars(mmvc.registry).values() if isinstance(value, Registry))
