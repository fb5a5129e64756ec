# Copyright (c) The mmvc contributors. All rights reserved.
from .colors import stable_colors
from .drawing import hide_pixels, legend_strip, outline_region, overlay_segments, titled
from .labels import write_labels
from .legend import Legend
from .local_visualizer import VideoSegLocalVisualizer
from .panel import PanelDrawer
from .segment_map import SegmentMap
from .sound import add_sound
from .text import text_scale, text_size, write_texts
from .video_writer import VideoWriter

__all__ = [
    'Legend', 'PanelDrawer', 'SegmentMap', 'VideoSegLocalVisualizer', 'VideoWriter',
    'add_sound', 'hide_pixels', 'legend_strip', 'outline_region', 'overlay_segments',
    'stable_colors', 'text_scale', 'text_size', 'titled', 'write_labels', 'write_texts'
]
