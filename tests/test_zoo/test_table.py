# Copyright (c) The mmvc contributors. All rights reserved.
import pytest

from mmvc.apis.cli import main
from mmvc.commands import models
from mmvc.zoo import list_weights, model_table


def rows(text):
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if line[0] == '|']


def test_all():
    text = model_table()
    head, *body = rows(text)
    assert head == ['name', 'task', 'data', 'published score', 'size', 'licence', 'source']
    assert [row[0] for row in body] == [weights.name for weights in list_weights()]
    assert ['dvispp_r50_vspw_online', 'VSS', 'VSPW', 'mIoU 46.9, mVC8 92.3, mVC16 91.1', '285 MB', 'MIT',
            'hf://zhangtao-whu/DVIS_Plus'] in body
    assert ['mask2former_r50_coco_panoptic', 'start weights', 'COCO', 'PQ 52.0', '-', 'Apache-2.0 (of mmdet)',
            'download.openmmlab.com'] in body
    assert 'more models have a config and no published weights' in text and ':' not in text.splitlines()[-1]


def test_words():
    names = [row[0] for row in rows(model_table('VSPW vitl dvispp'))[1:]]
    assert names == [f'dvispp_vitl_vspw_{stage}' for stage in ('offline', 'online', 'segmenter')]
    text = model_table('minvis_r50_ovis')
    assert text.splitlines() == ['no published weights fit "minvis_r50_ovis"',
                                 '1 more models have a config and no published weights: minvis_r50_ovis']
    assert model_table('qwerty') == 'no published weights fit "qwerty"'


@pytest.mark.parametrize('words', ['', 'lvmt camvid', 'lvmt ovis'])
def test_commands(capsys, words):
    main(['--list-models', *words.split()])
    models.main(words.split())
    assert capsys.readouterr().out == 2 * f'{model_table(words)}\n'
