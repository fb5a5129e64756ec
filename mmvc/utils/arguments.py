# Copyright (c) The mmvc contributors. All rights reserved.
"""Range checks for numbers that a user gives; NaN is rejected."""

import argparse
import math
import numbers
from typing import Any

from .errors import UsageError


def check_number(name: str, value: Any, low: float, high: float = math.inf, whole: bool = False,
                 above: bool = False) -> None:
    """Raise an error unless a value is a number in a range.

    Args:
        name (str): Name of the value in the error message.
        value (Any): Value to check.
        low (float): Smallest allowed value.
        high (float): Largest allowed value. Defaults to infinity.
        whole (bool): Whether the value must be an integer. Defaults to False.
        above (bool): Whether the value must be greater than ``low``. Defaults to False.

    Raises:
        UsageError: The value is not a number in the range.
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
    """Type of a command-line argument: a number in a range, see :func:`check_number`.

    Examples:
        >>> parser.add_argument('--score-thr', type=NumberArgument(0, 1))
    """

    def __init__(self, low: float, high: float = math.inf, whole: bool = False, above: bool = False) -> None:
        self.low = low
        self.high = high
        self.whole = whole
        self.above = above

    def __call__(self, text: str) -> int | float:
        """Parse the number."""
        try:
            value = int(text) if self.whole else float(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f'it must be a {"whole " * self.whole}number, got {text!r}') from error
        try:
            check_number('it', value, self.low, self.high, self.whole, self.above)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return value
