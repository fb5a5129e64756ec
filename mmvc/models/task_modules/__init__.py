# Copyright (c) The mmvc contributors. All rights reserved.
from .assigners import ClipHungarianMatcher, HungarianMaskMatcher
from .postprocessors import VISPostprocessor, VPSPostprocessor, VSSPostprocessor

__all__ = [
    'ClipHungarianMatcher', 'HungarianMaskMatcher', 'VISPostprocessor', 'VPSPostprocessor', 'VSSPostprocessor'
]
