# Copyright (c) The mmvc contributors. All rights reserved.
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .check_weights_hook import CheckWeightsHook, WeightMismatchError
from .final_metrics_hook import FinalMetricsHook
from .video_seg_visualization_hook import VideoSegVisualizationHook

__all__ = [
    'AtomicCheckpointHook', 'CheckWeightsHook', 'FinalMetricsHook', 'VideoSegVisualizationHook', 'WeightMismatchError'
]
