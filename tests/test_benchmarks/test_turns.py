# Copyright (c) The mmvc contributors. All rights reserved.
"""Turns of benchmarks: as many as asked for, fewer where the machine is slow."""

import pytest

from benchmarks import turns as module
from benchmarks.turns import turns


@pytest.fixture
def clock(monkeypatch):
    """A clock whose time the test sets."""
    now = [0.]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])
    return now


def take(clock, lengths, **kwargs):
    """Numbers of the turns that are made if they take as long as given."""
    done = []
    for turn in turns(len(lengths), **kwargs):
        clock[0] += lengths[turn]
        done.append(turn)
    return done


def test_all_turns_on_a_fast_machine(clock):
    assert take(clock, [1, 1, 1], seconds=10) == [0, 1, 2]


def test_no_turn_begins_that_would_end_too_late(clock):
    assert take(clock, [4, 4, 4], seconds=10) == [0, 1]


def test_the_longest_turn_decides(clock):
    assert take(clock, [6, 1, 1], seconds=10) == [0]


def test_one_turn_is_made_however_long_it_takes(clock):
    assert take(clock, [60, 60, 60], seconds=10) == [0]
