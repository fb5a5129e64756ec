# Copyright (c) The mmvc contributors. All rights reserved.
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmvc.apis import VideoSegInferencer, cli
from mmvc.apis.exported_loading import find_backend, load_exported
from mmvc.utils.errors import CheckpointError, UsageError


@pytest.fixture(scope='module')
def inferencers(exported) -> tuple[VideoSegInferencer, VideoSegInferencer]:
    """The graph, and the checkpoint that it was exported from."""
    return (VideoSegInferencer(exported.path, backend='onnxruntime', show_progress=False),
            VideoSegInferencer(weights=str(exported.checkpoint), device='cpu', show_progress=False))


def labels(results) -> np.ndarray:
    return np.stack([frame.sem_seg for frame in results])


def test_a_graph_segments_as_the_model_does(inferencers, frames, tmp_path):
    graph, torch_model = inferencers
    assert graph.backend == 'onnxruntime' and torch_model.backend == 'torch'
    assert graph.task == 'vss' and graph.dataset_meta == torch_model.dataset_meta
    for clip in (frames[:4], [cv2.resize(frame, (96, 128)) for frame in frames[:3]]):
        for online in (True, False):
            ours, expected = (labels(inferencer.stream(clip, online=online)) for inferencer in inferencers)
            assert len(np.unique(expected)) > 1
            assert (ours != expected).mean() < 1e-3
    result, = graph(frames[:3], tmp_path, formats=('masks', 'rle'))
    assert len(result) == 3 and all(path.exists() for path in result.files.values())


def test_the_suffix_chooses_the_backend(exported, frame_folder, tmp_path, capsys):
    cli.main([str(frame_folder), '--model', str(exported.path), '--out-dir', str(tmp_path / 'out'), '--formats',
              'masks', '--max-frames', '2'])
    assert '2 frames of 110x75' in capsys.readouterr().out
    assert len(list((tmp_path / 'out/masks').rglob('*.png'))) == 2


def test_find_backend():
    assert find_backend('x.ONNX') == 'onnxruntime' and find_backend(Path('x.onnx')) == 'onnxruntime'
    assert find_backend(None) == find_backend('config.py') == find_backend({}) == 'torch'
    for model, backend, message in (('x.py', 'onnxruntime', 'ends? in .onnx'), ('x.onnx', 'torch', 'exported graph'),
                                    ('x.pt2', None, 'torch.export.load'), (None, 'tensorrt', 'one of torch')):
        with pytest.raises(UsageError, match=message):
            find_backend(model, backend)


@pytest.mark.parametrize('arguments, message', [
    (dict(weights='x.pth'), 'weights is for models'),
    (dict(stage='online'), 'stage is for'),
    (dict(amp='bf16'), 'amp is for'),
    (dict(compile=True), 'compile is for'),
    (dict(cfg_options={'model.num_queries': 3}), 'model.num_queries cannot be changed'),
])
def test_arguments_that_are_not_for_graphs(exported, arguments, message):
    with pytest.raises(UsageError, match=message):
        VideoSegInferencer(exported.path, show_progress=False, **arguments)


def test_the_postprocessor_can_be_changed(exported):
    exported = load_exported(exported.path, torch.device('cpu'), {'model.postprocessor.resizes': 'scores'})
    assert exported.model.postprocessor.resizes == 'scores' and exported.size is None


def test_a_graph_takes_keyframes(exported):
    inferencer = VideoSegInferencer(exported.path, show_progress=False, keyframe_interval=3)
    assert inferencer.model.keyframe_interval == 3


def test_a_config_that_could_run_code_is_refused(exported, tmp_path):
    graph, description = tmp_path / 'x.onnx', tmp_path / 'x.onnx.json'
    graph.write_bytes(exported.path.read_bytes())
    content = json.loads(Path(f'{exported.path}.json').read_text())
    description.write_text(json.dumps(dict(content, config='model = __import__("os").getcwd()')))
    with pytest.raises(CheckpointError):
        load_exported(graph, torch.device('cpu'))


def test_a_graph_is_not_pushed_to_a_hub(inferencers, tmp_path):
    with pytest.raises(UsageError, match='shared as it is'):
        inferencers[0].save_pretrained(tmp_path / 'folder')
