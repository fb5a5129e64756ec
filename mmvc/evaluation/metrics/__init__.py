# Copyright (c) The mmvc contributors. All rights reserved.
from .video_metric import VideoMetric
from .vis_metric import VISMetric
from .vps_metric import VPSMetric
from .vss_metric import VSSMetric

__all__ = ['VISMetric', 'VPSMetric', 'VSSMetric', 'VideoMetric']
