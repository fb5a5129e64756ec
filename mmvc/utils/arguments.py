# Copyright (c) The mmvc contributors. All rights reserved.
"""Numbers from outside, checked where they come in: nan fits no range."""

import argparse
import math
import numbers
from typing import Any

from .errors import UsageError


def check_number(name: str, value: Any, low: float, high: float = math.inf, whole: bool = False,
                 above: bool = False) -> None:
    """Refuse what is no number, or lies out of its range.

    Args:
        name (str): How to speak of it in messages.
        value (Any): What was given.
        low (float): Smallest value.
        high (float): Largest value. Defaults to infinity.
        whole (bool): Whether it must be an integer. Defaults to False.
        above (bool): Whether ``low`` itself is too small. Defaults to False.

    Raises:
        UsageError: It is not.
    """
    kind = numbers.Integral if whole else numbers.Real
    if high == math.inf:
        limits = f'must be {"above" if above else "at least"} {low:g}'
    else:
        limits = f'must lie in {"(" if above else "["}{low:g}, {high:g}]'
    if not isinstance(value, kind) or isinstance(value, bool) or not low <= float(value) <= high \
            or above and value == low:
        raise UsageError(f'{name} {limits}{" and be a whole number" if whole else ""}, got {value!r}')


class NumberArgument:
    """Type of a command-line argument that is a number in a range; see :func:`check_number`.

    Examples:
        >>> parser.add_argument('--score-thr', type=NumberArgument(0, 1))
    """

    def __init__(self, low: float, high: float = math.inf, whole: bool = False, above: bool = False) -> None:
        self.low = low
        self.high = high
        self.whole = whole
        self.above = above

    def __call__(self, text: str) -> int | float:
        """Read the number."""
        try:
            value = int(text) if self.whole else float(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f'it must be a {"whole " * self.whole}number, got {text!r}') from error
        try:
            check_number('it', value, self.low, self.high, self.whole, self.above)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return value
