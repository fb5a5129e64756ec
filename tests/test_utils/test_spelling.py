# Copyright (c) The mmvc contributors. All rights reserved.
import pytest

from mmvc.utils.spelling import did_you_mean, edit_distance, misspelt

KNOWN = ['train_cfg', 'val_evaluator', 'optim_wrapper', 'model', 'norm1', 'class_weight']


@pytest.mark.parametrize('one, other, changes', [
    ('train', 'train', 0), ('', 'abc', 3), ('trian', 'train', 1), ('train', 'trains', 1), ('train', 'tain', 1),
    ('train', 'brain', 1), ('kitten', 'sitting', 3), ('abcd', 'badc', 2)])
def test_edit_distance(one, other, changes):
    assert edit_distance(one, other) == edit_distance(other, one) == changes


@pytest.mark.parametrize('name, meant', [
    ('trian_cfg', 'train_cfg'), ('val_evalutor', 'val_evaluator'), ('optim_wraper', 'optim_wrapper'),
    ('models', 'model'), ('moddles', None), ('train_cfg', None), ('norm2', None), ('num_classes', None), ('x', None)])
def test_misspelt(name, meant):
    assert misspelt(name, KNOWN) == meant


def test_fewer_changes_can_be_allowed():
    assert misspelt('loss_weight', KNOWN) == 'class_weight'
    assert misspelt('loss_weight', KNOWN, max_changes=1) is None


def test_did_you_mean():
    assert did_you_mean('MinVSI', ['MinVIS', 'DVISOnline']) == ' (did you mean "MinVIS"?)'
    assert did_you_mean('Boat', ['MinVIS']) == ''
