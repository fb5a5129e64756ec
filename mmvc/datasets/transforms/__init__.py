# Copyright (c) The mmvc contributors. All rights reserved.
from .augment_on_demand import AugmentOnDemand
from .clip_sampling import SampleAllFrames, SampleClip
from .corrupt_frames import CorruptFrames
from .drop_frames import DropFrames
from .formatting import PackVideoSegInputs
from .instance_loading import LoadFrameInstances
from .loading import LoadFrameFromFile, LoadVideoSegAnnotations
from .moving_crop import MovingCrop
from .random_patch_mask import RandomPatchMask
from .rotate_pseudo_video import RotatePseudoVideo
from .tube_mask import TubeMask

__all__ = [
    'AugmentOnDemand', 'CorruptFrames', 'DropFrames', 'LoadFrameFromFile', 'LoadFrameInstances',
    'LoadVideoSegAnnotations', 'MovingCrop', 'PackVideoSegInputs', 'RandomPatchMask', 'RotatePseudoVideo',
    'SampleAllFrames', 'SampleClip', 'TubeMask'
]
