# Copyright (c) The mmvc contributors. All rights reserved.
from contextlib import nullcontext
from typing import Any

import torch
from mmdet.models.backbones.swin import SwinBlock
from mmdet.models.layers import DeformableDetrTransformerEncoderLayer, Mask2FormerTransformerDecoderLayer
from mmengine._strategy.fsdp import FSDPStrategy
from mmengine.dist import is_main_process
from mmengine.optim import BaseOptimWrapper
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.wrap import ModuleWrapPolicy

from mmvc.models.layers.query_layers import ReferringTrackerLayer, TemporalRefinerLayer
from mmvc.models.layers.transformer_block import TransformerBlock
from mmvc.registry import STRATEGIES
from mmvc.utils.atomic import atomic_path


@STRATEGIES.register_module()
class ShardedStrategy(FSDPStrategy):
    """Shards parameters, gradients and optimizer states over the GPUs (FSDP), for models that do not fit on one GPU.

    A transformer layer is gathered only while it runs. Use the strategy with
    ``configs/_base_/strategies/sharded.py``. It differs from mmengine's ``FSDPStrategy``:

    - It knows which layers to shard.
    - Checkpoints have the format of an unsharded training and are written atomically.
    - Gradients are clipped by the norm of the whole model, not by that of a shard.
    - It also runs without GPUs.

    Args:
        model_wrapper (dict, optional): Arguments of :class:`mmengine.model.MMFullyShardedDataParallel` to change, for
            example ``cpu_offload=True``. Defaults to None: no changes.
        **kwargs: Arguments of :class:`mmengine._strategy.FSDPStrategy`.
    """

    def __init__(self, *, model_wrapper: dict | None = None, **kwargs: Any) -> None:
        on_gpu = torch.cuda.is_available()
        wrapper = dict(type='MMFullyShardedDataParallel', use_orig_params=True,
                       auto_wrap_policy=ModuleWrapPolicy(transformer_layers()))
        if not on_gpu:
            wrapper['device_id'] = torch.device('cpu')
        on_one_rank = dict(rank0_only=True, offload_to_cpu=on_gpu)  # offloading fails without GPUs
        kwargs.setdefault('state_dict_cfg', dict(
            state_dict_type='FULL_STATE_DICT',
            state_dict_config=dict(type='FullStateDictConfig', **on_one_rank),
            optim_state_dict_config=dict(type='FullOptimStateDictConfig', **on_one_rank)))
        super().__init__(model_wrapper=dict(wrapper, **(model_wrapper or {})), **kwargs)

    def build_optim_wrapper(self, optim_wrapper: dict, model: nn.Module | None = None) -> BaseOptimWrapper:
        """Build the optimizer for the shards, and clip gradients by the norm of the whole model."""
        built = super().build_optim_wrapper(optim_wrapper, model)
        if getattr(built, 'clip_func', None) is torch.nn.utils.clip_grad_norm_:
            built.clip_func = self._clip_grad_norm
        return built

    def _clip_grad_norm(self, params: list, max_norm: float, norm_type: float = 2, **kwargs: Any) -> torch.Tensor:
        return self.model.clip_grad_norm_(max_norm, norm_type)  # the norm over all processes

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Resume the optimizer. mmengine passes the arguments in an order that torch no longer accepts."""
        self.optim_wrapper.load_state_dict(
            FullyShardedDataParallel.optim_state_dict_to_load(
                model=self.model, optim=self.optim_wrapper.optimizer, optim_state_dict=state_dict))

    def save_checkpoint(self, filename: str, **kwargs: Any) -> None:
        """Write a checkpoint atomically; all processes must call this."""
        if not self._is_full_state_dict():
            super().save_checkpoint(filename, **kwargs)
            return
        # all ranks send their states, and rank 0 writes the file
        with atomic_path(filename, sync=True) if is_main_process() else nullcontext(filename) as draft:
            super().save_checkpoint(str(draft), **kwargs)


def transformer_layers() -> set[type[nn.Module]]:
    """Return the layer classes to shard: large, repeated, and used only through ``forward``."""
    return {
        TransformerBlock, SwinBlock, DeformableDetrTransformerEncoderLayer, Mask2FormerTransformerDecoderLayer,
        ReferringTrackerLayer, TemporalRefinerLayer
    }
