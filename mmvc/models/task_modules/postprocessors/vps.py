# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable, Iterator, Sequence

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData
from torch import Tensor

from mmvc.registry import TASK_UTILS

from ...utils.feature_store import FeatureStore
from ...utils.keyframes import KeyframeStore
from .base_postprocessor import VideoPostprocessor
from .video_prediction import VideoPrediction


@TASK_UTILS.register_module()
class VPSPostprocessor(VideoPostprocessor):
    """Panoptic maps with segment ids that are stable through the video (Mask2Former, extended over time by DVIS).

    A pixel goes to the query with the largest score x mask. A segment is kept if it wins at least a share
    ``overlap_threshold`` of the pixels of its own mask, counted over the whole video. Stuff segments of one class
    merge.

    Args:
        thing_classes (Sequence[int]): Indices of the thing classes.
        score_threshold (float): Queries are considered if their best class is not the empty one and its probability is
            larger than this. Defaults to 0.8.
        overlap_threshold (float): Smallest share of its own mask that a segment must win. Defaults to 0.8.
    """

    def __init__(self,
                 thing_classes: Sequence[int],
                 score_threshold: float = 0.8,
                 overlap_threshold: float = 0.8) -> None:
        self.thing_classes = frozenset(thing_classes)
        self.score_threshold = score_threshold
        self.overlap_threshold = overlap_threshold

    def frames(self, prediction: VideoPrediction) -> Iterator[DetDataSample]:
        """Segment a video.

        Args:
            prediction (VideoPrediction): Raw prediction for the video.

        Yields:
            DetDataSample: ``pred_panoptic_seg``, a :class:`PixelData` whose ``panoptic_seg`` is an int32 tensor (1, H,
            W) of segment ids at the original size (0 = void), and in its metainfo ``segments_info``: a list of
            dict(id, category_id, isthing, score) of the segments seen in the frame.
        """
        queries, scores, labels = self._candidates(prediction.class_probs)
        masks = prediction.mask_features
        store = masks.features if isinstance(masks, KeyframeStore) else masks
        winners = FeatureStore(share_limit_with=store if isinstance(store, FeatureStore) else None)
        counts = torch.zeros((3, len(queries)), dtype=torch.int64, device=queries.device)
        for frame_strips in prediction.strips(queries):
            winners.extend(compete(frame_strips, scores, counts, prediction.ori_shape)[None])
        keep = self._kept(counts).tolist()
        ids, segments = self._number_segments(keep, labels.tolist(), scores.tolist())
        table = torch.tensor([*ids, 0], dtype=torch.int32)  # index -1 (void) reads the last entry
        for winner in winners:
            yield _panoptic_sample(table[winner.long()], segments)

    def start_stream(self) -> Callable[[VideoPrediction], DetDataSample]:
        """Begin a video without a known end: overlaps are counted over the frames so far.

        Returns:
            Callable: Returns a frame's prediction. The id of a thing is its query index + 1, that of stuff is Q + 1 +
            its class index.
        """
        totals: dict[str, Tensor] = {}

        def segment(prediction: VideoPrediction) -> DetDataSample:
            queries, scores, labels = self._candidates(prediction.class_probs)
            counts = torch.zeros((3, len(queries)), dtype=torch.int64, device=queries.device)
            winner = compete(next(prediction.strips(queries)), scores, counts, prediction.ori_shape)
            num_queries = len(prediction.class_probs)
            total = totals.setdefault('counts', counts.new_zeros((3, num_queries)))
            total[:, queries] += counts
            keep = self._kept(total[:, queries]).tolist()
            ids = [0] * len(queries)
            segments: dict[int, dict] = {}
            for index, query in enumerate(queries.tolist()):
                label, score = int(labels[index]), float(scores[index])
                is_thing = label in self.thing_classes
                if keep[index]:
                    ids[index] = query + 1 if is_thing else num_queries + 1 + label
                    new = dict(id=ids[index], category_id=label, isthing=is_thing, score=score)
                    segment = segments.setdefault(ids[index], new)
                    segment['score'] = max(segment['score'], score)
            return _panoptic_sample(
                torch.tensor([*ids, 0], dtype=torch.int32)[winner.long()], list(segments.values()))

        return segment

    def _candidates(self, class_probs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Select the queries that may become segments, with their scores and labels."""
        scores, labels = class_probs.max(dim=-1)
        empty_class = class_probs.shape[1] - 1
        queries = ((labels != empty_class) & (scores > self.score_threshold)).nonzero().flatten()
        return queries, scores[queries], labels[queries]

    def _kept(self, counts: Tensor) -> Tensor:
        """Decide which queries become segments, bool (q,), from ``counts`` (3, q) of :func:`compete`."""
        return (counts > 0).all(dim=0) & (counts[0] >= self.overlap_threshold * counts[1])

    def _number_segments(self, keep: list[bool], labels: list[int],
                         scores: list[float]) -> tuple[list[int], list[dict]]:
        """Number the segments: the id of every query (0 = none) and the descriptions; one segment per stuff class."""
        ids: list[int] = []
        segments: list[dict] = []
        stuff: dict[int, dict] = {}
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


def compete(frame_strips: Iterator[Tensor], scores: Tensor, counts: Tensor, shape: tuple[int, int]) -> Tensor:
    """Assign every pixel of a frame to a query.

    Args:
        frame_strips (Iterator[Tensor]): Mask probabilities, strips of shape (q, rows, W).
        scores (Tensor): Scores of the queries, shape (q,).
        counts (Tensor): Pixels that each query wins, pixels of its own mask, and pixels that are both, shape (3, q).
            The counts of this frame are added.
        shape (tuple[int, int]): Height and width of the frame.

    Returns:
        Tensor: Index of the winner if its own mask covers the pixel, otherwise -1; int16 (H, W), in host memory.
    """
    if len(scores) == 0:
        return torch.full(shape, -1, dtype=torch.int16)
    winners = []
    for masks in frame_strips:
        winner = (scores[:, None, None] * masks).argmax(dim=0)
        covered = masks >= 0.5
        own = covered.gather(0, winner[None])[0]
        counts[0] += torch.bincount(winner.flatten(), minlength=len(scores))
        counts[1] += covered.flatten(1).sum(dim=1)
        counts[2] += torch.bincount(winner[own], minlength=len(scores))
        winners.append(torch.where(own, winner, -1).to(torch.int16).cpu())
    return torch.cat(winners)


def _panoptic_sample(panoptic_seg: Tensor, segments: list[dict]) -> DetDataSample:
    """Pack a frame's map of segment ids (H, W) with the descriptions of the segments that it shows."""
    seen = set(panoptic_seg.unique().tolist())
    return DetDataSample(
        metainfo=dict(segments_info=[segment for segment in segments if segment['id'] in seen]),
        pred_panoptic_seg=PixelData(panoptic_seg=panoptic_seg[None]))
