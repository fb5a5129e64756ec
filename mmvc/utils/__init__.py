# Copyright (c) The mmvc contributors. All rights reserved.
from .compiled_ops import ensure_importable_mmcv_ops, has_compiled_ops

__all__ = ['ensure_importable_mmcv_ops', 'has_compiled_ops']
