# Copyright (c) The mmvc contributors. All rights reserved.
import re


def natural_key(name: object) -> list:
    """Sort key under which ``frame_2`` comes before ``frame_10``.

    Args:
        name (object): A name, or anything that has it as its text, such as a path.

    Returns:
        list: Its parts, numbers as integers.
    """
    return [int(part) if part.isdecimal() else part for part in re.split(r'([0-9]+)', str(name))]
