# Copyright (c) The mmvc contributors. All rights reserved.
import os
import signal
import threading

import pytest

from mmvc.utils.signals import exit_on_signals
from tests.helpers.own_process import in_own_process


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_runs_what_is_to_be_done_at_the_end(number):
    def stop():
        before, done = signal.getsignal(number), []
        with pytest.raises(SystemExit) as caught, exit_on_signals():
            try:
                os.kill(os.getpid(), number)
                signal.pause()
            finally:
                done.append('draft removed')
        return caught.value.code == 128 + number and done and signal.getsignal(number) == before

    assert in_own_process(stop)


def test_interrupts_that_were_let_through_are_errors_again():
    def stop():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        with pytest.raises(KeyboardInterrupt), exit_on_signals():
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
        return signal.getsignal(signal.SIGINT) == signal.SIG_DFL

    assert in_own_process(stop)


@pytest.mark.parametrize('handler', [signal.SIG_IGN, lambda *_: None])
def test_handlers_of_others_are_kept(handler):
    def stop():
        signal.signal(signal.SIGTERM, handler)
        with exit_on_signals():
            os.kill(os.getpid(), signal.SIGTERM)
        return signal.getsignal(signal.SIGTERM) == handler

    assert in_own_process(stop)


def test_other_threads_change_nothing():
    seen = []

    def work():
        with exit_on_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
