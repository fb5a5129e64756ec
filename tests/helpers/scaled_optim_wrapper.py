# Copyright (c) The mmvc contributors. All rights reserved.
"""Mixed precision without a GPU."""

from contextlib import AbstractContextManager
from typing import Any

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import nn

from mmvc.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class ScaledOptimWrapper(AmpOptimWrapper):
    """Loss scaling without a GPU, which AmpOptimWrapper insists on; the scale is doubled every other step.

    Args:
        cast_dtype (torch.dtype, optional): Precision of autocast. Defaults to None: no autocast.
        **kwargs: Arguments of :class:`mmengine.optim.OptimWrapper`.
    """

    def __init__(self, cast_dtype: torch.dtype | None = None, **kwargs: Any) -> None:
        OptimWrapper.__init__(self, **kwargs)
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=4., growth_interval=2)
        self._scale_update_param = None
        self.cast_dtype = cast_dtype

    def optim_context(self, model: nn.Module) -> AbstractContextManager:
        context = OptimWrapper if self.cast_dtype is None else AmpOptimWrapper
        return context.optim_context(self, model)
