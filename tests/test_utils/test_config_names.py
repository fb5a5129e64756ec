# Copyright (c) The mmvc contributors. All rights reserved.
import argparse
from pathlib import Path

import pytest

from mmvc.utils.config_names import config_argument, config_files, shipped_hint


@pytest.fixture
def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument('config', type=config_argument)
    return lambda text: parser.parse_args([text]).config


def test_a_path_stays_as_it_is(parse, tmp_path):
    assert parse('configs/nothing.py') == 'configs/nothing.py'
    (tmp_path / 'no_suffix').touch()
    assert parse(str(tmp_path / 'no_suffix')) == str(tmp_path / 'no_suffix')


def test_a_name_becomes_the_path(parse):
    expected = config_files()['mvc/dvispp_r18_synthetic'].path
    assert parse('mvc/dvispp_r18_synthetic') == str(expected) and Path(expected).is_file()
    assert parse('minvis_r50_vspw') == str(config_files()['minvis/minvis_r50_vspw'].path)


def test_a_path_of_the_source_tree_elsewhere():
    """The examples of commands show such paths, and an installed package has no folder "configs" beside it."""
    assert shipped_hint('anywhere/configs/mvc/dvispp_r18_synthetic.py') == (
        ', or give the config of mmvc by its name: mvc/dvispp_r18_synthetic')
    assert shipped_hint('configs/mvc/nothing.py') == shipped_hint('dvispp_r18_synthetic.py') == shipped_hint('') == ''


@pytest.mark.parametrize('name, message', [
    ('mvc/dvispp_r18_synthetik', 'did you mean mvc/dvispp_r18_synthetic'),
    ('dvispp_r50_vspw', 'choose'),
    ('dvispp_r50_vspw_onlin', 'did you mean dvispp_r50_vspw_online, '),  # first the name with published weights
    ('mvc/dvispp_r18_synthetic_online', '--stage online'),
])
def test_other_names_are_refused(parse, capsys, name, message):
    with pytest.raises(SystemExit):
        parse(name)
    assert message in capsys.readouterr().err
