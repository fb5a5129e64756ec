# Copyright (c) The mmvc contributors. All rights reserved.
from .compiled_ops import ensure_importable_mmcv_ops, has_compiled_ops
from .memory import keep_freed_memory

__all__ = ['ensure_importable_mmcv_ops', 'has_compiled_ops', 'keep_freed_memory']
