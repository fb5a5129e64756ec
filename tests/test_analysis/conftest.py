# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

from tests.helpers.synthetic_sets import make_sets


@pytest.fixture(scope='session')
def sets(tmp_path_factory) -> Path:
    """Generated videos in the formats of all three tasks."""
    return make_sets(tmp_path_factory.mktemp('sets'))


@pytest.fixture(autouse=True)
def scope(process_state):
    """The scope of the package's configs."""
    init_default_scope('mmvc')
