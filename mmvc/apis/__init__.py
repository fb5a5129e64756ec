# Copyright (c) The mmvc contributors. All rights reserved.
from typing import TYPE_CHECKING

from mmvc.utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from .inferencer import VideoSegInferencer
    from .results import FrameResult, InstanceFrame, PanopticFrame, SemanticFrame
    from .segments import FrameSegments, Segment
    from .video_result import VideoResult

__getattr__, __dir__ = lazy_names(
    __name__,
    dict(
        VideoSegInferencer='inferencer',
        FrameResult='results',
        InstanceFrame='results',
        PanopticFrame='results',
        SemanticFrame='results',
        FrameSegments='segments',
        Segment='segments',
        VideoResult='video_result'))

__all__ = [
    'FrameResult', 'FrameSegments', 'InstanceFrame', 'PanopticFrame', 'Segment', 'SemanticFrame', 'VideoResult',
    'VideoSegInferencer'
]
