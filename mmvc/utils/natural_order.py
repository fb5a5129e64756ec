# Copyright (c) The mmvc contributors. All rights reserved.
import re


def natural_key(name: object) -> list:
    """Return a sort key that puts ``frame_2`` before ``frame_10``.

    Args:
        name (object): A name, or an object whose ``str()`` is the name, such as a path.

    Returns:
        list: The parts of the name, with numbers as integers.
    """
    return [int(part) if part.isdecimal() else part for part in re.split(r'([0-9]+)', str(name))]
