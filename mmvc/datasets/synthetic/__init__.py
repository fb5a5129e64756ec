# Copyright (c) The mmvc contributors. All rights reserved.
"""Procedurally generated videos with exact labels."""

from .classes import METAINFO
from .config import SyntheticVideoConfig
from .dataset import make_synthetic_dataset
from .presets import PRESETS
from .video import SyntheticClip, SyntheticFrame, SyntheticVideo, generate_video
from .writers import WRITERS

__all__ = [
    'METAINFO', 'PRESETS', 'WRITERS', 'SyntheticClip', 'SyntheticFrame', 'SyntheticVideo', 'SyntheticVideoConfig',
    'generate_video', 'make_synthetic_dataset'
]
