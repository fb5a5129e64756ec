# Copyright (c) The mmvc contributors. All rights reserved.
import errno
import io
import os
import signal
import sys

import pytest
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from mmvc.engine import report_errors
from mmvc.utils.errors import DataError, UsageError

PARTS = Registry('part')


@PARTS.register_module()
class Wheel:

    def __init__(self, size: int) -> None:
        if not 0 < size < 10:
            raise ValueError('too large')


def message_of(raise_error) -> str:
    """What a tool prints when a function raises an error."""
    with pytest.raises(SystemExit) as caught, report_errors():
        raise_error()
    return caught.value.code


@pytest.mark.parametrize('error', [
    UsageError('give a number'), DataError('file "a" is damaged'), OSError(errno.EACCES, 'Permission denied', 'a')])
def test_errors_that_the_user_can_mend_are_one_line(error):

    def fail():
        raise error

    assert message_of(fail) == f'error: {error}'


def test_a_full_disk_says_what_to_do():

    def fail():
        raise OSError(errno.ENOSPC, 'No space left on device', 'iter_2.pth')

    message = message_of(fail)
    assert 'iter_2.pth' in message and 'Free some space' in message and '--resume' in message


def test_other_errors_keep_their_traceback():
    with pytest.raises(KeyError, match='bug'), report_errors():
        PARTS.build(dict(type='Wheel', size=3))
        raise KeyError('bug')


def test_mmengine_is_as_before_afterwards():
    before = Registry.build, Runner.build_optim_wrapper
    with report_errors():
        pass
    message_of(lambda: PARTS.build(dict(type='Wheel', size=99)))
    assert (Registry.build, Runner.build_optim_wrapper) == before
    with pytest.raises(ValueError, match='too large'):
        PARTS.build(dict(type='Wheel', size=99))


def test_an_interruption_is_one_line(capsys):
    with pytest.raises(SystemExit) as caught, report_errors():
        raise KeyboardInterrupt
    assert caught.value.code == 130 and capsys.readouterr().err == 'interrupted\n'


def test_nobody_reads_the_output(monkeypatch):
    """As in ``tool | head``."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, 'w') as output:
        monkeypatch.setattr(sys, 'stdout', output)
        with pytest.raises(SystemExit) as caught, report_errors():
            print('a line')
        assert caught.value.code == 128 + signal.SIGPIPE
        print('goes nowhere', flush=True)  # when Python ends, it flushes again


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs Linux')
def test_the_output_is_full(monkeypatch):
    with open('/dev/full', 'w') as output:
        monkeypatch.setattr(sys, 'stdout', output)
        assert 'No space left on device. Free some space' in message_of(lambda: print('a line'))
        print('goes nowhere', flush=True)


@pytest.mark.parametrize('how', ['print', 'file'])
def test_names_that_the_locale_does_not_know(monkeypatch, how):
    """As with LC_ALL=C and without Python's UTF-8 mode."""
    content = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(content, 'ascii'))
    if how == 'print':
        with report_errors():
            print('stra\u00dfe')
        assert content.getvalue() == b'stra\\xdfe\n'
    else:
        message = message_of(lambda: 'stra\u00dfe'.encode('ascii'))
        assert message.startswith("error: 'stra\\xdfe' cannot be written") and 'LC_ALL=C.UTF-8' in message


def test_there_is_no_output(monkeypatch):
    monkeypatch.setattr(sys, 'stdout', None)
    with report_errors():
        print('a line')


@pytest.fixture
def rank(monkeypatch, tmp_path):
    """This process is rank 1 of a run with torchrun; returns the file that torchrun repeats at its end."""
    monkeypatch.setattr('mmvc.engine.distributed.is_distributed', lambda: True)
    monkeypatch.setattr('time.sleep', lambda seconds: None)
    monkeypatch.setenv('RANK', '1')
    monkeypatch.setenv('LOCAL_RANK', '1')
    monkeypatch.setenv('TORCHELASTIC_ERROR_FILE', str(tmp_path / 'error.json'))
    return tmp_path / 'error.json'


@pytest.mark.parametrize('text', [
    '[../third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.1.1]:4321',
    'NCCL communicator was aborted on rank 1', 'Connection reset by peer'])
def test_the_rank_that_ended_first_has_the_last_word(rank, text):

    def fail():
        raise RuntimeError(f'{text}\nand more')

    message = message_of(fail)
    assert message.startswith('error on rank 1: the connection to another rank is lost') and '\n' not in message
    assert not rank.exists()


def test_torchrun_repeats_the_message(rank):

    def fail():
        raise UsageError('give a number')

    assert message_of(fail) == 'error on rank 1: give a number'
    failure = ProcessFailure(local_rank=1, pid=1, exitcode=1, error_file=str(rank))
    assert 'error on rank 1: give a number' in ChildFailedError('train.py', {1: failure}).format_msg()


def test_bugs_on_a_rank_keep_their_traceback(rank):
    with pytest.raises(RuntimeError, match='shapes'), report_errors():
        raise RuntimeError('mat1 and mat2 shapes cannot be multiplied')
