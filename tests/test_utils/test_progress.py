# Copyright (c) The mmvc contributors. All rights reserved.
from types import SimpleNamespace

import pytest

from mmvc.utils.progress import ProgressBars, SpeedColumn


@pytest.mark.parametrize('total', [3, None])
def test_items_pass_and_are_counted(capsys, total):
    with ProgressBars('videos') as progress:
        assert list(progress.track(iter('abc'), total, 'scoring')) == ['a', 'b', 'c']
    shown = capsys.readouterr()
    assert 'scoring' in shown.err and '3/3' in shown.err and 'videos/s' in shown.err
    assert shown.out == ''


def test_the_bar_stops_where_an_error_stops_the_work(capsys):
    with pytest.raises(ValueError, match='second'), ProgressBars() as progress:
        for item in progress.track(['first', 'second'], 2, 'reading'):
            if item == 'second':
                raise ValueError(item)
    assert '1/2' in capsys.readouterr().err


def test_nothing_is_shown_if_disabled(capsys):
    with ProgressBars(enabled=False) as progress:
        assert list(progress.track([1, 2], 2, 'reading')) == [1, 2]
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize('completed, elapsed, finished, shown', [
    (0, 30, False, ''), (3, 0.001, False, ''), (3, None, False, ''), (3, 2, False, '1.50 frames/s'),
    (8, 4, True, '2.00 frames/s'), (8, 0.5, True, '16.00 frames/s'), (0, 4, True, '')])
def test_a_speed_is_an_average_over_a_second_or_more(completed, elapsed, finished, shown):
    """The first items may come at once, from a buffer, and would seem to be thousands per second."""
    task = SimpleNamespace(completed=completed, elapsed=elapsed, finished=finished, finished_time=elapsed)
    assert SpeedColumn('frames').render(task).plain == shown


@pytest.mark.parametrize('enabled', [True, False])
def test_reports(enabled):
    reports = []
    with ProgressBars(enabled=enabled, report=lambda *report: reports.append(report)) as progress:
        list(progress.track('ab', None, 'reading'))
    assert reports == [('reading', done, None) for done in range(3)]


def test_a_report_may_end_the_loop():

    def report(description, done, total):
        if done == 1:
            raise InterruptedError

    seen = []
    with pytest.raises(InterruptedError), ProgressBars(enabled=False, report=report) as progress:
        for item in progress.track('abc', 3, 'reading'):
            seen.append(item)
    assert seen == ['a']
