# Copyright (c) The mmvc contributors. All rights reserved.
import importlib.util
import subprocess
import sys

import mmcv.ops
import pytest
import torch
from mmcv.utils import collect_env
from mmengine.utils.dl_utils import mmcv_full_available

from mmvc.utils import ensure_importable_mmcv_ops, has_compiled_ops
from mmvc.utils.compiled_ops import _MissingExtension

without_compiled_ops = pytest.mark.skipif(has_compiled_ops(), reason='this mmcv has compiled ops')


@pytest.fixture
def fresh_answer():
    has_compiled_ops.cache_clear()
    yield
    has_compiled_ops.cache_clear()


def test_error_names_the_op_and_the_remedy():
    with pytest.raises(RuntimeError, match=r"'roi_align_forward'.*pip install .*--no-build-isolation"):
        _MissingExtension('mmcv._ext').roi_align_forward(1, size=2)


@without_compiled_ops
def test_missing_ops_raise_when_called_not_when_imported():
    with pytest.raises(RuntimeError, match="compiled op 'nms' of mmcv"):
        mmcv.ops.nms(torch.rand(3, 4), torch.rand(3), 0.5)


@without_compiled_ops
def test_others_still_see_that_ops_are_missing():
    assert 'mmcv._ext' not in sys.modules
    assert not mmcv_full_available()  # decides which layers mmengine's optimizer constructor and runner look for
    assert collect_env()['MMCV Compiler'] == 'n/a'


def test_mmdet_and_mmseg_import_after_mmvc():
    # first, what a tool of another OpenMMLab package imports before `custom_imports` gets to mmvc
    script = """
import warnings; warnings.simplefilter('ignore')
import mmcv.cnn, mmdet.utils, mmseg.registry
import mmvc
import mmdet.models, mmseg.models
from mmdet.models.layers import MSDeformAttnPixelDecoder
from mmengine import ConfigDict
encoder = dict(num_layers=1, layer_cfg=dict(
    self_attn_cfg=dict(embed_dims=32, num_levels=3, batch_first=True),
    ffn_cfg=dict(embed_dims=32, feedforward_channels=32)))
MSDeformAttnPixelDecoder(encoder=ConfigDict(encoder), feat_channels=32)
"""
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_is_replaced_where_ops_are_compiled(monkeypatch, fresh_answer):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: find_spec('json' if name == 'mmcv._ext' else name))
    monkeypatch.setattr(importlib, 'import_module', lambda name: pytest.fail(f'imported {name}'))
    assert has_compiled_ops()
    ensure_importable_mmcv_ops()


def test_no_mmcv_at_all(monkeypatch, fresh_answer):

    def find_spec(name):
        raise ModuleNotFoundError("No module named 'mmcv'")

    monkeypatch.setattr(importlib.util, 'find_spec', find_spec)
    with pytest.raises(ImportError, match='pip install -r requirements/mminstall.txt'):
        has_compiled_ops()
