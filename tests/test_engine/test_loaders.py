# Copyright (c) The mmvc contributors. All rights reserved.
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmvc.engine import report_errors
from mmvc.engine.loaders import SECONDS_PER_BATCH, guard_loaders
from mmvc.engine.reporting import explain
from mmvc.utils.errors import UsageError
from tests.helpers.child_environment import child_environment

NO_ROOM = ('unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)',
           'unable to open shared memory object </torch_1_2_3> in read-write mode: No space left on device (28)',
           'unable to mmap 1024 bytes from file </torch_1_2_3>: Cannot allocate memory (12)',
           'DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that ...')


class Unsendable:
    """What a worker cannot hand over."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error


class Samples(Dataset):
    """Ten samples; one of them is special."""

    def __init__(self, special=None):
        self.special = special

    def __len__(self):
        return 10

    def __getitem__(self, index):
        if index != 5 or self.special is None:
            return index
        return self.special() if callable(self.special) else Unsendable(self.special)


def guarded(dataset, **kwargs):
    """A loader of two workers, as a runner builds it from a config."""
    kwargs = {**dict(num_workers=2, collate_fn=list), **kwargs}
    runner = SimpleNamespace(build_dataloader=lambda cfg, **_: DataLoader(cfg['dataset'], **kwargs))
    guard_loaders(runner)
    return runner.build_dataloader(dict(dataset=dataset), seed=0)


def remember_number(number):
    torch.manual_seed(100 + number)


def test_healthy_loaders_load_the_same():
    assert list(guarded(Samples())) == [[index] for index in range(10)]
    loader = guarded(Samples(), num_workers=0)
    assert loader.timeout == 0 and list(loader) == [[index] for index in range(10)]


def test_the_function_of_the_config_still_prepares_workers():
    loader = guarded(Seeds(), worker_init_fn=remember_number, batch_size=5)
    assert {seed for batch in loader for seed in batch} == {100, 101}


def tensors():
    return dict(small=torch.arange(6).view(2, 3).T, scalar=torch.tensor(2.5), empty=torch.zeros(0, 4),
                half=torch.ones(3, dtype=torch.bfloat16), large=torch.arange(200_000))


def test_small_tensors_come_with_their_batch():
    """Without a message of its own for each, which is slow; large ones stay in shared memory."""
    sample, = list(guarded(Samples(tensors)))[5]
    for name, expected in tensors().items():
        assert torch.equal(sample[name], expected) and sample[name].dtype == expected.dtype
        assert sample[name].is_shared() == (name in ('half', 'large'))
    sample['small'] += 1  # it belongs to the receiver


class Seeds(Samples):
    """Samples that are the seed of their worker."""

    def __getitem__(self, index):
        return torch.initial_seed()


def test_no_loader_waits_without_a_limit():
    assert guarded(Samples()).timeout == SECONDS_PER_BATCH
    assert guarded(Samples(), timeout=5).timeout == 5
    with pytest.raises(RuntimeError) as caught:
        list(guarded(Samples(lambda: time.sleep(20)), timeout=1))
    assert 'no batch arrived within 1 seconds' in explain(caught.value)


@pytest.mark.parametrize('text', NO_ROOM[:2])
def test_a_batch_that_cannot_be_sent_is_an_error(text):
    with pytest.raises(SystemExit) as caught, report_errors():
        list(guarded(Samples(RuntimeError(text))))
    assert '/dev/shm' in caught.value.code and '--shm-size' in caught.value.code and '\n' not in caught.value.code


@pytest.mark.parametrize('text', NO_ROOM)
def test_a_lack_of_shared_memory_names_the_remedy(text):
    assert '/dev/shm' in explain(RuntimeError(text)) and 'num_workers=0' in explain(RuntimeError(text))


def test_other_errors_of_sending_keep_their_type():
    with pytest.raises(KeyError, match='a bug'):
        list(guarded(Samples(KeyError('a bug'))))


def test_a_worker_that_was_killed():
    with pytest.raises(RuntimeError) as caught:
        list(guarded(Samples(lambda: os.kill(os.getpid(), signal.SIGKILL))))
    assert 'a data worker was ended from outside' in explain(caught.value)


def test_other_errors_are_not_explained():
    assert explain(RuntimeError('mat1 and mat2 shapes cannot be multiplied')) is None
    assert explain(RuntimeError('CUDA error: out of shared memory')) is None


def test_ranks_with_other_data_are_refused(monkeypatch):
    monkeypatch.setattr('mmvc.engine.loaders.is_distributed', lambda: True)
    monkeypatch.setattr('mmvc.engine.loaders.all_gather_object', lambda length: [length, length])
    guarded(Samples())
    monkeypatch.setattr('mmvc.engine.loaders.all_gather_object', lambda length: [length, 8])
    with pytest.raises(UsageError, match='datasets of 10, 8 samples'):
        guarded(Samples())


WORKERS = '''
import time
from tests.test_engine.test_loaders import Samples, guarded

if __name__ == '__main__':
    batches = iter(guarded(Samples(lambda: bytes(10_000_000)), prefetch_factor=5))  # blocks a worker: nobody reads it
    print(*(worker.pid for worker in batches._workers), flush=True)
    time.sleep(60)
'''


@pytest.mark.parametrize('how', [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_process(how):
    from tests.test_utils.test_children import has_ended
    with subprocess.Popen([sys.executable, '-W', 'ignore', '-c', WORKERS], stdout=subprocess.PIPE, text=True,
                          env=child_environment()) as process:
        workers = [int(pid) for pid in process.stdout.readline().split()]
        assert len(workers) == 2
        time.sleep(1)
        process.send_signal(how)
        process.wait()
    assert all(map(has_ended, workers))
