# Copyright (c) The mmvc contributors. All rights reserved.
from .inferencer import VideoSegInferencer
from .results import FrameResult, FrameSegments, InstanceFrame, PanopticFrame, Segment, SemanticFrame, VideoResult

__all__ = [
    'FrameResult', 'FrameSegments', 'InstanceFrame', 'PanopticFrame', 'Segment', 'SemanticFrame', 'VideoResult',
    'VideoSegInferencer'
]
