# Copyright (c) The mmvc contributors. All rights reserved.
import copy
from collections.abc import Sequence

from mmvc.utils.type_names import type_name


def make_tta_pipeline(test_pipeline: Sequence[dict],
                      scales: Sequence[float] = (0.9, 1.0, 1.1, 1.2),
                      flip: bool = True) -> list[dict]:
    """Derive the pipeline of test-time augmentation from the pipeline of testing.

    Args:
        test_pipeline (Sequence[dict]): Transforms of testing. The first ``TransformBroadcaster`` among them is
            repeated at every scale: the target size of its ``Resize`` is multiplied; without one, it gets one at its
            end.
        scales (Sequence[float]): Factors > 0. Defaults to those of arXiv 2406.04979: 0.9, 1.0, 1.1, 1.2.
        flip (bool): Whether to use each scale a second time, flipped. Defaults to True.

    Returns:
        list[dict]: The pipeline: the transforms before the ``TransformBroadcaster``, its own up to resizing, and one
        ``AugmentOnDemand`` that makes the inputs of :class:`VideoSegTTAModel`, scale by scale, each plain and flipped.

    Raises:
        ValueError: A scale is not positive, or there is no ``TransformBroadcaster``.
    """
    if not scales or min(scales) <= 0:
        raise ValueError(f'scales = {scales}: expected at least one factor, each above 0')
    names = [type_name(transform) for transform in test_pipeline]
    if 'TransformBroadcaster' not in names:
        raise ValueError(f'test pipeline {names} has no TransformBroadcaster, so there are no transforms of single '
                         'frames to repeat at every scale: set tta_pipeline in the config')
    at = names.index('TransformBroadcaster')
    frame_transforms = test_pipeline[at]['transforms']
    # keep the frames as they are before resizing (or, without resizing, at the end), and augment them on demand
    size_from = next((index for index, transform in enumerate(frame_transforms) if type_name(transform) == 'Resize'),
                     len(frame_transforms))
    loading = {**copy.deepcopy(dict(test_pipeline[at])), 'transforms': copy.deepcopy(frame_transforms[:size_from])}
    resized = []
    for scale in scales:
        frames = copy.deepcopy(list(frame_transforms[size_from:]))
        resizes = [transform for transform in frames if type_name(transform) == 'Resize']
        for resize in resizes:
            _multiply(resize, scale)
        if not resizes:
            frames.append(dict(type='mmdet.Resize', scale_factor=float(scale), keep_ratio=True))
        resized.append({**copy.deepcopy(dict(test_pipeline[at])), 'transforms': frames})
    flips = [dict(type='TransformBroadcaster', transforms=[dict(type='mmdet.RandomFlip', prob=float(prob))])
             for prob in ([0, 1] if flip else [0])]
    rest = [[copy.deepcopy(dict(transform))] for transform in test_pipeline[at + 1:]]
    before = [copy.deepcopy(dict(transform)) for transform in test_pipeline[:at]]
    return [*before, loading, dict(type='AugmentOnDemand', transforms=[resized, flips, *rest])]


def _multiply(resize: dict, factor: float) -> None:
    """Multiply the target of a resizing, in place."""
    for key in ('scale', 'scale_factor'):
        value = resize.get(key)
        if value is None:
            continue
        if key == 'scale':
            resize[key] = tuple(round(side * factor) for side in value) if not isinstance(value, int) \
                else round(value * factor)
        else:
            resize[key] = tuple(side * factor for side in value) if not isinstance(value, (int, float)) \
                else value * factor
