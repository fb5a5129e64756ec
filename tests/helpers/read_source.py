# Copyright (c) The mmvc contributors. All rights reserved.
"""Reads all regions of an annotation source, for comparison with known masks."""

import numpy as np

from mmvc.importers.source import VOID_CATEGORY, AnnotationSource


def read_source(source: AnnotationSource) -> dict[str, dict[str, list[tuple[str, object, np.ndarray]] | None]]:
    """Regions as (category, track, mask) by video and frame; None for a frame without labels."""
    names = [category.name for category in source.categories]
    found = {}
    for video in source.videos():
        regions = source.regions(video)
        found[video.name] = {}
        for frame in video.frames:
            here = next(regions) if frame.labelled else None
            found[video.name][frame.name] = None if here is None else [
                ('VOID' if region.category == VOID_CATEGORY else names[region.category], region.track, region.mask)
                for region in here]
        assert next(regions, None) is None  # as many as there are labelled frames
    return found


def same(found: list, expected: list) -> bool:
    """Whether regions are equal: category, track and mask."""
    return len(found) == len(expected) and all(
        (one[:2] == other[:2] and one[2].dtype == bool and np.array_equal(one[2], other[2]))
        for one, other in zip(found, expected))
