# Copyright (c) The mmvc contributors. All rights reserved.
from .clip_sampling import SampleAllFrames, SampleClip
from .formatting import PackVideoSegInputs
from .loading import LoadFrameFromFile, LoadVideoSegAnnotations
from .patch_mask import expand_patch_mask
from .random_patch_mask import RandomPatchMask
from .tube_mask import TubeMask

__all__ = [
    'LoadFrameFromFile', 'LoadVideoSegAnnotations', 'PackVideoSegInputs', 'RandomPatchMask', 'SampleAllFrames',
    'SampleClip', 'TubeMask', 'expand_patch_mask'
]
