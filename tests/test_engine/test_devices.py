# Copyright (c) The mmvc contributors. All rights reserved.
import mmengine.device
import pytest
import torch

from mmvc.engine import on_device
from mmvc.utils.devices import usable_device
from mmvc.utils.errors import UsageError


def test_the_cpu_is_used_where_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cuda')
    with on_device('cpu'):
        assert mmengine.device.get_device() == 'cpu'
    assert mmengine.device.get_device() == 'cuda'
    with pytest.raises(ZeroDivisionError), on_device('cpu'):
        raise ZeroDivisionError
    assert mmengine.device.get_device() == 'cuda'


def test_one_of_several_gpus(monkeypatch):
    chosen = []

    class Guard:
        def __init__(self, device):
            self.device = device

        def __enter__(self):
            chosen.append(self.device)

        def __exit__(self, *args):
            chosen.append(None)

    monkeypatch.setattr('mmvc.engine.devices.usable_device', torch.device)
    monkeypatch.setattr('torch.cuda.device', Guard)
    with on_device('cuda:1'):
        assert mmengine.device.get_device() == 'cuda' and chosen == [torch.device('cuda:1')]
    assert chosen[-1] is None
    with on_device('cuda'):
        assert mmengine.device.get_device() == 'cuda' and len(chosen) == 2


def test_nothing_changes_without_a_name():
    before = mmengine.device.get_device()
    with on_device(None, 'pytorch'):
        assert mmengine.device.get_device() == before


def test_a_launcher_chooses_the_gpus():
    with pytest.raises(UsageError, match='--device cpu is for a single process.*CUDA_VISIBLE_DEVICES'), \
            on_device('cpu', 'pytorch'):
        pass


@pytest.mark.parametrize('name', ['nothing', 'cuda:99', 'meta', 'cpu:x'])
def test_a_device_that_cannot_be_used(name):
    with pytest.raises(UsageError, match=f'device "{name}" cannot be used: .*--device'):
        usable_device(name)


def test_a_device_that_can_be_used():
    assert usable_device('cpu') == torch.device('cpu')
    assert usable_device() == torch.device(mmengine.device.get_device())
