# Copyright (c) The mmvc contributors. All rights reserved.
"""Terms that the contrastive losses share: the loss of an anchor, its scores, and the mean over a batch."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.utils import reduce_mean
from torch import Tensor


def contrast(positive: Tensor, negative: Tensor) -> Tensor:
    """Compute the loss of anchors that must be closer to all their positives than to any of their negatives.

    With scores p of the positives and n of the negatives, it is log(1 + sum over all pairs of exp(n - p)). The sum
    over pairs factorises, so that it costs one logsumexp for each side.

    Source: Fischer et al., "QDTrack" (arXiv 2210.06984), Eq. 4.

    Args:
        positive (Tensor): Scores of the positives (..., P). +inf excludes one.
        negative (Tensor): Scores of the negatives (..., N). -inf excludes one; without any, the loss is 0.

    Returns:
        Tensor: Losses of the anchors (...).
    """
    return F.softplus(negative.logsumexp(-1) + (-positive).logsumexp(-1))


def split_scores(anchors: Tensor, embeds: Tensor, query_inds: Tensor) -> tuple[Tensor, Tensor]:
    """Score anchors against all queries of a frame: the same query is the positive, the others are negatives.

    Args:
        anchors (Tensor): Embeddings of the matched objects (T, K, C).
        embeds (Tensor): Embeddings of all queries (T, Q, C) of the frames that they are compared with.
        query_inds (Tensor): Query index of each object (K,).

    Returns:
        tuple[Tensor, Tensor]: Scores of the positives (T, K, 1), and of the negatives (T, K, Q) with -inf where the
        query is the object's own.
    """
    # in this order of factors, the gradient of `embeds`, the largest tensor here, needs no transposition
    scores = (embeds @ anchors.transpose(-1, -2)).transpose(-1, -2)
    own = F.one_hot(query_inds, embeds.shape[-2]).bool()
    positive = scores.gather(-1, query_inds[None, :, None].expand(len(scores), -1, -1))
    return positive, scores.masked_fill(own, -torch.inf)


def cut_clips(clips: Tensor, labelled: Sequence[Sequence[int]] | None) -> Sequence[Tensor]:
    """Cut clips to their labelled frames.

    Args:
        clips (Tensor): Shape (B, T, ...).
        labelled (Sequence[Sequence[int]], optional): Labelled frames of each clip. None: all.

    Returns:
        Sequence[Tensor]: B tensors (t, ...).
    """
    if labelled is None:
        return clips.unbind(0)
    return [clip if len(frames) == len(clip) else clip.index_select(0, torch.tensor(frames, device=clip.device))
            for clip, frames in zip(clips, labelled)]


def mean_over_items(items: list[Tensor], weights: list[Tensor], embeds: Tensor) -> Tensor:
    """Average the losses of all items of a batch that may be distributed over several processes.

    The divisor is the mean number of items per process: averaged gradients are those of one process with the whole
    batch. This is a collective: every process must call it, also one without items.

    Args:
        items (list[Tensor]): Losses, any shapes.
        weights (list[Tensor]): A weight for each of them, broadcastable to its shape. The divisor is the number of
            items, not the sum of the weights.
        embeds (Tensor): The embeddings that were compared.

    Returns:
        Tensor: Scalar; without items a zero that depends on ``embeds``.
    """
    num_items = sum(item.numel() for item in items)
    mean_num_items = reduce_mean(embeds.new_tensor(num_items, dtype=torch.float32))
    if not num_items:
        return embeds[:0].sum(dtype=torch.float32)  # depends on `embeds` and cannot overflow
    return sum((item * weight).sum() for item, weight in zip(items, weights)) / mean_num_items


def weights_or_ones(sample_weights: Tensor | None, embeds: Tensor) -> Tensor:
    """Weights of samples in float32, ones by default.

    Args:
        sample_weights (Tensor, optional): Weights (N,).
        embeds (Tensor): Embeddings of the N samples (N, ...).

    Returns:
        Tensor: Shape (N,), on the device of the embeddings.
    """
    if sample_weights is None:
        return embeds.new_ones(len(embeds), dtype=torch.float32)
    return sample_weights.to(embeds.device, torch.float32)
