"""A backbone as small as can be: what a model expects of one is a tuple of maps, finest first."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvc.registry import MODELS


@MODELS.register_module()
class PlainConvNet(BaseModule):
    """Four stages of two convolutions, at 1/4, 1/8, 1/16 and 1/32 of the image's size.

    Args:
        channels (sequence[int]): Channels of the four maps. Defaults to (32, 64, 128, 256).
        norm_cfg (dict): Normalisation of every convolution. Defaults to dict(type='BN').
        init_cfg (dict, optional): Where weights come from. Defaults to None.
    """

    def __init__(self,
                 channels: Sequence[int] = (32, 64, 128, 256),
                 norm_cfg: dict = dict(type='BN'),
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.stages = nn.ModuleList()
        before = 3
        for index, width in enumerate(channels):
            stride = 2 if index else 4
            self.stages.append(
                nn.Sequential(
                    ConvModule(before, width, stride, stride, norm_cfg=norm_cfg),
                    ConvModule(width, width, 3, padding=1, norm_cfg=norm_cfg)))
            before = width

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps (N, channels[i], H_i, W_i) of images (N, 3, H, W)."""
        maps = []
        for stage in self.stages:
            images = stage(images)
            maps.append(images)
        return tuple(maps)
