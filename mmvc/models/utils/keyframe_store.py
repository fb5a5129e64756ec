# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .feature_store import FeatureStore


class PropagatedMasks(NamedTuple):
    """Masks of a frame that is no keyframe: those of its keyframe, moved along the optical flow."""

    features: Tensor
    """Mask features (c, h, w) or mask logits (Q, h, w) of the keyframe."""
    flow: Tensor
    """Optical flow from the frame to the keyframe, x and y, as a share of the width and height of the frame, float32
    (2, h', w')."""

    def warp(self, logits: Tensor, img_shape: tuple[int, int], padded_shape: tuple[int, int]) -> Tensor:
        """Move mask logits of the keyframe to the frame. Places from outside take the nearest value.

        Args:
            logits (Tensor): Mask logits of the keyframe, float32 (q, h, w).
            img_shape (tuple[int, int]): Height and width of the network's input without padding.
            padded_shape (tuple[int, int]): The same with padding, which is below and on the right: what the masks
                show. It moves as the border of the frame.

        Returns:
            Tensor: Mask logits of the frame, float32 (q, h, w).
        """
        device, size = logits.device, logits.shape[1:]
        # centres of the pixels, from 0 to 1 in the padded input; below, from -1 to 1 as grid_sample wants them
        y, x = ((torch.arange(length, device=device) + 0.5) / length for length in size)
        y_share, x_share = (inner / outer for inner, outer in zip(img_shape, padded_shape))
        y, x = torch.meshgrid(y, x, indexing='ij')
        within_img = torch.stack([2 * x / x_share - 1, 2 * y / y_share - 1], dim=-1)
        flow = F.grid_sample(self.flow.to(device)[None], within_img[None], padding_mode='border', align_corners=False)
        grid = torch.stack([2 * (x + x_share * flow[0, 0]) - 1, 2 * (y + y_share * flow[0, 1]) - 1], dim=-1)
        return F.grid_sample(logits[None], grid[None], padding_mode='border', align_corners=False)[0]


class KeyframeStore:
    """The masks of a video of which only keyframes pass through the network.

    Of the other frames it keeps the flow alone, which takes a hundredth of the memory of mask features.

    Args:
        features (FeatureStore): Empty store that receives the mask features of the keyframes. The flows are stored
            within its memory limit, too.

    Attributes:
        keyframe_of (list[int]): For each frame, which keyframe its masks are from, counted from 0.
    """

    def __init__(self, features: FeatureStore) -> None:
        self.features = features
        self.keyframe_of: list[int] = []
        self._flows = FeatureStore(share_limit_with=features)
        self._flow_of: list[int | None] = []
        self._latest: tuple[int, Tensor] | None = None

    def extend(self, mask_features: Tensor) -> None:
        """Append keyframes with their mask features (n, c, h, w)."""
        for index in range(len(self.features), len(self.features) + len(mask_features)):
            self.keyframe_of.append(index)
            self._flow_of.append(None)
        self.features.extend(mask_features)

    def propagate(self, flow: Tensor) -> None:
        """Append a frame with the masks of the latest keyframe; see :attr:`PropagatedMasks.flow`."""
        self.keyframe_of.append(len(self.features) - 1)
        self._flow_of.append(len(self._flows))
        self._flows.extend(flow[None])

    def __len__(self) -> int:
        return len(self.keyframe_of)

    def __getitem__(self, index: int) -> Tensor | PropagatedMasks:
        """Return the mask features of a keyframe, or what those of another frame are computed from."""
        keyframe, flow = self.keyframe_of[index], self._flow_of[index]
        if self._latest is None or self._latest[0] != keyframe:  # read it once from the disk
            self._latest = keyframe, self.features[keyframe]
        features = self._latest[1]
        return features if flow is None else PropagatedMasks(features, self._flows[flow])

    def __iter__(self) -> Iterator[Tensor | PropagatedMasks]:
        return (self[index] for index in range(len(self)))
