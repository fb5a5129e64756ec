# Copyright (c) The mmvc contributors. All rights reserved.
from .drawing import legend_strip, overlay_segments, stable_colors
from .local_visualizer import VideoSegLocalVisualizer
from .panel import PanelDrawer
from .video_writer import VideoWriter

__all__ = [
    'PanelDrawer', 'VideoSegLocalVisualizer', 'VideoWriter', 'legend_strip', 'overlay_segments', 'stable_colors'
]
