# Copyright (c) The mmvc contributors. All rights reserved.
import json

import pytest

from mmvc.apis import VideoSegInferencer
from mmvc.commands import export
from tests.helpers.tiny_graphs import build, graph_config, save


@pytest.fixture
def config_and_checkpoint(tmp_path):
    def write(kind: str) -> list[str]:
        cfg = graph_config(kind)
        cfg.dump(str(tmp_path / 'config.py'))
        return [str(tmp_path / 'config.py'), str(save(cfg, build(cfg), tmp_path / 'weights.pth'))]

    return write


def test_a_graph_of_one_size(config_and_checkpoint, tmp_path, frames, capsys):
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package)
    path = tmp_path / 'x.onnx'
    export.main([*config_and_checkpoint('videomt'), '--out', str(path), '--size', '64', '96', '--int8'])
    assert 'largest differences to PyTorch' in capsys.readouterr().out
    said = json.loads((tmp_path / 'x.onnx.json').read_text())
    assert said['input']['shape'] == [1, 3, 64, 96] and said['input']['size'] == [64, 96] and said['int8']
    inferencer = VideoSegInferencer(path, show_progress=False)  # resizes frames to this size
    assert [frame.sem_seg.shape for frame in inferencer.stream(frames[:2])] == [(75, 110)] * 2


def test_an_offline_model_is_refused(config_and_checkpoint, tmp_path, capsys):
    with pytest.raises(SystemExit):
        export.main([*config_and_checkpoint('DVISOffline'), '--out', str(tmp_path / 'x.onnx')])
    assert 'DVISOffline refines a video as a whole' in capsys.readouterr().err
    assert not (tmp_path / 'x.onnx').exists()


def test_an_output_that_is_the_checkpoint(config_and_checkpoint, capsys):
    config, checkpoint = config_and_checkpoint('videomt')
    with pytest.raises(SystemExit):
        export.main([config, checkpoint, '--out', checkpoint])
    assert '--out' in capsys.readouterr().err
