# Copyright (c) The mmvc contributors. All rights reserved.
import re
from decimal import Decimal

# A number with one dot is a decimal, as a time in seconds is; dates and versions, which have more dots, are not.
_NUMBER = re.compile(r'((?<![\d.])\d+\.\d+(?!\d|\.\d)|\d+)')


def natural_key(name: object) -> tuple:
    """Return a sort key that puts ``frame_2`` before ``frame_10``, and ``0.05`` before ``0.1``.

    Args:
        name (object): A name, or an object whose ``str()`` is the name, such as a path.

    Returns:
        tuple: The parts of the name, with numbers (of any script) by value; and the name, which decides between equal
        parts.
    """
    text = str(name)
    # text and numbers take turns, so that only parts of one kind are compared
    parts = _NUMBER.split(text)
    return [Decimal(part) if index % 2 else part for index, part in enumerate(parts)], text
