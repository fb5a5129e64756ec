# Copyright (c) The mmvc contributors. All rights reserved.
from .activation_checkpoint_hook import ActivationCheckpointHook, checkpoint_activations
from .adapt_threads_hook import AdaptThreadsHook
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .bad_sample_hook import BadSampleHook
from .check_classes_hook import CheckClassesHook
from .check_data_hook import CheckDataHook
from .check_weights_hook import CheckWeightsHook, WeightMismatchError
from .final_metrics_hook import FinalMetricsHook
from .host_memory_hook import HostMemoryHook
from .nan_guard_hook import NaNGuardHook
from .random_state_hook import RandomStateHook
from .resume_hook import ResumeHook
from .video_seg_visualization_hook import VideoSegVisualizationHook
from .vote_margin_hook import VoteMarginHook

__all__ = [
    'ActivationCheckpointHook', 'AdaptThreadsHook', 'AtomicCheckpointHook', 'BadSampleHook', 'CheckClassesHook',
    'CheckDataHook', 'CheckWeightsHook', 'FinalMetricsHook', 'HostMemoryHook', 'NaNGuardHook', 'RandomStateHook',
    'ResumeHook', 'VideoSegVisualizationHook', 'VoteMarginHook', 'WeightMismatchError', 'checkpoint_activations'
]
