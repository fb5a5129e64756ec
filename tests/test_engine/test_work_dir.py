# Copyright (c) The mmvc contributors. All rights reserved.
import pytest

from mmvc.engine import default_work_dir


@pytest.mark.parametrize('path, expected', [
    ('configs/mvc/dvispp.py', 'work_dirs/mvc/dvispp'),
    ('elsewhere/configs/dvispp/dvispp.py', 'work_dirs/dvispp/dvispp'),
    ('configs/family/deep/model.py', 'work_dirs/family/deep/model'),
    ('elsewhere/model.py', 'work_dirs/model'),
    ('model.v2.py', 'work_dirs/model.v2'),
])
def test_configs_of_one_name_keep_apart(path, expected):
    assert default_work_dir(path) == expected
