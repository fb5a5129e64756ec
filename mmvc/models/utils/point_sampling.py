# Copyright (c) The mmvc contributors. All rights reserved.
import torch
import torch.nn.functional as F
from mmcv.ops import point_sample
from torch import Tensor


def sample_points(images: Tensor, points: Tensor) -> Tensor:
    """Sample images at points, bilinearly; positions outside count as zero.

    The result is that of :func:`mmcv.ops.point_sample`. With ``torch.use_deterministic_algorithms``, the gradient is
    the same in every run; that of ``grid_sample`` on CUDA is not.

    Args:
        images (Tensor): Shape (N, C, H, W).
        points (Tensor): Positions (x, y) in [0, 1], shape (N, P, 2).

    Returns:
        Tensor: Shape (N, C, P).
    """
    if torch.are_deterministic_algorithms_enabled():
        return _sample_by_index(images, points)
    return point_sample(images, points)


def _sample_by_index(images: Tensor, points: Tensor) -> Tensor:
    framed = F.pad(images, (1, 1, 1, 1))  # so that all four neighbours of a point exist
    positions = points * points.new_tensor(images.shape[:1:-1]) + 0.5
    low = positions.detach().floor()
    across, down = (positions - low)[:, None].unbind(-1)  # each (N, 1, P)
    x, y = low.long().unbind(-1)
    x, y = x.clamp(0, images.shape[3]), y.clamp(0, images.shape[2])
    image = torch.arange(len(images), device=images.device)[:, None]

    def at(y: Tensor, x: Tensor) -> Tensor:
        return framed[image, :, y, x].transpose(1, 2)

    upper = torch.lerp(at(y, x), at(y, x + 1), across.to(images))
    lower = torch.lerp(at(y + 1, x), at(y + 1, x + 1), across.to(images))
    return torch.lerp(upper, lower, down.to(images))
