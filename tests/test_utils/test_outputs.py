# Copyright (c) The mmvc contributors. All rights reserved.
import os

import pytest

from mmvc.utils.errors import UsageError
from mmvc.utils.outputs import protect_inputs


@pytest.fixture
def data(tmp_path):
    (tmp_path / 'data/left').mkdir(parents=True)
    (tmp_path / 'data/left/0.png').touch()
    (tmp_path / 'link').symlink_to('data')
    (tmp_path / 'other').mkdir()
    os.link(tmp_path / 'data/left/0.png', tmp_path / 'other/hard.png')
    return tmp_path


@pytest.mark.parametrize('output', ['data', 'data/left', 'data/left/0.png', 'data/left/new/deeper', '.', 'link',
                                    'link/left', 'other/../data', 'data/left/../left'])
def test_outputs_at_around_and_in_an_input_folder(data, output):
    with pytest.raises(UsageError, match='would overwrite or mix with the input .*left".*--out$|--out\\)'):
        protect_inputs([None, data / output], [None, data / 'data/left'], '--out')


@pytest.mark.parametrize('output', ['other/hard.png', 'other', 'link/left/0.png'])
def test_the_same_file_under_another_name(data, output):
    with pytest.raises(UsageError):
        protect_inputs([data / output], [data / 'data/left/0.png', data / 'other/hard.png'][:1 + (output == 'other')])


@pytest.mark.parametrize('output', ['results', 'data/results', 'data/leftover', 'other', 'data/left.mp4'])
def test_outputs_beside_the_inputs(data, output):
    protect_inputs([data / output], [data / 'data/left', 'rtsp://camera', 'nowhere/x'])


def test_a_link_in_an_input_is_followed(data):
    """The input is a link to a folder that the output would overwrite."""
    with pytest.raises(UsageError):
        protect_inputs([data / 'data'], [data / 'link/left'])


def test_the_error_says_what_the_input_is(data):
    with pytest.raises(UsageError, match='that of model "a"'):
        protect_inputs([data / 'data'], {data / 'other': 'that of model "b"', data / 'link': 'that of model "a"'})
