# Copyright (c) The mmvc contributors. All rights reserved.
"""Matching that assigns one query to an object for a whole clip."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mmvc.registry import TASK_UTILS

from .hungarian_mask_matcher import FORBIDDEN_COST, HungarianMaskMatcher, Indices, for_each, to_device, to_host


@TASK_UTILS.register_module()
class ClipHungarianMatcher(HungarianMaskMatcher):
    """Match every object of a clip once, in the frame of its first appearance; it keeps that query.

    A tracker's query stands for the same object in all frames, so a clip has one assignment. Frames are visited in
    order; objects that first appear in a frame compete for the queries that are still free. Costs are those of
    :class:`HungarianMaskMatcher`, on one draw of random points per visited frame.

    Source: Zhang et al., "DVIS++" (arXiv 2312.13305), training of the referring tracker.

    Args:
        match_costs (list[dict], optional): As for :class:`HungarianMaskMatcher`.
        num_points (int): Random points per visited frame. Defaults to 12544.
        shares_queries (bool): Whether objects that find too few free queries get queries of earlier objects, as in
            the official code: then two objects contradict each other in the class and the mask of one query. Defaults
            to False: such objects are left out.
    """

    def __init__(self,
                 match_costs: list[dict] | None = None,
                 num_points: int = 12544,
                 shares_queries: bool = False) -> None:
        super().__init__(match_costs, num_points)
        self.shares_queries = shares_queries

    @torch.no_grad()
    def assign(self,
               cls_scores: Tensor,
               mask_preds: Tensor | Sequence[Tensor],
               targets: list[InstanceData],
               num_points: int | Sequence[int] | None = None) -> list[Indices]:
        """Find one assignment per clip.

        Args:
            cls_scores (Tensor): Class logits (B, T, Q, K + 1).
            mask_preds (Tensor | Sequence[Tensor]): Mask logits (B, T, Q, h, w).
            targets (list[InstanceData]): B clips with ``labels`` (n,), ``masks`` (n, T, H, W) and ``present``
                (n, T), bool: the frames that show the object. Objects without such a frame are not matched. An
                optional ``match_labels`` (n,) replaces ``labels`` in the costs (:func:`official_targets`).
            num_points (int | Sequence[int], optional): Overrides the number of points per frame, for all clips or for
                each.

        Returns:
            list[tuple[Tensor, Tensor]]: For each clip, query and ground-truth indices (int64), ordered by the frame of
            first appearance, then by query. Objects without a free query are left out, unless queries are shared.

        Raises:
            ValueError: If the number of clips or frames differs between predictions and targets.
        """
        num_clips, num_frames = cls_scores.shape[:2]
        if [target.present.shape[1] for target in targets] != [num_frames] * num_clips:
            raise ValueError(f'the predictions have {num_clips} clips of {num_frames} frames, but `present` of the '
                             f'targets has the shapes {[tuple(target.present.shape) for target in targets]}: give one '
                             '(n, T) tensor per clip')
        visits, costs = [], []  # (clip, objects that first appear), in the order of the random draws
        for clip, (target, number) in enumerate(zip(targets, for_each(num_points, len(targets)))):
            present = target.present.bool()
            labels = target.get('match_labels', target.labels)
            first_frames = torch.where(present.any(1), present.int().argmax(1), -1)
            for frame in first_frames[first_frames >= 0].unique().tolist():
                objects = (first_frames == frame).nonzero()[:, 0]
                visits.append((clip, objects.cpu().numpy()))
                costs.append(
                    self.cost(cls_scores[clip, frame], mask_preds[clip][frame], labels[objects],
                              target.masks[objects, frame], number))

        queries = [[np.zeros(0, dtype=np.int64)] for _ in targets]
        matched = [[np.zeros(0, dtype=np.int64)] for _ in targets]
        for (clip, objects), cost in zip(visits, to_host(costs)):
            cost[np.concatenate(queries[clip])] = FORBIDDEN_COST  # these queries belong to earlier objects
            rows, columns = linear_sum_assignment(cost)
            if not self.shares_queries:
                free = ~np.isin(rows, np.concatenate(queries[clip]))
                rows, columns = rows[free], columns[free]
            queries[clip].append(rows)
            matched[clip].append(objects[columns])
        return [
            to_device((np.concatenate(query), np.concatenate(gt)), cls_scores.device)
            for query, gt in zip(queries, matched)
        ]
