# Copyright (c) The mmvc contributors. All rights reserved.
import errno
from pathlib import Path

import pytest

from mmvc.utils.batch import Failure, attempt, report_broken
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.jobs import run_jobs


def read(path):
    return Path(path).read_text()


@pytest.mark.parametrize('workers', [1, 2])
def test_broken_jobs_do_not_stop_the_others(tmp_path, workers):
    (tmp_path / 'a').write_text('1')
    (tmp_path / 'c').write_text('3')
    jobs = [tmp_path / name for name in 'abc']
    first, broken, last = run_jobs(read, jobs, workers, keep_going=True)
    assert (first, last) == ('1', '3') and isinstance(broken, Failure) and str(jobs[1]) in broken.error
    with pytest.raises(FileNotFoundError):
        list(run_jobs(read, jobs, workers))


@pytest.mark.parametrize('error', [OSError(errno.ENOSPC, 'No space left on device'), UsageError('no'),
                                   KeyError('bug')])
def test_what_concerns_all_jobs_stops_them(error):

    def fail():
        raise error

    with pytest.raises(type(error)):
        attempt(fail)


def test_broken_videos_are_named(capsys):
    with pytest.raises(DataError, match='^1 of 9 videos could not be read: a: it is empty$'):
        report_broken(dict(a='it is empty'), 9, 'read')
    assert capsys.readouterr().err == ''
    with pytest.raises(DataError, match='^7 of 9 inputs could not be read: 0, 1, 2, 3, 4 and 2 more. See above'):
        report_broken({str(number): 'it is empty' for number in range(7)}, 9, 'read', 'inputs')
    assert capsys.readouterr().err.splitlines()[6] == 'not read: 6: it is empty'
