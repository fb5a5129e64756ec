# Copyright (c) The mmvc contributors. All rights reserved.
"""What the contrastive losses share: the loss of one anchor, and the scores it is made of."""

import torch
import torch.nn.functional as F
from mmdet.utils import reduce_mean
from torch import Tensor


def contrast(positive: Tensor, negative: Tensor) -> Tensor:
    """Loss of anchors that must be closer to all their positives than to any of their negatives.

    With scores p of the positives and n of the negatives, log(1 + sum over all pairs of exp(n - p)). The sum over
    pairs factorises, so that it costs one logsumexp for each side.

    Source: Fischer et al., "QDTrack" (arXiv 2210.06984), Eq. 4.

    Args:
        positive (Tensor): Scores of the positives (..., P). +inf takes one out.
        negative (Tensor): Scores of the negatives (..., N). -inf takes one out; without any, the loss is 0.

    Returns:
        Tensor: Losses of the anchors (...).
    """
    return F.softplus(negative.logsumexp(-1) + (-positive).logsumexp(-1))


def split_scores(anchors: Tensor, embeds: Tensor, query_inds: Tensor) -> tuple[Tensor, Tensor]:
    """Score anchors against all queries of a frame: the same query is the positive, the others are negatives.

    Args:
        anchors (Tensor): Embeddings of the matched objects (T, K, C).
        embeds (Tensor): Embeddings of all queries (T, Q, C) of the frames that they are compared with.
        query_inds (Tensor): Query of each object (K,).

    Returns:
        tuple[Tensor, Tensor]: Scores of the positives (T, K, 1), and of the negatives (T, K, Q) with -inf where the
        query is the object's own.
    """
    # this way round the gradient of `embeds`, the largest tensor here, comes out of the product in its own layout
    scores = (embeds @ anchors.transpose(-1, -2)).transpose(-1, -2)
    own = F.one_hot(query_inds, embeds.shape[-2]).bool()
    positive = scores.gather(-1, query_inds[None, :, None].expand(len(scores), -1, -1))
    return positive, scores.masked_fill(own, -torch.inf)


def mean_over_items(items: list[Tensor], weights: list[Tensor], embeds: Tensor) -> Tensor:
    """Average the losses of all items of a batch, which may be spread over several processes.

    The divisor is the mean number of items over the processes: averaged gradients are those of one process with the
    whole batch. Every process must call this, also one without items.

    Args:
        items (list[Tensor]): Losses, any shapes.
        weights (list[Tensor]): A factor for each of them, broadcastable to its shape; the number of items stays the
            divisor.
        embeds (Tensor): What the items were made of.

    Returns:
        Tensor: Scalar; without items a zero that depends on ``embeds``.
    """
    num_items = sum(item.numel() for item in items)
    mean_num_items = reduce_mean(embeds.new_tensor(num_items, dtype=torch.float32))
    if not num_items:
        return embeds[:0].sum(dtype=torch.float32)  # keeps the graph; no value, so nothing can overflow
    return sum((item * weight).sum() for item, weight in zip(items, weights)) / mean_num_items


def clip_factors(embeds: Tensor, sample_weights: Tensor | None) -> Tensor:
    """Factors (B,) of the clips, in float32: the given ones, or ones."""
    if sample_weights is None:
        return embeds.new_ones(len(embeds), dtype=torch.float32)
    return sample_weights.to(embeds.device, torch.float32)
