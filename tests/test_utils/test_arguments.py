# Copyright (c) The mmvc contributors. All rights reserved.
import argparse

import pytest

from mmvc.utils.arguments import NumberArgument, check_number
from mmvc.utils.errors import UsageError

NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize('value, limits, message', [
    (-1, dict(low=0), 'x must be at least 0, got -1'),
    (0, dict(low=0, above=True), 'x must be above 0, got 0'),
    (0., dict(low=0, high=1, above=True), r'x must lie in \(0, 1\], got 0.0'),
    (2, dict(low=0, high=1), r'x must lie in \[0, 1\], got 2'),
    (1.5, dict(low=0, whole=True), 'at least 0 and be a whole number, got 1.5'),
    (NAN, dict(low=0, above=True), 'got nan'),
    (True, dict(low=0), 'got True'),
    ('3', dict(low=0), "got '3'"),
])
def test_numbers_out_of_range(value, limits, message):
    with pytest.raises(UsageError, match=message):
        check_number('x', value, **limits)


def test_numbers_in_range():
    for value, limits in ((0, dict(low=0)), (1, dict(low=0, high=1, above=True)), (1e-9, dict(low=0, above=True)),
                          (INF, dict(low=0)), (3, dict(low=1, whole=True))):
        check_number('x', value, **limits)  # must not raise


def test_arguments_of_a_command_line():
    assert NumberArgument(1, whole=True)('3') == 3 and NumberArgument(0, 1)('0.5') == 0.5
    for argument, text in ((NumberArgument(1, whole=True), '0.5'), (NumberArgument(0, 1, above=True), '0'),
                           (NumberArgument(0), 'many')):
        with pytest.raises(argparse.ArgumentTypeError, match=text):
            argument(text)
