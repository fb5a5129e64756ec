# Copyright (c) The mmvc contributors. All rights reserved.
import copy

import torch
from mmcv.cnn import fuse_conv_bn
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from . import cpu_kernels_enabled

_IMAGE_SIZE = 64  # pixels: a multiple of every backbone's stride
_TOLERANCE = 1e-3  # of the largest value; rounding errors are a thousand times smaller, wrong pairs of layers far off


@torch.no_grad()
def fold_batch_norm(backbone: nn.Module) -> nn.Module:
    """Fold the batch norms of a backbone in evaluation mode into the convolutions before them.

    This saves reading and writing every output of a convolution once more. mmcv guesses which layers belong together
    from the order in which they were made. So the result is compared with the backbone's on a random image, and
    discarded if it differs.

    Args:
        backbone (nn.Module): Takes images (B, 3, H, W), returns a sequence of feature maps. It is not changed.

    Returns:
        nn.Module: A copy without batch norms, whose state dict has other names. The backbone itself if it has no batch
        norm, if folding changes its output, or if the CPU kernels are turned off.
    """
    if not cpu_kernels_enabled() or not any(isinstance(module, _BatchNorm) for module in backbone.modules()):
        return backbone
    folded = fuse_conv_bn(copy.deepcopy(backbone))
    parameter = next(backbone.parameters())
    image = torch.randn(1, 3, _IMAGE_SIZE, _IMAGE_SIZE, generator=torch.Generator().manual_seed(0)).to(parameter)
    pairs = zip(folded(image), backbone(image))
    if all((ours - theirs).abs().max() <= _TOLERANCE * theirs.abs().max() for ours, theirs in pairs):
        return folded
    return backbone
