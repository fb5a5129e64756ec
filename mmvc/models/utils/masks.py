# Copyright (c) The mmvc contributors. All rights reserved.
import torch.nn.functional as F
from torch import Tensor


def decode_masks(mask_embeds: Tensor, mask_features: Tensor) -> Tensor:
    """Mask logits of queries: the product of their mask embeddings with a frame's mask features.

    Args:
        mask_embeds (Tensor): Shape (..., Q, c).
        mask_features (Tensor): Shape (..., c, h, w), with the same leading dimensions.

    Returns:
        Tensor: Shape (..., Q, h, w).
    """
    features = mask_features.flatten(-2)
    if features.shape[:-2].numel() == 1:  # one frame: the same, but `CPUInference` knows a faster form of it
        masks = F.linear(mask_embeds, features.view(features.shape[-2:]).T)
    else:
        masks = mask_embeds @ features
    return masks.unflatten(-1, mask_features.shape[-2:])
