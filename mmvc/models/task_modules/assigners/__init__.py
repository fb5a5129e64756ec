# Copyright (c) The mmvc contributors. All rights reserved.
from .clip_hungarian_matcher import ClipHungarianMatcher
from .hungarian_mask_matcher import HungarianMaskMatcher

__all__ = ['ClipHungarianMatcher', 'HungarianMaskMatcher']
