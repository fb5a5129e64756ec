# Copyright (c) The mmvc contributors. All rights reserved.
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
