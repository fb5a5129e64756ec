# Copyright (c) The mmvc contributors. All rights reserved.
import gc
import os

import pytest
import torch

from mmvc.models.utils import FeatureStore


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.int16, torch.uint8, torch.bool])
@pytest.mark.parametrize('memory_limit', [0, 250, 1e9])
def test_gives_back_what_it_was_given(dtype, memory_limit, device):
    frames = (100 * torch.randn(9, 5, 4, device=device)).to(dtype)
    store = FeatureStore(memory_limit)
    for window in frames.split([2, 1, 4, 2]):
        store.extend(window)
    assert len(store) == 9
    for actual in (list(store), [store[t] for t in range(9)]):
        for tensor, expected in zip(actual, frames):
            assert tensor.dtype == dtype and tensor.device == frames.device
            assert torch.equal(tensor, expected)
    num_bytes = frames.numel() * frames.element_size()
    assert store.bytes_in_memory + store.bytes_on_disk == num_bytes
    assert store.bytes_in_memory <= memory_limit and (store.bytes_on_disk == 0) == (memory_limit >= num_bytes)


def test_strided_views_and_gradients():
    """Parts of a larger tensor, as the network gives them."""
    frames = torch.randn(3, 6, 4, 5, requires_grad=True)
    store = FeatureStore(memory_limit=0)
    store.extend(frames[:, ::2].transpose(2, 3))
    assert torch.equal(store[2], frames[2, ::2].transpose(1, 2)) and not store[2].requires_grad


@pytest.mark.parametrize('memory_limit', [0, 1e9])
def test_half_precision(memory_limit):
    frames = torch.randn(4, 8)
    store = FeatureStore(memory_limit, dtype='float16')
    store.extend(frames)
    assert store.bytes_in_memory + store.bytes_on_disk == 4 * 8 * 2
    assert torch.equal(torch.stack(list(store)), frames.half())
    ids = FeatureStore(memory_limit, dtype='float16')
    ids.extend(torch.arange(70000).view(1, -1))  # only what floats is rounded
    assert ids[0][-1] == 69999


def test_leaves_nothing_behind(tmp_path):
    store = FeatureStore(memory_limit=0, folder=str(tmp_path))
    store.extend(torch.ones(2, 3))
    store.extend(torch.ones(2, 3))
    file = store._file
    assert os.listdir(tmp_path) == [] or os.name != 'posix'
    del store
    gc.collect()
    assert file.closed and os.listdir(tmp_path) == []


def test_stores_that_share_a_limit(tmp_path):
    """Together within it; what one gives up, the other may take."""
    first = FeatureStore(memory_limit=100, folder=str(tmp_path))
    second = FeatureStore(memory_limit=1e9, share_limit_with=first)
    assert second.folder == str(tmp_path) and second.memory_limit == 100
    first.extend(torch.zeros(15, 4, dtype=torch.uint8))
    second.extend(torch.ones(11, 4, dtype=torch.uint8))
    second.extend(torch.ones(10, 4, dtype=torch.uint8))
    assert (first.bytes_in_memory, second.bytes_in_memory, second.bytes_on_disk) == (60, 40, 44)
    assert len(second) == 21 and all(tensor.all() for tensor in second)
    del second
    gc.collect()
    first.extend(torch.zeros(10, 4, dtype=torch.uint8))
    assert first.bytes_in_memory == 100 and first.bytes_on_disk == 0


@pytest.mark.filterwarnings('error::pytest.PytestUnraisableExceptionWarning')
def test_an_unknown_argument_is_all_that_is_said():
    with pytest.raises(TypeError, match='limit'):
        FeatureStore(limit=1)
    gc.collect()


def test_errors_name_the_remedy(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match='at least 0; got -1'):
        FeatureStore(-1)
    with pytest.raises(ValueError, match="one of .*, got 'half'"):
        FeatureStore(dtype='half')
    store = FeatureStore()
    store.extend(torch.ones(1, 3, 4))
    with pytest.raises(ValueError, match=r'\(3, 4\).* got \(3, 5\).*same size'):
        store.extend(torch.ones(1, 3, 5))
    with pytest.raises(ValueError, match='same size'):
        store.extend(torch.ones(1, 3, 4).double())

    class FullDisk:

        def seek(self, position):
            pass

        def write(self, content):
            raise OSError(28, 'No space left on device')

    store = FeatureStore(memory_limit=0, folder=str(tmp_path))
    store._file = FullDisk()
    with pytest.raises(OSError, match='set model.feature_store.folder to a larger disk'):
        store.extend(torch.ones(1, 3))
    store = FeatureStore(memory_limit=0, folder=str(tmp_path / 'missing'))
    with pytest.raises(FileNotFoundError):
        store.extend(torch.ones(1, 3))
