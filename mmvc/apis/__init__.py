# Copyright (c) The mmvc contributors. All rights reserved.
from .inferencer import VideoSegInferencer
from .results import FrameResult, InstanceFrame, PanopticFrame, SemanticFrame
from .segments import FrameSegments, Segment
from .video_result import VideoResult

__all__ = [
    'FrameResult', 'FrameSegments', 'InstanceFrame', 'PanopticFrame', 'Segment', 'SemanticFrame', 'VideoResult',
    'VideoSegInferencer'
]
