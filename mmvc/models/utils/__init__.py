# Copyright (c) The mmvc contributors. All rights reserved.
from .feature_store import FeatureStore
from .keyframes import KeyframeStore, PropagatedMasks
from .queries import decode_masks, match_queries, reorder_queries
from .segmenter_cache import SegmenterCache
from .targets import clip_targets, frame_targets, get_sample_weights

__all__ = [
    'FeatureStore', 'KeyframeStore', 'PropagatedMasks', 'SegmenterCache', 'clip_targets', 'decode_masks',
    'frame_targets', 'get_sample_weights', 'match_queries', 'reorder_queries'
]
