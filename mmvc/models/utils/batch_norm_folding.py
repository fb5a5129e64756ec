# Copyright (c) The mmvc contributors. All rights reserved.
import copy

import torch
from mmcv.cnn import fuse_conv_bn
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

_IMAGE_SIZE = 64  # pixels: a multiple of every backbone's stride
_TOLERANCE = 1e-3  # of the largest value; rounding is a thousandth of it, a wrong pair of layers off by far


@torch.no_grad()
def fold_batch_norm(backbone: nn.Module) -> nn.Module:
    """Fold the batch norms of a backbone in evaluation mode into the convolutions before them.

    What a convolution writes is then not read and written once more. Which layers belong together is guessed from the
    order in which they were made, so the result is compared on a random image, and not used where it differs.

    Args:
        backbone (nn.Module): Takes images (B, 3, H, W), gives a sequence of feature maps; stays as it is.

    Returns:
        nn.Module: A copy with other names in its state dict, or the backbone itself where there is nothing to fold, or
        folding goes wrong.
    """
    if not any(isinstance(module, _BatchNorm) for module in backbone.modules()):
        return backbone
    folded = fuse_conv_bn(copy.deepcopy(backbone))
    parameter = next(backbone.parameters())
    image = torch.randn(1, 3, _IMAGE_SIZE, _IMAGE_SIZE, generator=torch.Generator().manual_seed(0)).to(parameter)
    pairs = zip(folded(image), backbone(image))
    if all((ours - theirs).abs().max() <= _TOLERANCE * theirs.abs().max() for ours, theirs in pairs):
        return folded
    return backbone
