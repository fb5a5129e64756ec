# Copyright (c) The mmvc contributors. All rights reserved.
"""Names of outputs: each source of a run gets its own."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Named(Protocol):
    """What has a name, and the file or folder that it is from, if any."""

    name: str
    origin: Path | None


def make_unique(sources: Sequence[Named]) -> None:
    """Rename the sources that have the same name, all of them, so that an output tells what it is from.

    ``clip.mov`` and ``clip.avi`` become ``clip_mov`` and ``clip_avi``; ``a/clip.mp4`` and ``b/clip.mp4`` become
    ``a_clip`` and ``b_clip``; where neither suffix nor folder is enough, the name has both (``a_clip_mov``). This does
    not depend on the order of the sources. What is still the same, as for arrays, gets a number from the second on.

    Args:
        sources (Sequence[Named]): The sources, whose ``name`` is changed.
    """
    alike = defaultdict(list)
    for source in sources:
        alike[source.name].append(source)
    for group in alike.values():
        if len(group) > 1:
            for source, name in zip(group, _longer_names(group)):
                source.name = name
    counts = Counter(source.name for source in sources)
    taken = {name for name, count in counts.items() if count == 1}
    for source in sources:
        if counts[source.name] > 1:
            stem, number = source.name, 2
            while source.name in taken:
                source.name, number = f'{stem}_{number}', number + 1
            taken.add(source.name)


def _longer_names(group: Sequence[Named]) -> list[str]:
    """Names with as little more as tells the sources apart."""
    for with_folder, with_suffix in ((False, True), (True, False), (True, True)):
        names = [_longer_name(source, with_folder, with_suffix) for source in group]
        if len(set(names)) == len(names):
            break
    return names


def _longer_name(source: Named, with_folder: bool, with_suffix: bool) -> str:
    if source.origin is None:
        return source.name
    folder = source.origin.resolve().parent.name if with_folder else ''
    suffix = source.origin.suffix[1:] if with_suffix and source.origin.stem == source.name else ''
    return '_'.join(filter(None, (folder, source.name, suffix)))
