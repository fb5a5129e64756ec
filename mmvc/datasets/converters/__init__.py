# Copyright (c) The mmvc contributors. All rights reserved.
"""Conversion of downloaded datasets: resumable, several processes, every file either complete or absent."""
from .coco import convert_coco
from .vipseg import convert_vipseg
from .vspw import convert_vspw

__all__ = ['convert_coco', 'convert_vipseg', 'convert_vspw']
