# Copyright (c) The mmvc contributors. All rights reserved.
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mmvc.deployment import exporting, packages
from mmvc.deployment.checking import largest_differences
from mmvc.deployment.exporting import ExportSettings
from mmvc.deployment.tracing import exportable
from mmvc.utils.errors import UsageError
from tests.helpers.tiny_graphs import build, export, graph_config
from tests.helpers.tiny_inference import CLASSES, PALETTE


def test_a_graph_gives_the_values_of_the_model_at_other_sizes(exported):
    with exportable(exported.model) as graph:
        for size in ((64, 64), (160, 96)):
            differences = largest_differences(exported.path, graph, 32, size)
            assert set(differences) == {'cls_scores', 'masks'} and max(differences.values()) < 1e-4


def test_the_description_says_all_that_a_program_needs(exported):
    said = json.loads(Path(f'{exported.path}.json').read_text())
    assert said['model'] == 'EncoderOnlySegmentor' and said['task'] == 'vss' and not said['int8']
    assert said['classes'] == CLASSES and said['palette'] == PALETTE
    frame = said['input']
    assert frame['name'] == 'frame' and frame['shape'] == [1, 3, 'height', 'width'] and frame['channels'] == 'BGR'
    assert frame['mean'] == pytest.approx([123.675, 116.28, 103.53]) and frame['multiple_of'] == 32
    assert frame['minimum'] == 64 and frame['size'] is None
    assert said['state'] == [dict(input='queries', output='next_queries', shape=[1, 12, 32])]
    assert [output['name'] for output in said['outputs']] == ['cls_scores', 'masks', 'query_embeds']
    assert said['outputs'][0]['shape'] == [12, 11] and said['mask_stride'] == 4
    assert said['postprocessor'] == dict(type='VSSPostprocessor')
    assert {'mmvc', 'torch', 'onnx', 'onnxruntime'} <= set(said['versions'])


def test_the_graph_has_the_names_of_the_description_and_no_paths(exported):
    import onnx
    graph = onnx.load(exported.path).graph
    assert [value.name for value in graph.input] == ['frame', 'queries']
    assert [value.name for value in graph.output] == ['cls_scores', 'masks', 'query_embeds', 'next_queries']
    assert [side.dim_param for side in graph.input[0].type.tensor_type.shape.dim][2:] == ['height', 'width']
    assert b'/mmvc/' not in exported.path.read_bytes()


def test_weights_of_8_bits(exported, tmp_path):
    import onnx

    from mmvc.deployment.quantization import quantize_weights
    target = tmp_path / 'int8.onnx'
    quantize_weights(exported.path, target)
    assert target.stat().st_size < exported.path.stat().st_size
    assert sum(node.op_type == 'MatMulInteger' for node in onnx.load(target).graph.node) >= 8
    with exportable(exported.model) as graph:
        assert 1e-5 < max(largest_differences(target, graph, 32).values()) < 0.2


def test_a_program_of_torch_export(tmp_path):
    pytest.importorskip('torch._higher_order_ops.while_loop')
    cfg = graph_config('videomt')
    model = build(cfg)
    written = export(cfg, model, tmp_path / 'model.pt2', format='torch-export')
    assert written.differences is None and json.loads(written.description.read_text())['input']['size'] is None
    step = torch.export.load(written.graph).module()
    frame = torch.randn(1, 3, 96, 64)
    with torch.no_grad():
        scores = step(frame, torch.zeros(1, 12, 32))[0]
        expected = model.process_window(frame[None])[0]['cls_scores'][0, 0]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['MinVIS', 'DVISOnline', 'lvmt', 'adapter'])
def test_every_model_as_a_graph_for_any_size(kind, tmp_path):
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package)
    cfg = graph_config(kind)
    model = build(cfg)
    written = export(cfg, model, tmp_path / f'{kind}.onnx')
    assert max(written.differences.values()) < 1e-4
    with exportable(model) as graph:
        assert max(largest_differences(written.graph, graph, 32, (160, 64)).values()) < 1e-4


def test_settings_that_contradict_each_other(tmp_path):
    with pytest.raises(UsageError, match='int8 quantises ONNX graphs'):
        ExportSettings('torch-export', int8=True)
    with pytest.raises(UsageError, match='one of onnx, torch-export'):
        ExportSettings('tflite')
    cfg = graph_config('videomt')
    with pytest.raises(UsageError, match=r'ends in \.onnx, got "x.pt2"'):
        export(cfg, build(cfg), tmp_path / 'x.pt2')


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    def fail(name):
        raise ImportError(f'No module named {name!r}')

    monkeypatch.setattr(packages.importlib, 'import_module', fail)
    with pytest.raises(UsageError, match='the export to ONNX needs the package onnx.*pip install onnx'):
        packages.require_package('onnx', 'the export to ONNX')


def test_nothing_is_left_of_an_export_that_fails(tmp_path, monkeypatch):
    cfg = graph_config('videomt')
    model = build(cfg)
    monkeypatch.setattr(exporting, 'require_package', lambda name, purpose: None)
    monkeypatch.setattr(exporting, 'trace', lambda *args: None)
    monkeypatch.setattr(exporting, 'write_onnx', lambda program, graph, path: path.write_bytes(b'a graph'))

    def fail(*args):
        raise UsageError('cannot be loaded')

    monkeypatch.setattr(exporting, 'largest_differences', fail)
    with pytest.raises(UsageError, match='cannot be loaded'):
        export(cfg, model, tmp_path / 'x.onnx')
    assert list(tmp_path.iterdir()) == []


def test_packages_are_asked_for_before_the_tracing(tmp_path, monkeypatch):
    def missing(name, purpose):
        raise UsageError(f'{name} is missing')

    cfg = graph_config('videomt')
    monkeypatch.setattr(exporting, 'require_package', missing)
    monkeypatch.setattr(exporting, 'trace', lambda *args: pytest.fail('it was traced'))
    with pytest.raises(UsageError, match='onnx is missing'):
        export(cfg, build(cfg), tmp_path / 'x.onnx')


def test_a_missing_package_is_found_before_the_work(tmp_path, monkeypatch):
    cfg = graph_config('videomt')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    (tmp_path / 'x.onnx').write_bytes(b'an earlier graph')
    with pytest.raises(UsageError, match='the export to ONNX needs the package onnxruntime'):
        export(cfg, build(cfg), tmp_path / 'x.onnx')
    assert (tmp_path / 'x.onnx').read_bytes() == b'an earlier graph'
