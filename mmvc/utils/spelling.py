# Copyright (c) The mmvc contributors. All rights reserved.
"""Names that may be misspelt ones of other names."""

import difflib
import re
from collections.abc import Iterable

_SHORT = 8  # characters; in a shorter name, two changes make another word


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest a known name in an error message.

    Args:
        name (str): Name that is not known.
        known (Iterable[str]): Known names.

    Returns:
        str: `` (did you mean "NAME"?)`` with the most similar name; empty if none is similar.
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ''


def misspelt(name: str, known: Iterable[str], max_changes: int = 2) -> str | None:
    """Find the known name that a name is most likely a misspelling of.

    A change is a letter too many, too few, wrong, or exchanged with its neighbour. Names that differ only in their
    digits, such as ``norm1`` and ``norm2``, are different names.

    Args:
        name (str): Name to look at.
        known (Iterable[str]): Known names; if ``name`` is one of them, it is not misspelt.
        max_changes (int): Largest number of changes; one in names of less than eight characters. Defaults to 2.

    Returns:
        str | None: The known name with the fewest changes, or None if there is none so close.
    """
    known = list(known)
    if name in known or len(name) < 4:
        return None
    allowed = min(max_changes, 1 if len(name) < _SHORT else max_changes)
    candidates = [(edit_distance(name, other), other) for other in known
                  if abs(len(name) - len(other)) <= allowed and re.sub(r'\d', '', name) != re.sub(r'\d', '', other)]
    distance, nearest = min(candidates, default=(allowed + 1, ''))
    return nearest if distance <= allowed else None


def edit_distance(one: str, other: str) -> int:
    """Count the letters to insert, delete, replace or exchange with their neighbour to get from a word to another.

    This is the restricted Damerau-Levenshtein distance.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        longer = [i]
        for j, target in enumerate(other, 1):
            steps = min(row[j] + 1, longer[-1] + 1, row[j - 1] + (letter != target))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == target:
                steps = min(steps, before[j - 2] + 1)
            longer.append(steps)
        before, row = row, longer
    return row[-1]
