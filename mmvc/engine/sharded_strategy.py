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

from mmvc.models.backbones.dinov2_vit import TransformerBlock
from mmvc.models.layers.query_layers import ReferringTrackerLayer, TemporalRefinerLayer
from mmvc.registry import STRATEGIES
from mmvc.utils.atomic import atomic_path


@STRATEGIES.register_module()
class ShardedStrategy(FSDPStrategy):
    """Parameters, gradients and optimizer states spread over the GPUs (FSDP), for models that do not fit on one.

    Every transformer layer is gathered when it is its turn. Use it by ``configs/_base_/strategies/sharded.py``.

    Differences to mmengine's ``FSDPStrategy``: the layers to shard are known; checkpoints are those of an unsharded
    training, written under a temporary name and renamed; gradients are clipped by the norm
    of the whole model, not of a process's shard; and it runs without GPUs.

    Args:
        model_wrapper (dict, optional): Arguments of :class:`mmengine.model.MMFullyShardedDataParallel` to change, for
            example ``cpu_offload=True``. Defaults to None.
        **kwargs: Arguments of :class:`mmengine._strategy.FSDPStrategy`.
    """

    def __init__(self, *, model_wrapper: dict | None = None, **kwargs: Any) -> None:
        on_gpu = torch.cuda.is_available()
        wrapper = dict(type='MMFullyShardedDataParallel', use_orig_params=True,
                       auto_wrap_policy=ModuleWrapPolicy(transformer_layers()))
        if not on_gpu:
            wrapper['device_id'] = torch.device('cpu')
        on_one_rank = dict(rank0_only=True, offload_to_cpu=on_gpu)  # without GPUs, offloading breaks off
        kwargs.setdefault('state_dict_cfg', dict(
            state_dict_type='FULL_STATE_DICT',
            state_dict_config=dict(type='FullStateDictConfig', **on_one_rank),
            optim_state_dict_config=dict(type='FullOptimStateDictConfig', **on_one_rank)))
        super().__init__(model_wrapper=dict(wrapper, **(model_wrapper or {})), **kwargs)

    def build_optim_wrapper(self, optim_wrapper: dict, model: nn.Module | None = None) -> BaseOptimWrapper:
        """Build the optimizer on the shards."""
        built = super().build_optim_wrapper(optim_wrapper, model)
        if getattr(built, 'clip_func', None) is torch.nn.utils.clip_grad_norm_:
            built.clip_func = self._clip_grad_norm
        return built

    def _clip_grad_norm(self, params: list, max_norm: float, norm_type: float = 2, **kwargs: Any) -> torch.Tensor:
        return self.model.clip_grad_norm_(max_norm, norm_type)  # summed over the processes

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Resume the optimizer; mmengine's arguments are in an order that torch has given up."""
        self.optim_wrapper.load_state_dict(
            FullyShardedDataParallel.optim_state_dict_to_load(
                model=self.model, optim=self.optim_wrapper.optimizer, optim_state_dict=state_dict))

    def save_checkpoint(self, filename: str, **kwargs: Any) -> None:
        """Write a checkpoint that is there as a whole or not at all; called by all processes."""
        if not self._is_full_state_dict():
            super().save_checkpoint(filename, **kwargs)
            return
        # the states are gathered from all ranks, and the first one writes them
        with atomic_path(filename, sync=True) if is_main_process() else nullcontext(filename) as draft:
            super().save_checkpoint(str(draft), **kwargs)


def transformer_layers() -> set[type[nn.Module]]:
    """The classes of layers that are large, many, and used by calling them."""
    return {
        TransformerBlock, SwinBlock, DeformableDetrTransformerEncoderLayer, Mask2FormerTransformerDecoderLayer,
        ReferringTrackerLayer, TemporalRefinerLayer
    }
