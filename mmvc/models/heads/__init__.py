# Copyright (c) The mmvc contributors. All rights reserved.
from .frame_query_head import FrameQueryHead
from .pixel_decoder import MSDeformAttnPixelDecoder
from .query_decoders import JointBlocks, LateralDecoder
from .query_mask_head import QueryMaskHead
from .query_propagation import GRUPropagation, LinearPropagation
from .referring_tracker import ReferringTracker, TrackerState
from .temporal_refiner import TemporalRefiner

__all__ = [
    'FrameQueryHead', 'GRUPropagation', 'JointBlocks', 'LateralDecoder', 'LinearPropagation',
    'MSDeformAttnPixelDecoder', 'QueryMaskHead', 'ReferringTracker', 'TemporalRefiner', 'TrackerState'
]
