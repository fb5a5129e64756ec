# Copyright (c) The mmvc contributors. All rights reserved.
import threading

import pytest

from mmvc.apis import read_ahead as module
from mmvc.apis.frame_reader import FrameReader
from mmvc.apis.read_ahead import read_ahead
from mmvc.apis.sources import open_sources
from mmvc.utils.errors import UsageError

WAIT = 20  # seconds, of a test that fails


class Source:
    """Counts up, and remembers what was computed and by whom."""

    def __init__(self, stop=10, error_at=None, size=1):
        self.stop, self.error_at, self.size = stop, error_at, size
        self.computed, self.threads, self.closed_by = [], set(), None
        self.has_computed = threading.Condition()

    def __iter__(self):
        try:
            for index in range(self.stop):
                if index == self.error_at:
                    raise ValueError(f'item {index} is broken')
                with self.has_computed:
                    self.threads.add(threading.current_thread())
                    self.computed.append(index)
                    self.has_computed.notify_all()
                yield index
        finally:
            self.closed_by = threading.current_thread()

    def wait_for(self, count):
        with self.has_computed:
            assert self.has_computed.wait_for(lambda: len(self.computed) >= count, WAIT)

    def ahead(self, ahead=3, limit=None):
        return read_ahead(iter(self), ahead, lambda item: self.size, limit)


def no_threads():
    return not any(thread.name == 'mmvc-read-ahead' for thread in threading.enumerate())


@pytest.mark.parametrize('ahead', [1, 3, 20])
def test_items_come_in_order_and_from_a_thread(ahead):
    source = Source()
    for expected, item in enumerate(source.ahead(ahead)):
        assert item == expected
        source.wait_for(min(item + 1 + ahead, 10))  # it goes on while this loop does not ask for anything
        assert len(source.computed) <= item + 1 + ahead
    assert expected == 9 and threading.current_thread() not in source.threads
    assert source.closed_by is not None and no_threads()


def test_few_large_items_wait(monkeypatch):
    monkeypatch.setattr(module, '_MAX_BYTES', 25)
    source = Source(size=10)
    for item in source.ahead(5):
        source.wait_for(min(item + 3, 10))
        assert len(source.computed) <= item + 3
    huge = Source(size=100)
    for item in huge.ahead(5):
        huge.wait_for(min(item + 2, 10))
        assert len(huge.computed) <= item + 2


@pytest.mark.parametrize('error_at', [0, 4])
def test_an_error_is_raised_in_its_place(error_at):
    source, items = Source(error_at=error_at), []
    with pytest.raises(ValueError, match=f'item {error_at} is broken'):
        for item in source.ahead():
            items.append(item)
    assert items == list(range(error_at)) and no_threads()


def test_a_loop_that_ends_ends_the_thread():
    source = Source()
    items = source.ahead()
    assert next(items) == 0
    items.close()
    assert source.closed_by is not None and no_threads()
    source = Source()
    with pytest.raises(KeyboardInterrupt):
        for _ in source.ahead():
            raise KeyboardInterrupt
    assert source.closed_by is not None and no_threads()


def test_no_more_is_computed_than_is_needed():
    source = Source()
    items = source.ahead(ahead=5, limit=3)
    assert [next(items) for _ in range(3)] == [0, 1, 2] and source.computed == [0, 1, 2]
    assert next(items) == 3 and source.computed == [0, 1, 2, 3]  # only because it was asked for
    assert threading.current_thread() in source.threads
    items.close()
    assert source.closed_by is not None and no_threads()


def test_a_source_that_waits_does_not_delay_the_end(monkeypatch):
    """As a camera that gives no more frames does. It is closed as soon as it can be."""
    monkeypatch.setattr(module, '_PATIENCE', 0.01)
    waiting, end, closed = threading.Event(), threading.Event(), threading.Event()

    def camera():
        try:
            yield 0
            waiting.set()
            end.wait(WAIT)
            yield 1
        finally:
            closed.set()

    items = read_ahead(camera(), 1, lambda item: 1)
    assert next(items) == 0 and waiting.wait(WAIT)
    items.close()
    assert not closed.is_set()
    end.set()
    assert closed.wait(WAIT)


@pytest.mark.parametrize('kind', ['video_file', 'frame_folder'])
def test_a_reader_reads_ahead(request, kind, monkeypatch):
    source, = open_sources(str(request.getfixturevalue(kind)))
    direct = list(source.read(2))
    reader = FrameReader(source, stride=2)
    for _ in range(2):  # a source is read twice
        frames = list(reader)
        assert [(frame.index, frame.name) for frame in frames] == [(frame.index, frame.name) for frame in direct]
        assert all((frame.image == other.image).all() for frame, other in zip(frames, direct))
    read, threads = source.read, []

    def watched(stride):
        for frame in read(stride):
            threads.append(threading.current_thread())
            yield frame

    monkeypatch.setattr(source, 'read', watched)
    assert len(list(FrameReader(source, max_frames=3))) == 3
    assert len(threads) == 3 and threading.current_thread() not in threads and no_threads()


def test_a_broken_frame_is_an_error_in_its_place(frame_folder):
    file = sorted(frame_folder.iterdir())[5]
    file.write_bytes(file.read_bytes()[:100])
    source, = open_sources(str(frame_folder))
    seen = []
    with pytest.raises(UsageError, match='frame 5'):
        for frame in FrameReader(source):
            seen.append(frame.index)
    assert seen == [0, 1, 2, 3, 4] and no_threads()
    reader = FrameReader(source, max_frames=6, skip_broken=True)
    assert [frame.index for frame in reader] == [0, 1, 2, 3, 4, 6] and len(reader.skipped) == 1


def test_frames_of_the_caller_are_asked_for_one_by_one(frames):
    """An iterator may make a frame from the result of the one before."""
    asked = []

    def made():
        for index, frame in enumerate(frames):
            asked.append(index)
            yield frame

    source, = open_sources(made())
    for frame in FrameReader(source):
        assert asked[-1] == frame.index
