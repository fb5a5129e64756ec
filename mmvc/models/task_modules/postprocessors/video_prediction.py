# Copyright (c) The mmvc contributors. All rights reserved.
from dataclasses import dataclass
from typing import Iterator, List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmvc.models.utils.masks import decode_masks


@dataclass
class VideoPrediction:
    """A model's raw prediction for one video: class distributions, and masks that are still to be decoded.

    Masks are kept as their factors (embeddings and features) and multiplied window by window, since the mask logits of
    a whole video are what does not fit into memory.

    Attributes:
        class_probs (Tensor): Probability of every class and the empty class, shape (Q, K + 1).
        mask_embeds (Tensor): Shape (T, Q, c).
        mask_features (list[Tensor]): Windows of mask features, each of shape (t, c, h, w), together T frames.
        padded_shape (tuple[int, int]): Height and width of the network's input, padding included.
        img_shape (tuple[int, int]): Height and width of the input without the padding.
        ori_shape (tuple[int, int]): Height and width that the masks are wanted in.
    """

    class_probs: Tensor
    mask_embeds: Tensor
    mask_features: List[Tensor]
    padded_shape: Tuple[int, int]
    img_shape: Tuple[int, int]
    ori_shape: Tuple[int, int]

    def frames(self, queries: Optional[Tensor] = None, probabilities: bool = True) -> Iterator[Tensor]:
        """Decode masks frame by frame: resize to the padded input, crop the padding, resize to the original size.

        Args:
            queries (Tensor, optional): Indices of the queries wanted, shape (q,). Defaults to all.
            probabilities (bool): Whether to apply the sigmoid, between the two resizings as the official code does.
                Defaults to True.

        Yields:
            Tensor: Masks of the next frame, float32, shape (q, ori_height, ori_width).
        """
        embeds = self.mask_embeds if queries is None else self.mask_embeds[:, queries]
        t = 0
        for window in self.mask_features:
            for features in window:
                masks = decode_masks(embeds[t], features.to(embeds.device)).float()[None]
                masks = F.interpolate(masks, self.padded_shape, mode='bilinear', align_corners=False)
                masks = masks[..., :self.img_shape[0], :self.img_shape[1]]
                if probabilities:
                    masks = masks.sigmoid()
                if masks.shape[-2:] != torch.Size(self.ori_shape):
                    masks = F.interpolate(masks, self.ori_shape, mode='bilinear', align_corners=False)
                yield masks[0]
                t += 1
