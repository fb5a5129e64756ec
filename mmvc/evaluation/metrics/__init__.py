# Copyright (c) The mmvc contributors. All rights reserved.
from .object_metric import ObjectMetric
from .video_metric import VideoMetric
from .vis_metric import VISMetric
from .vps_metric import VPSMetric
from .vss_metric import VSSMetric

__all__ = ['ObjectMetric', 'VISMetric', 'VPSMetric', 'VSSMetric', 'VideoMetric']
