# Copyright (c) The mmvc contributors. All rights reserved.
"""Queries of a frame: matching them with another frame's, reordering them, decoding their masks."""

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from .exporting import is_exporting


@torch.no_grad()
def match_queries(reference: Tensor, current: Tensor) -> Tensor:
    """Assign the queries of a frame to those of another by the Hungarian algorithm on cosine similarity.

    In an exported graph, a reference of zeros is the state of a video that begins: the queries keep their order.

    Args:
        reference (Tensor): Embeddings in the order to keep, shape (B, Q, C).
        current (Tensor): Embeddings to reorder, shape (B, Q, C).

    Returns:
        Tensor: int64, shape (B, Q): ``current[b, indices[b, q]]`` belongs to ``reference[b, q]``.
    """
    with torch.autocast(reference.device.type, enabled=False):  # half precision makes ties, which would decide
        similarity = F.normalize(reference.float(), dim=-1) @ F.normalize(current.float(), dim=-1).transpose(1, 2)
    # A diverging training gives NaN. scipy would raise an error here, before the NaN guard can report the cause, and
    # the loop of a graph would not end.
    similarity = torch.where(similarity.isnan(), 0., similarity)
    if is_exporting():
        from .graph_assignment import assign_in_graph  # nothing else needs it
        begins = (reference == 0).flatten(1).all(dim=1)[:, None, None]
        similarity = torch.where(begins, torch.eye(similarity.shape[1], device=similarity.device), similarity)
        return torch.stack([assign_in_graph(matrix) for matrix in -similarity.double()])
    cost = -similarity.cpu().numpy()
    columns = [torch.from_numpy(linear_sum_assignment(matrix)[1]) for matrix in cost]
    return torch.stack(columns).to(current.device)


def reorder_queries(x: Tensor, indices: Tensor) -> Tensor:
    """Put the queries of ``x`` into another order.

    Args:
        x (Tensor): Shape (B, Q, ...).
        indices (Tensor): int64, shape (B, Q).

    Returns:
        Tensor: ``out[b, q] = x[b, indices[b, q]]``, shape (B, Q, ...).
    """
    return x[torch.arange(len(x), device=x.device)[:, None], indices]


def follow_queries(embeds: Tensor, last: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Match the queries of each frame with those of the frame before (MinVIS, arXiv 2208.02245).

    Args:
        embeds (Tensor): Query embeddings of consecutive frames, shape (T, Q, C).
        last (Tensor, optional): Embeddings of the frame before, in the order of the objects, shape (1, Q, C). Defaults
            to None: the video begins, and the order of its first frame is that of the objects.

    Returns:
        tuple[Tensor, Tensor]: Query of each object in each frame, int64, shape (T, Q), and the embeddings of the last
        frame in the order of the objects, shape (1, Q, C).
    """
    order = []
    for frame in embeds:
        if last is None:
            order.append(torch.arange(len(frame), device=frame.device)[None])
        else:
            order.append(match_queries(last, frame[None]))
        last = reorder_queries(frame[None], order[-1])
    assert last is not None  # there is a frame
    return torch.cat(order), last


def decode_masks(mask_embeds: Tensor, mask_features: Tensor) -> Tensor:
    """Compute mask logits: the product of the queries' mask embeddings and a frame's mask features.

    Args:
        mask_embeds (Tensor): Shape (..., Q, c).
        mask_features (Tensor): Shape (..., c, h, w), with the same leading dimensions.

    Returns:
        Tensor: Shape (..., Q, h, w).
    """
    features = mask_features.flatten(-2)
    if features.shape[:-2].numel() == 1:  # a single frame: as a linear layer, which `CPUInference` speeds up
        masks = F.linear(mask_embeds, features.view(features.shape[-2:]).T)
    else:
        masks = mask_embeds @ features
    return masks.view(*masks.shape[:-1], *mask_features.shape[-2:])  # unflatten would break a compiled graph
