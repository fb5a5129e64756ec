# Copyright (c) The mmvc contributors. All rights reserved.
from torch import Tensor


def decode_masks(mask_embeds: Tensor, mask_features: Tensor) -> Tensor:
    """Mask logits of queries: the product of their mask embeddings with a frame's mask features.

    Args:
        mask_embeds (Tensor): Shape (..., Q, c).
        mask_features (Tensor): Shape (..., c, h, w), with the same leading dimensions.

    Returns:
        Tensor: Shape (..., Q, h, w).
    """
    height, width = mask_features.shape[-2:]
    return (mask_embeds @ mask_features.flatten(-2)).unflatten(-1, (height, width))
