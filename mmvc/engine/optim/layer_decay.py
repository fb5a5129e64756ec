# Copyright (c) The mmvc contributors. All rights reserved.
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmvc.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError, named

# those of mmengine's default constructor and our own
_OPTIONS = {
    'custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult', 'dwconv_decay_mult',
    'dcn_offset_lr_mult', 'bypass_duplicate', 'decay_rate', 'norm_as_first_block'
}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Layer-wise learning-rate decay for models with a plain vision transformer as ``encoder``, such as VidEoMT.

    Block ``i`` of ``encoder.blocks``, counted from 0, trains at the learning rate times
    ``decay_rate ** (depth - 1 - i)``. Tokens, positions and patch embedding train as block 0, ``encoder.norm`` and
    everything outside of the encoder at the full rate. All parameters have the weight decay of the optimizer. Frozen
    parameters are left out.

    Every parameter group has an entry ``part``, which is ``'encoder'`` or ``'new'``; :class:`WarmupPolyLR` reads it.
    Parameters with the same settings share a group. The groups of the new parameters come first, because mmengine logs
    the learning rate of the first group.

    Args:
        optim_wrapper_cfg (dict): Config of the optimizer wrapper, with ``optimizer.lr``.
        paramwise_cfg (dict): ``decay_rate``, in (0, 1], and optionally ``norm_as_first_block`` (bool): whether
            ``encoder.norm`` trains as block 0, as it does in the official VidEoMT with DINOv3 (by the order of its
            parameters; with DINOv2 it trains at the full rate). Defaults to False. The options of mmengine's default
            constructor, such as ``custom_keys`` and ``norm_decay_mult``, apply too: the factors are multiplied.

    Raises:
        UsageError: ``decay_rate`` is missing or out of range, ``paramwise_cfg`` has an unknown entry, the optimizer
            has no ``lr``, or, when called, the model has no ``encoder.blocks``.

    Source: BEiT, arXiv 2106.08254; settings of arXiv 2602.17807.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        if 'decay_rate' not in self.paramwise_cfg:
            raise UsageError('LayerDecayOptimWrapperConstructor needs optim_wrapper.paramwise_cfg.decay_rate: the '
                             'factor on the learning rate from one block of the encoder to the block before, such as '
                             '0.6, or 1 for the same rate in all blocks')
        unknown = sorted(set(self.paramwise_cfg) - _OPTIONS)
        if unknown:
            raise UsageError(f'optim_wrapper.paramwise_cfg has the unknown entry {named(unknown)}: it has '
                             f'{", ".join(sorted(_OPTIONS))}')
        check_number('optim_wrapper.paramwise_cfg.decay_rate', self.paramwise_cfg['decay_rate'], 0, 1, above=True)
        if self.base_lr is None:
            raise UsageError('LayerDecayOptimWrapperConstructor needs optim_wrapper.optimizer.lr, the learning rate '
                             'that it multiplies')

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs: Any) -> None:
        """Add the parameter groups of a model.

        Args:
            params (list[dict]): Parameter groups. Changed in place.
            module (nn.Module): The model, or, in the recursion of mmengine, a part of it.
            prefix (str): Name of the part. Defaults to ``''``: the model.
            **kwargs: As for mmengine's default constructor.
        """
        if prefix:
            super().add_params(params, module, prefix=prefix, **kwargs)
            return
        factors = self._encoder_factors(module)
        single: list[dict] = []  # mmengine's groups: one for every trainable parameter
        super().add_params(single, module, **kwargs)
        groups: dict[str, list[dict]] = dict(new=[], encoder=[])
        for group in single:
            parameter, = group.pop('params')
            part = 'encoder' if parameter in factors else 'new'
            settings = dict(group, part=part)
            settings['lr'] = group.get('lr', self.optimizer_cfg['lr']) * factors.get(parameter, 1.0)
            same = next((other for other in groups[part]
                         if {key: other[key] for key in other if key != 'params'} == settings), None)
            if same is None:
                groups[part].append(dict(settings, params=[parameter]))
            else:
                same['params'].append(parameter)
        params.extend(groups['new'] + groups['encoder'])
        print_log(f'Layer-wise learning-rate decay {self.paramwise_cfg["decay_rate"]:g}: {len(params)} parameter '
                  f'groups, {len(groups["encoder"])} of them of the encoder', logger='current')

    def _encoder_factors(self, model: nn.Module) -> dict[nn.Parameter, float]:
        """Factor on the learning rate of every parameter of the encoder."""
        encoder = getattr(model, 'encoder', None)
        blocks = getattr(encoder, 'blocks', None)
        if encoder is None or blocks is None:
            raise UsageError(f'optim_wrapper.constructor LayerDecayOptimWrapperConstructor needs a model with '
                             f'encoder.blocks, and {type(model).__name__} has none: remove optim_wrapper.constructor '
                             'and paramwise_cfg.decay_rate, or choose a model such as EncoderOnlySegmentor')
        rate = self.paramwise_cfg['decay_rate']
        first = rate**(len(blocks) - 1)
        factors = dict.fromkeys(encoder.parameters(), first)
        for index, block in enumerate(blocks):
            factors.update(dict.fromkeys(block.parameters(), rate**(len(blocks) - 1 - index)))
        if not self.paramwise_cfg.get('norm_as_first_block', False):
            factors.update(dict.fromkeys(encoder.norm.parameters(), 1.0))
        return factors
