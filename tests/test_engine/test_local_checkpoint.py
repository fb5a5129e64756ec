# Copyright (c) The mmvc contributors. All rights reserved.
"""Published weights in a group of processes."""

import multiprocessing

import pytest
import torch.distributed

from mmvc.engine import distributed, local_checkpoint
from mmvc.utils.errors import UsageError
from tests.helpers.hub_server import COMMIT, hub_server
from tests.helpers.published import publish, use_own_cache


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with hub_server() as server:
        use_own_cache(monkeypatch, tmp_path, server.url)
        server.files['someone/models', 'tiny.pth'] = b'x' * 100_000
        publish(monkeypatch, 'tiny_start', f'hf://someone/models@{COMMIT}/tiny.pth', Layout='mmvc')
        yield server


def in_two_processes(tmp_path, name):
    """What ``local_checkpoint`` returns or raises on each rank, and on which ranks anything was asked for first."""
    context = multiprocessing.get_context('fork')
    results = context.SimpleQueue()

    def run(rank):
        torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/group', rank=rank, world_size=2)
        try:
            results.put((rank, local_checkpoint(name)))
        except UsageError as error:
            results.put((rank, error))

    processes = [context.Process(target=run, args=(rank, )) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    return dict(results.get() for _ in processes)


def test_one_process_downloads(hub, tmp_path):
    found = in_two_processes(tmp_path, 'tiny_start')
    assert found[0] == found[1] and len(hub.downloads()) == 1
    with open(found[0], 'rb') as file:
        assert file.read() == hub.files['someone/models', 'tiny.pth']


def test_all_processes_fail_alike(hub, tmp_path):
    hub.files.clear()
    found = in_two_processes(tmp_path, 'tiny_start')
    assert str(found[0]) == str(found[1]) and 'there is no repository' in str(found[0])


def test_others_wait_for_the_first(monkeypatch):
    """A rank looks for the file only after rank 0 has succeeded."""
    calls = []
    monkeypatch.setattr(distributed, 'resolve_checkpoint', lambda name, option: calls.append(name) or name)

    def failed(function):
        raise UsageError('rank 0 says why')

    monkeypatch.setattr(distributed, 'on_main_process', failed)
    with pytest.raises(UsageError, match='rank 0 says why'):
        local_checkpoint('tiny_start')
    assert calls == []
    monkeypatch.setattr(distributed, 'on_main_process', lambda function: calls.append('rank 0'))
    assert local_checkpoint('tiny_start') == 'tiny_start' and calls == ['rank 0', 'tiny_start']
