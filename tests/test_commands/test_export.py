# Copyright (c) The mmvc contributors. All rights reserved.
import json

import numpy as np
import pytest

from mmvc.apis import VideoSegInferencer
from mmvc.commands import export
from tests.helpers.tiny_graphs import export_by_command


@pytest.mark.slow
def test_a_graph_of_one_size(tmp_path, capsys):
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package)
    path = export_by_command(tmp_path, 'videomt', '--size', '96x64', '--int8').path
    assert 'largest differences to PyTorch' in capsys.readouterr().out
    said = json.loads((tmp_path / 'x.onnx.json').read_text())
    assert said['input']['shape'] == [1, 3, 64, 96] and said['input']['size'] == [64, 96] and said['int8']
    frames = [np.full((75, 110, 3), 80 * index, np.uint8) for index in range(2)]
    inferencer = VideoSegInferencer(path, show_progress=False)  # resizes frames to this size
    assert [frame.sem_seg.shape for frame in inferencer.stream(frames)] == [(75, 110)] * 2


def test_an_offline_model_is_refused(tmp_path):
    with pytest.raises(SystemExit, match='DVISOffline refines a video as a whole'):
        export_by_command(tmp_path, 'DVISOffline')
    assert not (tmp_path / 'x.onnx').exists()


@pytest.mark.parametrize('size', ['480', '0x64', 'large'])
def test_a_size_has_two_sides(size, capsys):
    with pytest.raises(SystemExit):
        export.main(['mvc/dvispp_r50_vspw', '--size', size])
    assert 'argument --size: ' in capsys.readouterr().err


def test_an_output_that_is_the_checkpoint(tmp_path):
    (tmp_path / 'x.onnx').write_bytes(b'weights')
    with pytest.raises(SystemExit, match='--out'):
        export.main(['mvc/dvispp_r50_vspw', str(tmp_path / 'x.onnx'), '--out', str(tmp_path / 'x.onnx')])
    assert (tmp_path / 'x.onnx').read_bytes() == b'weights'


@pytest.mark.parametrize('largest, int8, more', [(2e-5, False, False), (7e-4, False, True), (2e-2, True, False)])
def test_large_differences_are_explained(largest, int8, more):
    said = export._describe(dict(cls_scores=1e-6, masks=largest), int8)
    assert f'cls_scores 1.0e-06, masks {largest:.1e}' in said and ('mask logit across 0' in said) == more
