# Copyright (c) The mmvc contributors. All rights reserved.
from typing import List, Sequence, Tuple

import torch
from mmdet.structures import TrackDataSample
from mmengine.structures import PixelData
from torch import Tensor

from mmvc.registry import TASK_UTILS

from .video_prediction import VideoPrediction


@TASK_UTILS.register_module()
class VPSPostprocessor:
    """Panoptic maps with segment ids that are stable through the video (Mask2Former, extended over time by DVIS).

    A pixel goes to the query with the largest score x mask. A segment is kept when the pixels it won over the whole
    video are at least ``overlap_threshold`` of the pixels its own mask claims. Stuff segments of one class merge.

    Args:
        thing_classes (Sequence[int]): Indices of the classes whose objects are told apart.
        score_threshold (float): Queries are considered when their best class is not empty and scores more. Defaults to
            0.8.
        overlap_threshold (float): Smallest share of its own mask that a segment must win. Defaults to 0.8.
    """

    def __init__(self,
                 thing_classes: Sequence[int],
                 score_threshold: float = 0.8,
                 overlap_threshold: float = 0.8) -> None:
        self.thing_classes = frozenset(thing_classes)
        self.score_threshold = score_threshold
        self.overlap_threshold = overlap_threshold

    def __call__(self, prediction: VideoPrediction, data_sample: TrackDataSample) -> None:
        """Add ``pred_panoptic_seg`` and ``segments_info`` to every frame of a sample.

        Args:
            prediction (VideoPrediction): Raw prediction for the video.
            data_sample (TrackDataSample): Its frames get ``pred_panoptic_seg``, a :class:`PixelData` whose
                ``panoptic_seg`` is an int32 tensor (1, H, W) of segment ids at the original size (0 = void), and in
                their metainfo ``segments_info``: a list of dict(id, category_id, isthing, score) of the segments seen
                in the frame.
        """
        scores, labels = prediction.class_probs.max(dim=-1)
        empty_class = prediction.class_probs.shape[1] - 1
        queries = ((labels != empty_class) & (scores > self.score_threshold)).nonzero().flatten()
        scores, labels = scores[queries], labels[queries]
        winners, won, claimed, owned = self._compete(prediction, queries, scores)
        keep = (won > 0) & (claimed > 0) & (owned > 0) & (won >= self.overlap_threshold * claimed)
        ids, segments = self._number_segments(keep.tolist(), labels.tolist(), scores.tolist())
        ids = torch.tensor([*ids, 0], dtype=torch.int32)  # the last entry is what index -1 (void) maps to
        for frame, winner in zip(data_sample, winners):
            panoptic_seg = ids[winner.long()]
            seen = set(panoptic_seg.unique().tolist())
            frame.pred_panoptic_seg = PixelData(panoptic_seg=panoptic_seg[None])
            frame.set_metainfo(dict(segments_info=[segment for segment in segments if segment['id'] in seen]))

    @staticmethod
    def _compete(prediction: VideoPrediction, queries: Tensor,
                 scores: Tensor) -> Tuple[List[Tensor], Tensor, Tensor, Tensor]:
        """Give every pixel to a query.

        Returns:
            tuple: Per frame the winner's index into ``queries`` where its own mask covers the pixel and -1 elsewhere,
            int16 (H, W); then per query the pixels over the whole video that it won, that its mask claims, and both.
        """
        winners = []
        won, claimed, owned = torch.zeros((3, len(queries)), dtype=torch.int64, device=queries.device)
        if len(queries) == 0:
            void = torch.full(prediction.ori_shape, -1, dtype=torch.int16)
            return [void] * len(prediction.mask_embeds), won, claimed, owned
        for masks in prediction.frames(queries):
            winner = (scores[:, None, None] * masks).argmax(dim=0)
            covered = masks >= 0.5
            own = covered.gather(0, winner[None])[0]
            won += torch.bincount(winner.flatten(), minlength=len(queries))
            claimed += covered.flatten(1).sum(dim=1)
            owned += torch.bincount(winner[own], minlength=len(queries))
            winners.append(torch.where(own, winner, -1).to(torch.int16).cpu())
        return winners, won, claimed, owned

    def _number_segments(self, keep: List[bool], labels: List[int],
                         scores: List[float]) -> Tuple[List[int], List[dict]]:
        """Segment id of every query (0 = none) and the segments' descriptions; one segment per class of stuff."""
        ids, segments, stuff = [], [], {}
        for kept, label, score in zip(keep, labels, scores):
            is_thing = label in self.thing_classes
            if not kept:
                ids.append(0)
            elif not is_thing and label in stuff:
                segment = stuff[label]
                segment['score'] = max(segment['score'], score)
                ids.append(segment['id'])
            else:
                segment = dict(id=len(segments) + 1, category_id=label, isthing=is_thing, score=score)
                segments.append(segment)
                ids.append(segment['id'])
                if not is_thing:
                    stuff[label] = segment
        return ids, segments
