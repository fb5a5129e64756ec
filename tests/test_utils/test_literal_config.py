# Copyright (c) The mmvc contributors. All rights reserved.
import json
import math

import pytest
from mmengine.config import Config

from mmvc.utils.errors import CheckpointError
from mmvc.utils.literal_config import parse_config_text, stored_config

DATA = dict(
    model=dict(type='MinVIS', scale=(720, -1), rate=1e-4, none=None, flags=[True, False], text="it's\n\\ 'x'"),
    names={'a b': 1, 'c': {'d e': [dict(), (), []]}}, limit=math.inf, one=(1, ), empty={})


def test_text_of_mmengine_is_read_back():
    cfg = Config(DATA)
    found = parse_config_text(cfg.pretty_text, 'cfg')
    assert found == cfg.to_dict() == DATA
    assert isinstance(found['model']['scale'], tuple)


def test_json_and_repr_are_read():
    data = dict(model=dict(type='MinVIS', flags=[True, None]))
    assert parse_config_text(json.dumps(data), 'cfg') == parse_config_text(repr(data), 'cfg') == data
    assert parse_config_text('"""What it is for."""\nx = dict(dict(a=1), b=2, **{"c": 3})\n', 'cfg') == dict(
        x=dict(a=1, b=2, c=3))


@pytest.mark.parametrize('code', [
    'import os', 'from os import *', "os.system('id')", "x = __import__('os').system('id')", 'x = [print(1)]',
    'x = dict(a=open("f"))', 'x = (lambda: 1)', 'x = [i for i in ()]', 'x = f"{1}"', 'x = 1 + 1', 'x = y', 'x = -True',
    'x = -"a"', 'x = list()', 'x = dict([("a", 1)])', 'x = dict({}, {})', 'x, y = 1, 2', 'x = y = 1', 'x.y = 1',
    'x: int = 1', 'x += 1', 'def f():\n    pass', 'class A:\n    pass', 'if 1:\n    x = 1', 'x = {[]: 1}', 'x = {[]}',
    'x = (y := 1)', 'x = [*()]', 'x = 1 if 1 else 2', 'x = "a".b', 'x = [1][0]', '@print\ndef f(): 0', 'del x',
    'with open("f"): 0', 'x = {**dict(a=print(1))}', 'x = await_', 'assert 0',
])
def test_anything_else_is_refused_with_its_line(code):
    with pytest.raises(CheckpointError, match='the cfg cannot be read: line [23] is code'):
        parse_config_text(f'a = 1\n{code}\n', 'the cfg')


@pytest.mark.parametrize('text', [
    'x = (', '{', '{1: 2}', 'x = ' + '[' * 5000, 'x = ' + '-' * 100000 + '1', '[1]', '\0', '{"a": ' * 20000
])
def test_text_that_is_no_config(text):
    with pytest.raises(CheckpointError, match='the cfg cannot be read'):
        parse_config_text(text, 'the cfg')


def test_config_of_a_checkpoint():
    assert stored_config(dict(meta=dict(cfg='a = 1')), 'cfg') == dict(a=1)
    assert stored_config(dict(meta=dict(cfg='a = 1'), message_hub=dict(runtime_info=dict(cfg='a = 2'))),
                         'cfg') == dict(a=2)
    assert stored_config(dict(meta=dict(cfg=dict(a=3))), 'cfg') == dict(a=3)
    for content in ({}, dict(meta=None), dict(meta=dict(cfg='')), dict(meta=dict(cfg=3), message_hub=[])):
        assert stored_config(content, 'cfg') is None
