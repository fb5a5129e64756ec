# Copyright (c) The mmvc contributors. All rights reserved.
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor


@torch.no_grad()
def match_queries(reference: Tensor, current: Tensor) -> Tensor:
    """Assign the queries of a frame to those of another by the Hungarian algorithm on cosine similarity.

    Args:
        reference (Tensor): Embeddings in the order to be kept, shape (B, Q, C).
        current (Tensor): Embeddings to be reordered, shape (B, Q, C).

    Returns:
        Tensor: int64, shape (B, Q): ``current[b, indices[b, q]]`` belongs to ``reference[b, q]``.
    """
    with torch.autocast(reference.device.type, enabled=False):  # ties of half precision would decide matches
        similarity = F.normalize(reference.float(), dim=-1) @ F.normalize(current.float(), dim=-1).transpose(1, 2)
    # an exploding training gives NaN here; the assignment must not hide that behind scipy's error
    cost = -similarity.nan_to_num(0.0).cpu().numpy()
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
