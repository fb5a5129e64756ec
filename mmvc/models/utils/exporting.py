# Copyright (c) The mmvc contributors. All rights reserved.
"""Whether a graph of a model is being made, so that it takes the forms that fit into one."""

import torch


def is_exporting() -> bool:
    """Whether :func:`torch.export.export` traces this call, so that sizes must stay symbols."""
    return hasattr(torch.compiler, 'is_exporting') and torch.compiler.is_exporting()  # from torch 2.7 on
