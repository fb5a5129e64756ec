# Copyright (c) The mmvc contributors. All rights reserved.
import os
import re
import signal
import socket
import threading
import time
from contextlib import suppress

import pytest

from mmvc.utils import folder_lock
from mmvc.utils.errors import UsageError
from mmvc.utils.folder_lock import hold_folder, hold_folders, user_of


@pytest.fixture
def owner(tmp_path):
    """Start a process that holds the folder, and on request has a child; its id, and that of the child."""
    started = []

    def start(with_child: bool = False) -> list[int]:
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            with hold_folder(tmp_path):
                child = os.fork() if with_child else 0
                if child or not with_child:
                    os.write(writer, f'{child}\n'.encode())
                time.sleep(60)
            os._exit(0)
        started.append(process)
        with open(reader) as answer:
            os.close(writer)
            return [process, int(answer.readline())]

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def end(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


@pytest.fixture(params=['', 'without flock'])
def kind(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(folder_lock, 'fcntl', None)
    return request.param


def test_the_second_process_names_the_first(tmp_path, owner, kind):
    first, _ = owner()
    host = re.escape(socket.gethostname())
    with pytest.raises(UsageError, match=f'"{re.escape(str(tmp_path))}" is in use by process {first} on {host} since'):
        with hold_folder(tmp_path, patience=0.1):
            pass
    end(first)
    with hold_folder(tmp_path, patience=0):  # a dead owner does not keep it
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_user_of_a_folder_is_named_without_locking_it(tmp_path, owner, kind):
    assert user_of(tmp_path) is None and user_of(tmp_path / 'missing') is None
    first, _ = owner()
    assert re.match(f'process {first} on .* since', user_of(tmp_path))
    end(first)
    assert user_of(tmp_path) is None
    with hold_folder(tmp_path, patience=0):
        pass


def test_a_child_of_a_dead_owner_does_not_keep_the_lock(tmp_path, owner):
    first, child = owner(with_child=True)
    end(first)
    try:
        with hold_folder(tmp_path, patience=0):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_an_owner_that_is_about_to_end_is_waited_for(tmp_path, owner):
    first, _ = owner()
    timer = threading.Timer(0.5, end, [first])
    timer.start()
    start = time.monotonic()
    with hold_folder(tmp_path, patience=20):
        assert time.monotonic() - start > 0.3
    timer.join()


def test_a_lock_without_flock_of_another_process_with_the_same_id_is_void(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_lock, 'fcntl', None)
    path = tmp_path / '.lock-owner'
    path.write_text(f'{socket.gethostname()}\n{os.getpid()}\n1\n2020-01-01 00:00:00')
    with hold_folder(tmp_path, patience=0):
        assert str(os.getpid()) in path.read_text()
    path.write_text('elsewhere\n1\n1\n2020-01-01 00:00:00')
    with pytest.raises(UsageError, match='process 1 on elsewhere since 2020.*if it has ended, remove'):
        with hold_folder(tmp_path, patience=0):
            pass


def test_a_folder_is_free_after_the_block_and_after_an_error(tmp_path):
    with pytest.raises(KeyError), hold_folder(tmp_path / 'new/folder'):
        raise KeyError
    for _ in range(2):
        with hold_folders([tmp_path / 'new/folder', None, tmp_path / 'new/../new/folder', tmp_path]):
            pass
    assert list((tmp_path / 'new/folder').iterdir()) == []
