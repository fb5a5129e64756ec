# Copyright (c) The mmvc contributors. All rights reserved.
from .resumable_batch_sampler import ResumableBatchSampler
from .whole_video_sampler import WholeVideoSampler

__all__ = ['ResumableBatchSampler', 'WholeVideoSampler']
