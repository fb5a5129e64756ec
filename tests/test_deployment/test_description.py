# Copyright (c) The mmvc contributors. All rights reserved.
import json

import pytest

from mmvc.deployment.description import GraphDescription, description_path
from mmvc.utils.errors import UsageError


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / 'x.onnx'
    path.write_bytes(b'a graph')
    return path


@pytest.fixture
def described(graph):
    GraphDescription(
        model='MinVIS', task='vss', classes=['a'], palette=[[1, 2, 3]], input=dict(name='frame'), outputs=[], state=[],
        mask_stride=4, postprocessor=dict(type='VSSPostprocessor'), int8=False, versions={}, config='').write(graph)
    return graph


def test_what_is_written_is_read(described):
    description = GraphDescription.read(described)
    assert description.classes == ['a'] and description.mask_stride == 4 and len(description.sha256) == 64


def test_a_missing_file(graph, tmp_path):
    with pytest.raises(UsageError, match='there is no file'):
        GraphDescription.read(tmp_path / 'none.onnx')
    with pytest.raises(UsageError, match='no description "x.onnx.json" beside it'):
        GraphDescription.read(graph)


def test_the_description_of_another_graph(described):
    described.write_bytes(b'another graph')
    with pytest.raises(UsageError, match='describes another file'):
        GraphDescription.read(described)


@pytest.mark.parametrize('change, message', [
    (dict(format='other'), 'does not describe a graph of mmvc'), (dict(version=9), 'version 9'),
    (dict(classes=None), '"classes" is missing or of another type than list'),
    (dict(state=[1]), 'an entry of "state" is of another type than dict')])
def test_a_description_that_is_not_ours(described, change, message):
    path = description_path(described)
    path.write_text(json.dumps(dict(json.loads(path.read_text()), **change)))
    with pytest.raises(UsageError, match=message):
        GraphDescription.read(described)


def test_damaged_json(described):
    description_path(described).write_text('{"format": ')
    with pytest.raises(UsageError, match='no valid JSON'):
        GraphDescription.read(described)
