# Copyright (c) The mmvc contributors. All rights reserved.
from .layer_decay import LayerDecayOptimWrapperConstructor
from .warmup_poly_lr import WarmupPolyLR

__all__ = ['LayerDecayOptimWrapperConstructor', 'WarmupPolyLR']
