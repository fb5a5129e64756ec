# Copyright (c) The mmvc contributors. All rights reserved.
import logging

import pytest
from mmengine.config import Config

from mmvc.ablation.overrides import apply_overrides
from mmvc.engine import load_config, read_config
from mmvc.utils.errors import UsageError
from tests.helpers.tiny_stages import write_config


@pytest.fixture
def path(tmp_path):
    return write_config(tmp_path)


@pytest.fixture
def warnings(monkeypatch):
    messages = []
    monkeypatch.setattr('mmvc.engine.config_keys.print_log', lambda message, level, **kwargs: messages.append(message)
                        if level == logging.WARNING else None)
    return messages


def config_with(path, tmp_path, line):
    file = tmp_path / 'mine.py'
    file.write_text(f"_base_ = ['{path}']\n{line}\n")
    return str(file)


@pytest.mark.parametrize('key, meant', [
    ('val_evalutor', 'val_evaluator'), ('trian_cfg', 'train_cfg'), ('custom_hook', 'custom_hooks'),
    ('data_preprocesor', 'data_preprocessor')])
def test_a_misspelt_entry_of_a_file_is_refused(path, tmp_path, key, meant):
    file = config_with(path, tmp_path, f"{key} = dict(type='Nope')")
    with pytest.raises(UsageError, match=f'mine.py" has an entry "{key}" that nothing reads .did you mean "{meant}"'):
        read_config(file)


@pytest.mark.parametrize('line', [
    'crop_size = 3', "_train_cfg2 = dict(type='Nope')", 'test_pipeline = []', "trian_cfg = dict(a=1)\nx = trian_cfg",
    'tracker = dict()'])
def test_variables_are_no_mistake(path, tmp_path, line):
    read_config(config_with(path, tmp_path, line))


@pytest.mark.parametrize('option, message', [
    ('trian_cfg.max_iters', 'it has no entry "trian_cfg" .did you mean "train_cfg"'),
    ('optim_wraper.optimizer.lr', 'it has no entry "optim_wraper" .did you mean "optim_wrapper"'),
    ('nothing.at_all', 'it has no entry "nothing", and nothing would read one'),
    ('train_cfg.max_iter', 'train_cfg has no entry "max_iter" .did you mean "train_cfg.max_iters"'),
    ('optim_wrapper.optimizerr.lr', 'optim_wrapper has no entry "optimizerr" .did you mean "optim_wrapper.optimizer"'),
    ('custom_hooks.0.momentun', 'custom_hooks.0 has no entry "momentun"'),
    ('stages.segmenter.train_cfg.max_iter', 'stage "segmenter": train_cfg has no entry "max_iter"'),
    ('stages.segmenter.optim_wraper.x', 'stage "segmenter": it has no entry "optim_wraper"'),
])
def test_a_misspelt_override_is_refused(path, option, message):
    with pytest.raises(UsageError, match=message):
        load_config(path, {option: 1})


@pytest.mark.parametrize('options', [
    {'compile': True}, {'find_unused_parameters': True}, {'param_scheduler': []}, {'tta_pipeline': []},
    {'train_cfg.val_begin': 3}, {'model.width': 4}, {'optim_wrapper.clip_grad.max_norm': 1},
    {'stages.segmenter.param_scheduler': []}, {'load_from': 'a.pth'}])
def test_new_entries_may_be_added(path, options, warnings):
    load_config(path, options)
    assert warnings == []


def test_an_override_of_a_variable_is_pointed_out(path, tmp_path, warnings):
    file = config_with(path, tmp_path, 'width = 3')
    load_config(file, {'width': 5})
    assert len(warnings) == 1 and 'Override of width: "width" is only a variable of the config file' in warnings[0]


def test_the_overrides_of_an_ablation_are_checked(path):
    cfg = Config.fromfile(path)
    with pytest.raises(UsageError, match='plan: "trian_cfg.a" does not fit.*did you mean "train_cfg"'):
        apply_overrides(cfg, {'trian_cfg.a': 1}, 'plan')
