# Copyright (c) The mmvc contributors. All rights reserved.
from .batch_norm_folding import fold_batch_norm
from .feature_store import FeatureStore
from .masks import decode_masks
from .query_matching import match_queries, reorder_queries
from .segmenter_cache import SegmenterCache
from .targets import clip_targets, clip_weights, frame_targets

__all__ = [
    'FeatureStore', 'SegmenterCache', 'clip_targets', 'clip_weights', 'decode_masks', 'fold_batch_norm',
    'frame_targets', 'match_queries', 'reorder_queries'
]
