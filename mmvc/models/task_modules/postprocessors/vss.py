# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData
from torch import Tensor

from mmvc.registry import TASK_UTILS

from ...cpu.inference import CPUInference
from .base_postprocessor import VideoPostprocessor
from .video_prediction import VideoPrediction

# Classes whose probabilities sum to less over all queries are scored only where no other class scores more. The value
# does not change the result; this one is far above the noise of empty queries and below nearly every winner.
_MINOR = 0.3


@TASK_UTILS.register_module()
class VSSPostprocessor(VideoPostprocessor):
    """Semantic maps: the class with the largest sum over queries of p(class | query) x mask (Mask2Former).

    Masks are at most 1, so the sum of a class's probabilities bounds its score. Where this bound excludes that a class
    wins, the class is not scored.

    Args:
        resizes (str): What is resized to full size. ``'masks'``, as in the official code: the mask probabilities, and
            classes are scored in every pixel. ``'scores'``, as in the ``transformers`` library: classes are scored at
            the size of the mask features, and their scores are resized. That takes a third of the time or less, and
            changes pixels at the borders of regions. Defaults to ``'masks'``.

    Raises:
        ValueError: ``resizes`` has another value.
    """

    def __init__(self, resizes: str = 'masks') -> None:
        if resizes not in ('masks', 'scores'):
            raise ValueError(f"`resizes` of VSSPostprocessor is 'masks' or 'scores', got {resizes!r}")
        self.resizes = resizes

    def frames(self, prediction: VideoPrediction) -> Iterator[DetDataSample]:
        """Segment a video.

        Args:
            prediction (VideoPrediction): Raw prediction for the video.

        Yields:
            DetDataSample: ``pred_sem_seg``, a :class:`PixelData` whose ``sem_seg`` is a uint8 tensor (1, H, W) of
            class indices at the original size (int64 beyond 256 classes).
        """
        class_probs = prediction.class_probs[:, :-1]
        dtype = torch.uint8 if class_probs.shape[1] <= 256 else torch.int64
        if self.resizes == 'masks':
            frames = ((winning_classes(class_probs, masks) for masks in frame) for frame in prediction.strips())
        else:
            combine = partial(class_scores, class_probs)
            frames = ((_max(scores)[1] for scores in frame)
                      for frame in prediction.strips(probabilities=False, combine=combine))
        for frame in frames:
            sem_seg = torch.cat([classes.to(dtype) for classes in frame])
            yield DetDataSample(pred_sem_seg=PixelData(sem_seg=sem_seg[None].cpu()))

    def start_stream(self) -> Callable[[VideoPrediction], DetDataSample]:
        """Begin a video without a known end: frames are independent of each other."""
        return lambda prediction: next(self.frames(prediction))


@torch.no_grad()
def class_scores(class_probs: Tensor, mask_logits: Tensor) -> Tensor:
    """Compute the sum over queries of p(class | query) x mask.

    Args:
        class_probs (Tensor): Shape (Q, K).
        mask_logits (Tensor): Shape (Q, h, w).

    Returns:
        Tensor: Shape (K, h, w).
    """
    with torch.autocast(mask_logits.device.type, enabled=False), CPUInference():
        scores = F.linear(class_probs.T, mask_logits.sigmoid().flatten(1).T)
    return scores.unflatten(1, mask_logits.shape[1:])


def winning_classes(class_probs: Tensor, masks: Tensor) -> Tensor:
    """Find the class with the largest sum over queries of p(class | query) x mask.

    Args:
        class_probs (Tensor): Shape (Q, K).
        masks (Tensor): Mask probabilities in [0, 1], shape (Q, H, W).

    Returns:
        Tensor: Class indices, int64, shape (H, W).
    """
    shape, masks = masks.shape[1:], masks.flatten(1)
    bounds = class_probs.sum(dim=0)
    major, minor = (bounds >= _MINOR).nonzero().flatten(), bounds < _MINOR
    with torch.no_grad(), torch.autocast(masks.device.type, enabled=False):
        with CPUInference():
            if not len(major) or not minor.any():
                return _best(class_probs, masks)[1].view(shape)
            best, winners = _best(class_probs[:, major], masks)
        winners = major[winners]
        undecided = (best <= bounds[minor].max() + 1e-5).nonzero().flatten()  # with a margin for rounding
        if len(undecided):  # not in oneDNN: it caches a kernel for each of these many sizes
            winners[undecided] = _best(class_probs, masks.index_select(1, undecided))[1]
    return winners.view(shape)


def _best(class_probs: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Largest score of the classes (Q, K) for every pixel (Q, N), and the winning class; both (N,)."""
    return _max(F.linear(class_probs.T, masks.T))


def _max(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Maximum over the first axis, and the first place of it."""
    if scores.device.type != 'cpu' or len(scores) > 256:
        return scores.max(dim=0)
    best = scores.amax(dim=0)  # with the comparison below, half the time of `max`, which finds the place too
    last_first = torch.arange(len(scores) - 1, -1, -1, dtype=torch.uint8).view(-1, *[1] * best.dim())
    return best, len(scores) - 1 - ((scores >= best) * last_first).amax(dim=0).long()
