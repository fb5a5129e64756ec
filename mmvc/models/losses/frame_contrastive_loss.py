# Copyright (c) The mmvc contributors. All rights reserved.
"""The segmenter's contrastive loss over the frames of a clip."""

from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmvc.registry import MODELS
from mmvc.utils.typing import Indices

from .contrastive_terms import contrast, mean_over_items, weights_or_ones


@MODELS.register_module()
class FrameContrastiveLoss(nn.Module):
    """Learn embeddings for online tracking, by imitating an online tracker within a clip.

    An item is an object in a frame that an earlier frame of the clip shows as well. The anchor is its embedding. The
    positive is, at random, either its latest earlier embedding or the momentum average of all earlier ones. The
    negatives are the queries of the previous frame that are not this object. The average a starts with the first
    embedding and follows a <- (1 - s) a + s e, where s is the mean cosine similarity of e with all earlier embeddings
    of the object, at least 0. A second term pulls the cosine similarities towards 1 and 0.

    Source: Ying et al., "CTVIS" (arXiv 2307.12616), as DVIS++ (arXiv 2312.13305) trains its segmenter.

    Args:
        loss_weight (float): Weight of the contrastive term. Defaults to 2.
        aux_loss_weight (float): Weight of the cosine term. Defaults to 3.
        momentum_prob (float): Probability that the positive is the average, in [0, 1]. Defaults to 0.5.
    """

    def __init__(self, loss_weight: float = 2.0, aux_loss_weight: float = 3.0, momentum_prob: float = 0.5) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.aux_loss_weight = aux_loss_weight
        self.momentum_prob = momentum_prob

    def forward(self,
                embeds: Tensor,
                indices: list[Indices],
                targets: list[InstanceData],
                num_frames: int | Sequence[int],
                sample_weights: Tensor | None = None) -> dict[str, Tensor]:
        """Compute the losses of a batch of clips.

        Args:
            embeds (Tensor): Re-identification embeddings (B * T, Q, C); the frames of a clip follow one another. Of a
                clip with sparse labels, only the labelled ones.
            indices (list[tuple[Tensor, Tensor]]): B * T pairs of matched query and ground-truth indices.
            targets (list[InstanceData]): B * T frames with the ``instances_ids`` (n,) of their objects.
            num_frames (int | Sequence[int]): Frames T of a clip, or of each clip.
            sample_weights (Tensor, optional): Weight of the items whose anchor is in a frame (B * T,).

        Returns:
            dict[str, Tensor]: Scalars ``loss_reid`` and ``loss_aux_reid``; zeros that depend on ``embeds`` if no
            object is seen twice.
        """
        frame_weights = weights_or_ones(sample_weights, embeds)
        losses, aux_losses, weights = [], [], []
        with torch.autocast(embeds.device.type, enabled=False):
            lengths = [num_frames] * (len(embeds) // num_frames) if isinstance(num_frames, int) else num_frames
            for stop, length in zip(accumulate(lengths), lengths):
                frames = slice(stop - length, stop)
                queries = _object_queries(indices[frames], targets[frames])
                loss, aux_loss, frame = self._clip_items(embeds[frames].float(), queries)
                losses.append(loss)
                aux_losses.append(aux_loss)
                weights.append(frame_weights[frames].to(loss)[frame])
            return dict(
                loss_reid=self.loss_weight * mean_over_items(losses, weights, embeds),
                loss_aux_reid=self.aux_loss_weight * mean_over_items(aux_losses, weights, embeds))

    def _clip_items(self, embeds: Tensor, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute both losses of the items of one clip, and their frames, each (I,).

        Args:
            embeds (Tensor): Embeddings of the clip (T, Q, C).
            queries (Tensor): Query of each object in each frame (T, M), -1 where it is not seen.
        """
        seen = queries >= 0
        objects = embeds.gather(1, queries.clamp(min=0)[..., None].expand(-1, -1, embeds.shape[-1]))  # (T, M, C)
        positives, has_past = self._positives(objects, seen)

        # scores of all objects against their positives (T - 1, M), and against the previous frames' queries
        anchors, positives, previous = objects[1:], positives[1:], embeds[:-1]
        positive = (anchors * positives).sum(-1)
        negative = (previous @ anchors.transpose(1, 2)).transpose(1, 2)  # (T - 1, M, Q)
        lengths = anchors.norm(dim=-1)
        positive_cosine = positive / (lengths * positives.norm(dim=-1)).clamp(min=1e-12)
        negative_cosine = negative / (lengths[..., None] * previous.norm(dim=-1)[:, None]).clamp(min=1e-12)

        is_item = (seen & has_past)[1:]
        # the object's own query is no negative; if the previous frame does not show it, all queries are negatives
        own = F.one_hot(queries[:-1][is_item] + 1, embeds.shape[1] + 1)[:, 1:].bool()
        loss = contrast(positive[is_item][:, None], negative[is_item].masked_fill(own, -torch.inf))
        squares = negative_cosine[is_item].square().masked_fill(own, 0.0).sum(-1)
        squares = squares + (1 - positive_cosine[is_item]).square()
        aux_loss = squares / (embeds.shape[1] + 1 - own.sum(-1))
        return loss, aux_loss, is_item.nonzero()[:, 0] + 1

    def _positives(self, objects: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Choose the positive (T, M, C) of each object in each frame, and whether it has one (T, M).

        Args:
            objects (Tensor): Embeddings of the objects (T, M, C), arbitrary in frames that do not show them.
            seen (Tensor): Bool (T, M).
        """
        take_average = torch.rand(seen.shape, device=seen.device) >= 1 - self.momentum_prob
        counts = seen.cumsum(0) - seen.int()  # earlier frames that show the object
        directions = F.normalize(objects, dim=-1)
        latest = average = torch.zeros_like(objects[0])
        total = torch.zeros_like(average)  # sum of earlier directions
        positives = []
        # iterate instead of indexing: the gradient of an index is a tensor of zeros as large as all frames
        for frame, (embed, direction) in enumerate(zip(objects, directions)):
            positives.append(torch.where(take_average[frame, :, None], average, latest))
            similarity = (direction * total).sum(-1) / counts[frame].clamp(min=1)
            step = torch.where(counts[frame] > 0, similarity.clamp(min=0), 1.0)[:, None]
            shown = seen[frame, :, None]
            average = torch.where(shown, (1 - step) * average + step * embed, average)
            latest = torch.where(shown, embed, latest)
            total = torch.where(shown, total + direction, total)
        return torch.stack(positives), counts > 0


def _object_queries(indices: list[Indices], targets: list[InstanceData]) -> Tensor:
    """Find the query (T, M) of each object in each frame of a clip by the identities; -1 if it is not seen."""
    ids = torch.cat([target.instances_ids[gt_inds] for target, (_, gt_inds) in zip(targets, indices)])
    queries = torch.cat([query_inds for query_inds, _ in indices])
    identities, track = ids.unique(return_inverse=True)
    sizes = torch.tensor([len(query_inds) for query_inds, _ in indices], device=ids.device)
    frame = torch.arange(len(indices), device=ids.device).repeat_interleave(sizes)
    table = queries.new_full((len(indices), len(identities)), -1)
    table[frame, track] = queries
    return table
