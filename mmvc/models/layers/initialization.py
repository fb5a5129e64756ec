# Copyright (c) The mmvc contributors. All rights reserved.
from mmcv.cnn.bricks.transformer import FFN
from torch import nn


def xavier_init_matrices(module: nn.Module) -> None:
    """Initialise every parameter with more than one dimension by Xavier's uniform rule; vectors stay unchanged.

    Args:
        module (nn.Module): Its parameters are changed in place.
    """
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)


def kaiming_init_linears(module: nn.Module) -> None:
    """Initialise every linear layer by Kaiming's uniform rule (a = 1) with zero bias (Caffe2's "XavierFill").

    Args:
        module (nn.Module): Its linear layers are changed in place.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)


def zero_init_branches(module: nn.Module) -> None:
    """Let every residual branch of transformer layers start at zero, so that the layers start as the identity.

    With layers that normalise after the sum, what is left are the norms. A branch learns from the first step, because
    only its last matrix is zero. Source: zero-initialised residual branches (Zhang et al., "Fixup Initialization",
    arXiv 1901.09321; Bachlechner et al., "ReZero", arXiv 2003.04887).

    Args:
        module (nn.Module): The last matrices of its attention, FFN and convolution branches are changed in place.
    """
    last: nn.Linear | nn.Conv1d
    for branch in module.modules():
        if isinstance(branch, nn.MultiheadAttention):
            last = branch.out_proj
        elif isinstance(branch, FFN):
            last = [layer for layer in branch.layers if isinstance(layer, nn.Linear)][-1]
        elif isinstance(branch, nn.Sequential) and isinstance(branch[-1], nn.Conv1d):
            last = branch[-1]
        else:
            continue
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
