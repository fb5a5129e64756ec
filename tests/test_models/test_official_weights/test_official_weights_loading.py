# Copyright (c) The mmvc contributors. All rights reserved.
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

from mmvc.models.official_weights import (
    OfficialWeightsError,
    has_official_names,
    load_official_checkpoint,
    weight_names,
)
from mmvc.utils import safetensors_files


class RunsCode:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, 'w')


@pytest.mark.parametrize('protocol, numpy_core', [(2, b'numpy.core.'), (2, b'numpy._core.'), (4, None), (5, None)])
def test_detectron2_pickle(tmp_path, protocol, numpy_core):
    """Pickles of numpy 1 and 2 name its functions differently."""
    arrays = OrderedDict(
        weight=np.random.rand(3, 2).astype(np.float32), half=np.ones(2, np.float16), index=np.arange(4),
        scalar=np.float32(2.5))
    content = pickle.dumps(dict(model=arrays, __author__='Model Zoo', matching_heuristics=True), protocol=protocol)
    if numpy_core:  # later protocols store the length of a name, too
        content = content.replace(b'numpy._core.', b'numpy.core.').replace(b'numpy.core.', numpy_core)
    (tmp_path / 'model.pkl').write_bytes(content)
    loaded = load_official_checkpoint(tmp_path / 'model.pkl')
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].numpy().dtype == array.dtype
        np.testing.assert_array_equal(loaded[name].numpy(), array)


@pytest.mark.parametrize('name', ['model.pkl', 'model.pth'])
def test_code_is_refused_and_not_run(tmp_path, name):
    content = dict(model=dict(weight=np.zeros(2)), trainer=RunsCode(tmp_path / 'trace'))
    if name == 'model.pkl':
        (tmp_path / name).write_bytes(pickle.dumps(content))
    else:
        torch.save(content, tmp_path / name)
    with pytest.raises(OfficialWeightsError, match='open.*' if name == 'model.pth' else "'_?io.open'.*could run code"):
        load_official_checkpoint(tmp_path / name)
    assert not (tmp_path / 'trace').exists()


def test_refused_pth_says_what_to_do(tmp_path):
    torch.save(dict(model=dict(weight=torch.zeros(1)), trainer=RunsCode(tmp_path / 'trace')), tmp_path / 'model.pth')
    with pytest.raises(OfficialWeightsError, match='holds more than weights.*If you trust its source'):
        load_official_checkpoint(tmp_path / 'model.pth')


@pytest.mark.parametrize('wrap', [
    lambda s: s,
    lambda s: dict(model=s, iteration=7, optimizer=dict(state={}, param_groups=[dict(lr=0.1)])),
    lambda s: dict(state_dict=s, meta=dict(time='now')),
    lambda s: dict(model={f'module.{name}': value for name, value in s.items()}),
])
def test_torch_files(tmp_path, wrap):
    weights = dict(weight=torch.rand(2), count=torch.tensor(3))
    torch.save(wrap(weights), tmp_path / 'model.pth')
    loaded = load_official_checkpoint(tmp_path / 'model.pth')
    assert loaded.keys() == weights.keys() and torch.equal(loaded['weight'], weights['weight'])


@pytest.mark.skipif(not hasattr(torch.serialization, 'safe_globals'), reason='this torch cannot be told what to trust')
def test_numpy_numbers_beside_the_weights(tmp_path):
    content = dict(model=dict(weight=torch.ones(1)), trainer=dict(best=np.float64(0.5), lrs=np.ones(3)))
    torch.save(content, tmp_path / 'model.pth')
    assert load_official_checkpoint(tmp_path / 'model.pth').keys() == {'weight'}


@pytest.mark.parametrize('content, message', [
    (dict(model=dict(weight=[1, 2])), "its entry 'weight' is a list"),
    (dict(model={}), 'holds no weights: expected a state dict'),
    ([1, 2], 'holds no weights: expected a state dict'),
])
def test_files_without_weights(tmp_path, content, message):
    torch.save(content, tmp_path / 'model.pth')
    (tmp_path / 'model.pkl').write_bytes(pickle.dumps(content))
    for name in ('model.pth', 'model.pkl'):
        with pytest.raises(OfficialWeightsError, match=message):
            load_official_checkpoint(tmp_path / name)


def test_arrays_that_are_no_numbers(tmp_path):
    (tmp_path / 'model.pkl').write_bytes(pickle.dumps(dict(model=dict(weight=np.array(['text'])))))
    with pytest.raises(OfficialWeightsError, match="its entry 'weight' is a ndarray"):
        load_official_checkpoint(tmp_path / 'model.pkl')


@pytest.mark.parametrize('suffix', ['.pkl', '.pth'])
def test_broken_files(tmp_path, suffix):
    path = tmp_path / f'model{suffix}'
    with pytest.raises(OfficialWeightsError, match='does not exist'):
        load_official_checkpoint(path)
    weights = dict(weight=torch.zeros(1000).numpy() if suffix == '.pkl' else torch.zeros(1000))
    path.write_bytes(pickle.dumps(weights)) if suffix == '.pkl' else torch.save(weights, path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(OfficialWeightsError, match='is not read|truncated, corrupt'):
        load_official_checkpoint(path)
    path.write_text('<html>not found</html>')
    with pytest.raises(OfficialWeightsError):
        load_official_checkpoint(path)


def test_tensors_in_a_pickle(tmp_path):
    (tmp_path / 'model.pkl').write_bytes(pickle.dumps(dict(model=dict(weight=torch.zeros(2)))))
    with pytest.raises(OfficialWeightsError, match="refers to 'torch._utils._rebuild_tensor_v2'"):
        load_official_checkpoint(tmp_path / 'model.pkl')


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors', '.old.pth'])
@pytest.mark.parametrize('entry', ['model', 'state_dict', None])
def test_names_without_tensors(tmp_path, suffix, entry):
    weights = {'sem_seg_head.a': torch.zeros(2), 'b': torch.ones(3)}
    path = tmp_path / f'file{suffix}'
    if suffix == '.safetensors':
        safetensors_files.save(path, weights, dict(note=[1]))
        assert safetensors_files.load(path)['meta'] == dict(format='pt', note=[1])
    else:
        torch.save(weights if entry is None else {entry: weights}, path,
                   _use_new_zipfile_serialization=suffix == '.pth')
    assert sorted(weight_names(path)) == ['b', 'sem_seg_head.a']
    assert has_official_names(weight_names(path))


@pytest.mark.parametrize('content', [b'', b'<html>', b'PK\x03\x04', b'\x80\x02'])
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_no_names_in_what_is_no_checkpoint(tmp_path, content, suffix):
    path = tmp_path / f'file{suffix}'
    path.write_bytes(content)
    assert weight_names(path) == [] and not has_official_names([])


@pytest.mark.parametrize('names, expected', [
    (['backbone.encoder.backbone.norm.weight'], True), (['query.weight', 'embeddings.cls_token'], True),
    (['model.transformer_module.queries_features.weight'], True), (['panoptic_head.query_feat.weight'], False),
    (['head.query_feat.weight', 'backbone.conv1.weight'], False)])
def test_names_of_whole_models_of_others(names, expected):
    assert has_official_names(names) is expected
