# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path
from typing import NamedTuple

import pytest
from mmengine.config import Config

from mmvc.deployment.exporting import Export
from mmvc.models import BaseVideoSegmentor
from tests.helpers.tiny_graphs import build, export, graph_config


class Exported(NamedTuple):
    cfg: Config
    model: BaseVideoSegmentor
    export: Export
    path: Path


@pytest.fixture(scope='session')
def exported(tmp_path_factory) -> Exported:
    """A tiny encoder-only model and its graph for frames of any size. Tests do not change them."""
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package)
    cfg = graph_config('videomt')
    model, path = build(cfg), tmp_path_factory.mktemp('graph') / 'videomt.onnx'
    return Exported(cfg, model, export(cfg, model, path), path)
