# Copyright (c) The mmvc contributors. All rights reserved.
from .video_seg_data_preprocessor import VideoSegDataPreprocessor

__all__ = ['VideoSegDataPreprocessor']
