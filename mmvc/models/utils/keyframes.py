# Copyright (c) The mmvc contributors. All rights reserved.
"""Keyframes: which frames of a video pass through the network, and how the others move since then.

The masks of a keyframe are moved to the frames after it along dense optical flow, as in deep feature flow (Zhu et al.,
CVPR 2017), but with OpenCV's DIS flow (Kroeger et al., ECCV 2016), which needs no training and no GPU.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmvc.utils.optical_flow import source_positions

from .feature_store import FeatureStore

# Short side of the grey frames between which the flow is computed. Masks have a quarter of the size of the frames.
_SHORT_SIDE = 240
# OpenCV compares patches of 8 pixels at a quarter of the size. If a side is below 32, it chooses other levels by the
# width alone, and then reads beyond the end of a wide image and crashes.
_MIN_SIDE = 48
# A frame that differs from its prediction by more than this share of its contrast, and some grey levels of noise,
# becomes a keyframe: a scene has changed, or the motion is too fast.
_MAX_ERROR, _NOISE = 0.4, 4.


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


def split_at_keyframes(windows: Iterable[Tensor], interval: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Decide which frames of a video are keyframes, and estimate the motion of the others.

    Args:
        windows (Iterable[Tensor]): uint8 frames (t, 3, H, W) in BGR.
        interval (int): Every ``interval``-th frame is a keyframe, and so is each one that the latest keyframe does not
            explain. 1: all frames, without a look at them.

    Yields:
        tuple[Tensor, Tensor | None]: Keyframes (t, 3, H, W) and None, or another frame (1, 3, H, W) and the optical
        flow from it to the latest keyframe, see :attr:`PropagatedMasks.flow`.
    """
    if interval == 1:
        yield from ((window, None) for window in windows)
        return
    schedule = KeyframeSchedule(interval)
    for window in windows:
        for frame in window:
            yield frame[None], schedule.motion(frame)


class KeyframeSchedule:
    """Decides for one frame after the other whether it is a keyframe, and else estimates the motion since then.

    Args:
        interval (int): See :func:`split_at_keyframes`.
    """

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self._frames_since = 0
        self._keyframe: np.ndarray | None = None
        self._flow: np.ndarray | None = None
        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def motion(self, frame: Tensor) -> Tensor | None:
        """Decide about the next frame.

        Args:
            frame (Tensor): uint8 (3, H, W) in BGR, on any device.

        Returns:
            Tensor | None: See :attr:`PropagatedMasks.flow`. None if this frame is a keyframe.
        """
        grey = _grey(frame)
        self._frames_since += 1
        if self._keyframe is not None and self._frames_since < self.interval:
            # it starts from that of the frame before, so it can follow a motion that has become large
            self._flow = self._dis.calc(grey, self._keyframe, self._flow)
            if _is_explained(grey, self._keyframe, self._flow):
                return _as_shares(self._flow)
        self._keyframe, self._flow, self._frames_since = grey, None, 0
        return None


def _grey(frame: Tensor) -> np.ndarray:
    """The small grey form of a frame."""
    image = np.ascontiguousarray(frame.permute(1, 2, 0).cpu().numpy())
    height, width = image.shape[:2]
    scale = min(1, _SHORT_SIDE / min(height, width))
    size = max(_MIN_SIDE, round(scale * width)), max(_MIN_SIDE, round(scale * height))
    return cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), size, interpolation=cv2.INTER_AREA)


def _is_explained(frame: np.ndarray, keyframe: np.ndarray, flow: np.ndarray) -> bool:
    """Whether the keyframe, moved along the flow, looks like the frame."""
    predicted = cv2.remap(keyframe, *source_positions(flow), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = cv2.absdiff(frame, predicted).mean()
    contrast = cv2.absdiff(frame, np.full_like(frame, round(float(frame.mean())))).mean()
    return bool(difference <= _MAX_ERROR * contrast + _NOISE)


def _as_shares(flow: np.ndarray) -> Tensor:
    """Flow in pixels (h, w, 2) as shares of the width and height (2, h / 2, w / 2)."""
    height, width = flow.shape[:2]
    small = cv2.resize(flow / np.array([width, height], np.float32), (width // 2, height // 2),
                       interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)))
