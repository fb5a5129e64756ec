# Copyright (c) The mmvc contributors. All rights reserved.
from .frame_query_head import FrameQueryHead
from .pixel_decoder import MSDeformAttnPixelDecoder
from .referring_tracker import ReferringTracker, TrackerState
from .temporal_refiner import TemporalRefiner

__all__ = ['FrameQueryHead', 'MSDeformAttnPixelDecoder', 'ReferringTracker', 'TemporalRefiner', 'TrackerState']
