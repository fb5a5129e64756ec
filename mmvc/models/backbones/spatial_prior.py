# Copyright (c) The mmvc contributors. All rights reserved.
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn


def _conv_norm_relu(in_channels: int, out_channels: int, stride: int, norm_cfg: dict) -> tuple[nn.Module, ...]:
    """A 3 x 3 convolution without bias, normalisation, ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
    return conv, build_norm_layer(norm_cfg, out_channels)[1], nn.ReLU(inplace=True)


class SpatialPriorModule(nn.Module):
    """Convolutions that add the local detail that a plain transformer lacks, at four resolutions.

    Source: Chen et al., "Vision Transformer Adapter for Dense Predictions", ICLR 2023, section 3.3.

    Args:
        embed_dims (int): Channels C of the outputs.
        base_channels (int): Channels at 1/4; twice as many at 1/8, four times as many at 1/16 and 1/32.
        norm_cfg (dict): Normalisation after each convolution.
    """

    def __init__(self, embed_dims: int, base_channels: int, norm_cfg: dict) -> None:
        super().__init__()
        c = base_channels
        self.stem = nn.Sequential(
            *_conv_norm_relu(3, c, 2, norm_cfg), *_conv_norm_relu(c, c, 1, norm_cfg),
            *_conv_norm_relu(c, c, 1, norm_cfg), nn.MaxPool2d(kernel_size=3, stride=2, padding=1))
        self.conv2 = nn.Sequential(*_conv_norm_relu(c, 2 * c, 2, norm_cfg))
        self.conv3 = nn.Sequential(*_conv_norm_relu(2 * c, 4 * c, 2, norm_cfg))
        self.conv4 = nn.Sequential(*_conv_norm_relu(4 * c, 4 * c, 2, norm_cfg))
        self.fc1 = nn.Conv2d(c, embed_dims, kernel_size=1)
        self.fc2 = nn.Conv2d(2 * c, embed_dims, kernel_size=1)
        self.fc3 = nn.Conv2d(4 * c, embed_dims, kernel_size=1)
        self.fc4 = nn.Conv2d(4 * c, embed_dims, kernel_size=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Compute spatial priors at 1/4, 1/8, 1/16, 1/32.

        Args:
            images (Tensor): Normalised images, shape (B, 3, H, W); H and W multiples of 32.

        Returns:
            tuple[Tensor]: A map (B, C, H/4, W/4), then tokens (B, H/s * W/s, C) for s = 8, 16, 32.
        """
        x1 = self.stem(images)
        x2 = self.conv2(x1)
        x3 = self.conv3(x2)
        x4 = self.conv4(x3)
        tokens = (fc(x).flatten(2).transpose(1, 2) for fc, x in ((self.fc2, x2), (self.fc3, x3), (self.fc4, x4)))
        return (self.fc1(x1), *tokens)
