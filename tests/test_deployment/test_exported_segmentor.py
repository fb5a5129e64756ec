# Copyright (c) The mmvc contributors. All rights reserved.
import dataclasses

import pytest
import torch
from mmengine.registry import init_default_scope

from mmvc.deployment.description import GraphDescription
from mmvc.deployment.exported_segmentor import ExportedSegmentor
from mmvc.deployment.runtime import OnnxGraph
from mmvc.utils.errors import UsageError
from tests.helpers.tiny_models import SEGMENTER

SETTINGS = dict(postprocessor=dict(type='VSSPostprocessor'), data_preprocessor=SEGMENTER['data_preprocessor'])


@pytest.fixture
def parts(exported):
    init_default_scope('mmvc')
    return OnnxGraph(exported.path, torch.device('cpu')), GraphDescription.read(exported.path)


def test_windows_carry_the_state(parts, exported):
    segmentor = ExportedSegmentor(*parts, **SETTINGS)
    frames, state, state_of_model = torch.randn(1, 4, 3, 64, 96), None, None
    with torch.no_grad():
        for window in frames.split((1, 2, 1), dim=1):
            output, state = segmentor.process_window(window, state)
            expected, state_of_model = exported.model.process_window(window, state_of_model)
            for name in ('cls_scores', 'mask_features'):
                torch.testing.assert_close(output[name], expected[name], rtol=1e-4, atol=1e-4)


def test_sizes_that_do_not_fit(parts):
    segmentor = ExportedSegmentor(*parts, **SETTINGS)
    with pytest.raises(UsageError, match='at least 64x64'):
        segmentor.process_window(torch.zeros(1, 1, 3, 32, 96))
    parts[1].input['size'] = [64, 96]
    with pytest.raises(UsageError, match='takes frames of 96x64 .*got 96x96'):
        segmentor.process_window(torch.zeros(1, 1, 3, 96, 96))


def test_a_description_that_does_not_fit(parts):
    graph, description = parts
    with pytest.raises(UsageError, match='shapes'):
        ExportedSegmentor(graph, dataclasses.replace(description, state=[
            dict(description.state[0], shape=[10**6, 10**6])]), **SETTINGS)
    with pytest.raises(UsageError, match='inputs'):
        ExportedSegmentor(graph, dataclasses.replace(description, state=[]), **SETTINGS)


def test_the_weights_are_identified_by_the_file(parts):
    digest = ExportedSegmentor(*parts, **SETTINGS).state_dict()['graph_sha256']
    assert bytes(digest.tolist()).decode() == parts[1].sha256


def test_a_graph_is_not_trained(parts):
    with pytest.raises(TypeError, match='no gradients'):
        ExportedSegmentor(*parts, **SETTINGS).stage_loss(torch.zeros(1, 1, 3, 64, 64), [], torch.ones(1))


def test_a_file_that_is_no_graph(tmp_path):
    pytest.importorskip('onnxruntime')
    (tmp_path / 'x.onnx').write_bytes(b'no graph')
    with pytest.raises(UsageError, match='cannot load'):
        OnnxGraph(tmp_path / 'x.onnx', torch.device('cpu'))
