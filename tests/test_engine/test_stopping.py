# Copyright (c) The mmvc contributors. All rights reserved.
import copy
import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
import torch

from mmvc.engine import Stage, load_config, report_errors, run_stages
from mmvc.engine.hooks import AtomicCheckpointHook
from mmvc.engine.stopping import TrainingStopped, requested_signal, stop_on_signals
from tests.helpers.own_process import in_own_process
from tests.helpers.tiny_stages import TinyModel, write_config


@pytest.fixture
def stage(tmp_path, forget_runs):
    """Make the training of a config without stages."""
    path = write_config(tmp_path, dict(only=('TinyModel', 6)))

    def make(name='work', **options):
        forget_runs()
        cfg = load_config(path, {f'default_hooks.checkpoint.{key}': value for key, value in options.items()})
        return Stage('', cfg, str(tmp_path / name))

    return make


def run(stage, **arguments):
    stage.cfg.work_dir = stage.work_dir
    run_stages([stage], **arguments)


def iterations(stage):
    return sorted(name for name in os.listdir(stage.work_dir) if name.startswith('iter_'))


def handlers():
    return [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def send(number):
    """Ask this process to stop, which must be one that the test has started."""
    assert os.getpid() == os.getsid(0)
    os.kill(os.getpid(), number)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_training_saves_its_iteration_and_resumes_exactly(stage, monkeypatch, number):
    whole = stage('whole')
    run(whole)
    forward, calls = TinyModel.forward, []

    def stopping(self, *args, mode='tensor', **kwargs):
        calls.append(mode)
        if calls.count('loss') == 3 and mode == 'loss':
            send(number)
        return forward(self, *args, mode=mode, **kwargs)

    stopped = stage(interval=5)

    def stop():
        before = handlers()
        with pytest.raises(TrainingStopped, match=f'stopped by {number.name} after iteration 3.*iter_3.pth.*--resume'):
            run(stopped)
        return before == handlers() and not requested_signal()

    with monkeypatch.context() as patch:
        patch.setattr(TinyModel, 'forward', stopping)
        assert in_own_process(stop)
    assert iterations(stopped) == ['iter_3.pth']
    run(stage(), resume=True)
    one, other = (torch.load(f'{each.work_dir}/iter_6.pth', weights_only=False)['state_dict']
                  for each in (whole, stopped))
    assert all(torch.equal(one[name], other[name]) for name in one)


EPOCHS = dict(train_cfg=dict(_delete_=True, type='mmengine.EpochBasedTrainLoop', max_epochs=3, val_interval=3),
              custom_hooks=[], train_dataloader=dict(sampler=dict(type='mmengine.DefaultSampler', shuffle=True)),
              default_hooks=dict(checkpoint=dict(by_epoch=True, interval=1, save_best=None),
                                 sampler_seed=dict(type='mmengine.DistSamplerSeedHook')))  # of 8 iterations


def stopped_at(model_mode, call, run_training):
    """Run a training in a process of its own, with a signal at a call of the model; returns the message."""
    def train():
        forward, calls = TinyModel.forward, []

        def stopping(self, *args, mode='tensor', **kwargs):
            calls.append(mode)
            if mode == model_mode and calls.count(mode) == call:
                send(signal.SIGINT)
            return forward(self, *args, mode=mode, **kwargs)

        TinyModel.forward = stopping
        with pytest.raises(TrainingStopped) as caught:
            run_training()
        return str(caught.value)

    return in_own_process(train)


def checkpoints(stage):
    return sorted(name for name in os.listdir(stage.work_dir) if name.endswith('.pth'))


def test_an_epoch_that_is_stopped_is_saved_and_repeated(stage):
    def training():
        each = stage('epochs')
        each.cfg.merge_from_dict(copy.deepcopy(EPOCHS))  # it takes _delete_ out
        return each

    message = stopped_at('loss', 11, lambda: run(training()))
    assert 'stopped by SIGINT after iteration 11, which is saved as' in message
    assert checkpoints(training()) == ['epoch_1.pth', 'epoch_1_iter_11.pth']
    message = stopped_at('loss', 2, lambda: run(training(), resume=True))
    assert 'after iteration 13' in message  # the second epoch has begun again
    assert checkpoints(training()) == ['epoch_1.pth', 'epoch_1_iter_13.pth']
    message = stopped_at('loss', 8, lambda: run(training(), resume=True))
    assert 'after epoch 2, which is saved as' in message
    assert checkpoints(training()) == ['epoch_1.pth', 'epoch_2.pth']
    run(training(), resume=True)
    assert checkpoints(training()) == ['epoch_2.pth', 'epoch_3.pth']
    meta = torch.load(f'{training().work_dir}/epoch_3.pth', weights_only=False)['meta']
    assert meta['epoch'] == 3 and meta['iter'] == 13 + 8 + 8


@pytest.mark.parametrize('interval', [4, 5])
def test_a_validation_is_stopped_and_resumes_exactly(stage, interval):
    """It comes after iteration 4, with or without a checkpoint of that."""
    def training(name='stopped'):
        each = stage(name, interval=interval, save_best=None)
        each.cfg.custom_hooks = []
        return each

    run(training('whole'))
    message = stopped_at('predict', 3, lambda: run(training()))
    assert 'stopped by SIGINT in the validation after iteration 4, which is saved as' in message
    assert checkpoints(training()) == ['iter_4.pth']
    resumed = training()
    run(resumed, resume=True)
    logs = [json.loads(line) for path in Path(resumed.work_dir).glob('*/vis_data/scalars.json')
            for line in path.read_text().splitlines()]
    assert sum('tiny/mIoU' in entry for entry in logs) == 2, 'after iterations 4 and 6'
    one, other = (torch.load(f'{each.work_dir}/iter_6.pth', weights_only=False)['state_dict']
                  for each in (training('whole'), resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_validation_of_averaged_weights_goes_on(stage):
    """EMAHook exchanges the weights until its end: they cannot be saved before."""
    training = stage(interval=5, save_best=None)
    message = stopped_at('predict', 3, lambda: run(training))
    assert 'after iteration 5' in message
    training = stage('other', interval=4, save_best=None)
    assert 'in the validation after iteration 4' in stopped_at('predict', 3, lambda: run(training))


def test_a_second_signal_ends_at_once():
    def stop():
        before = handlers()
        with pytest.raises(KeyboardInterrupt), stop_on_signals():
            send(signal.SIGINT)
            assert requested_signal() == signal.SIGINT
            send(signal.SIGINT)
        return before == handlers() and not requested_signal()

    assert in_own_process(stop)


def test_a_second_signal_ends_a_process_that_does_not_handle_it():
    def stop():
        with stop_on_signals():
            send(signal.SIGTERM)
            send(signal.SIGTERM)

    with pytest.raises(ChildProcessError, match='status -15'):
        in_own_process(stop)


def test_torchrun_may_send_it_again(monkeypatch):
    """Ctrl-C reaches its processes from the terminal and from torchrun, which ends them after a time."""
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')

    def stop():
        before = handlers()
        with stop_on_signals():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                send(number)
            asked = requested_signal()
        return asked == signal.SIGINT and before == handlers()

    assert in_own_process(stop)


def test_a_closed_terminal_sends_its_signal_twice():
    def stop():
        before = handlers()
        with stop_on_signals():
            send(signal.SIGHUP)
            send(signal.SIGHUP)
            asked = requested_signal()
        return asked == signal.SIGHUP and before == handlers()

    assert in_own_process(stop)


def test_the_handlers_are_back_after_an_error():
    def fail():
        before = handlers()
        with pytest.raises(ZeroDivisionError), stop_on_signals():
            assert handlers() != before
            raise ZeroDivisionError
        return before == handlers()

    assert in_own_process(fail)


def test_a_training_inside_of_another_one_leaves_it_the_signal():
    def nest():
        with stop_on_signals():
            outer = handlers()
            with stop_on_signals():
                assert handlers() == outer
                send(signal.SIGTERM)
            return requested_signal()

    assert in_own_process(nest) == signal.SIGTERM


def test_a_signal_may_come_while_the_program_prints():
    """Python forbids to print to a stream from a handler that interrupted printing to it."""
    class Busy:
        def write(self, text):
            raise RuntimeError('reentrant call')

        flush = write

    def stop():
        sys.stderr = Busy()
        with stop_on_signals():
            send(signal.SIGTERM)
            return requested_signal()

    assert in_own_process(stop) == signal.SIGTERM


def test_another_thread_is_left_alone():
    entered = []

    def work():
        with stop_on_signals():
            entered.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [before]


@pytest.mark.parametrize('error, status', [(TrainingStopped(15, 'saved'), 143), (KeyboardInterrupt(), 130)])
def test_the_tools_end_in_one_line(capsys, error, status):
    with pytest.raises(SystemExit) as caught, report_errors():
        raise error
    assert caught.value.code == status
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_one_of_several_ranks_says_it(capsys, monkeypatch):
    monkeypatch.setattr('mmvc.engine.reporting.is_main_process', lambda: False)
    with pytest.raises(SystemExit) as caught, report_errors():
        raise TrainingStopped(15, 'saved')
    assert caught.value.code == 143 and capsys.readouterr().err == ''


def test_a_training_shorter_than_the_interval_has_checkpoints(stage):
    short = stage(interval=1000, max_keep_ckpts=99)
    run(short)
    assert iterations(short) == ['iter_2.pth', 'iter_4.pth', 'iter_6.pth']


def test_a_checkpoint_is_saved_after_some_minutes(stage, monkeypatch):
    clock = iter(range(0, 10**6, 50))
    monkeypatch.setattr('mmvc.engine.hooks.atomic_checkpoint_hook.time.monotonic', lambda: next(clock))
    slow = stage(interval=6, max_keep_ckpts=99, max_minutes=1)
    run(slow)
    assert len(iterations(slow)) > 1 and 'iter_6.pth' in iterations(slow)


def test_a_number_that_is_not_defined_does_not_end_a_training(stage, monkeypatch):
    lines = []
    monkeypatch.setattr('mmvc.engine.hooks.atomic_checkpoint_hook.print_log',
                        lambda message, **kwargs: lines.append(message))
    run(stage(save_best=['tiny/mIoU', 'tiny/VC16'], rule='greater'))
    assert len(lines) == 1 and 'gives no tiny/VC16, which save_best asks for' in lines[0]
    assert AtomicCheckpointHook(save_best='tiny/VC16', rule='greater')._defined({}) == {'tiny/VC16': None}


def test_an_ignored_signal_stays_ignored():
    """``nohup`` and a shell in the background let a process ignore signals."""
    def ignore():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with stop_on_signals():
            send(signal.SIGTERM)
            assert requested_signal() == 0
        return signal.getsignal(signal.SIGTERM) == signal.SIG_IGN

    assert in_own_process(ignore)
