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
    if mask_embeds.ndim == 2:
        masks = F.linear(mask_embeds, features.T)  # the same, but `CPUInference` knows a faster form of it
    else:
        masks = mask_embeds @ features
    return masks.unflatten(-1, mask_features.shape[-2:])
