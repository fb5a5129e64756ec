# Copyright (c) The mmvc contributors. All rights reserved.
"""Find the segments of a video whose class is in doubt."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .groups import GroupTable

#: Two regions of one class in consecutive frames are linked from this overlap on, as a share of the smaller region.
SAME_CLASS_OVERLAP = 0.1
#: Two regions of different classes of one group in consecutive frames are linked from this IoU on.
CLASS_CHANGE_IOU = 0.5


@dataclass
class SegmentTrack:
    """A segment (thing or stuff) tracked through the video; all its classes are of one group.

    Args:
        group (int): Index of the group of classes.
        pixels (dict[int, int]): Label -> number of pixels with this label in the whole video.
        areas (dict[int, int]): Frame -> number of pixels in this frame.
        regions (list[tuple[int, int]]): Its regions as (frame, number), see :class:`VideoSegments`.
        margin (float, optional): Mean margin of its pixels in [0, 1]. None if there are no margins.
        reason (str): Why its class is in doubt; empty if it is not.
    """
    group: int
    pixels: dict[int, int]
    areas: dict[int, int]
    regions: list[tuple[int, int]]
    margin: float | None = None
    reason: str = ''

    @property
    def label(self) -> int:
        """The label of most pixels; the smallest one on a tie."""
        return max(self.pixels, key=lambda label: (self.pixels[label], -label))


class VideoSegments:
    """The connected regions of the ambiguous classes of a video, linked over time.

    A region is an 8-connected part of one class in one frame. Two regions of consecutive frames belong to one segment
    if they have the same class and overlap. They also do if they have different classes of one group and cover nearly
    the same pixels: then the class of the thing has changed. Neighbours within a frame are never joined directly, so a
    car beside a bus stays a car.

    Args:
        labels (np.ndarray): Label maps of the whole video, uint8 (T, H, W).
        table (GroupTable): Groups of classes.
        margins (Sequence[np.ndarray], optional): How sure the prediction was, for example the difference between the
            two highest probabilities. For each frame, float (H, W) in [0, 1], or uint8 (H, W) from 0 to 255. Defaults
            to None.

    Attributes:
        segments (list[SegmentTrack]): The segments in the order of their first region.
    """

    def __init__(self, labels: np.ndarray, table: GroupTable, margins: Sequence[np.ndarray] | None = None) -> None:
        #: Number of the region of each pixel, from 1 in each frame; 0 if the class is in no group. int32 (T, H, W).
        self.regions = np.zeros(labels.shape, np.int32)
        self._table = table
        self._label_of: list[np.ndarray] = []  # by frame, by region
        for t, label_map in enumerate(labels):
            self._label_of.append(self._find_regions(label_map, self.regions[t]))
        self._areas = [np.bincount(regions.ravel(), minlength=len(of_frame))
                       for regions, of_frame in zip(self.regions, self._label_of)]
        self._margins = None if margins is None else [
            np.bincount(regions.ravel(), weights=_to_unit(margin).ravel(), minlength=len(of_frame))
            for regions, of_frame, margin in zip(self.regions, self._label_of, margins)]
        self.segments = self._link()

    def mask(self, segment: SegmentTrack, frame: int) -> np.ndarray:
        """Return the pixels of a segment in a frame, bool (H, W)."""
        return np.isin(self.regions[frame], [region for t, region in segment.regions if t == frame])

    def find_doubtful(self, min_area: float = 0.005, min_change: float = 0.05,
                      max_margin: float = 0.2) -> list[SegmentTrack]:
        """Select the segments whose class is in doubt, and set their reason.

        Args:
            min_area (float): Smallest share of the frame that a segment covers in the frame where it is largest.
                Smaller segments are left out. Defaults to 0.005.
            min_change (float): The class of a segment changes if at least this share of its pixels has another label
                than most. Defaults to 0.05.
            max_margin (float): A segment is in doubt if its mean margin is at most this. Defaults to 0.2.

        Returns:
            list[SegmentTrack]: The segments in doubt, in the order of their first frame.
        """
        frame_size = self.regions[0].size
        doubtful = []
        for segment in self.segments:
            total, group = sum(segment.pixels.values()), self._table.groups[segment.group]
            if max(segment.areas.values()) < min_area * frame_size:
                continue
            if total - segment.pixels[segment.label] >= max(min_change * total, 1):
                segment.reason = 'class change'
            elif segment.margin is not None and segment.margin <= max_margin:
                segment.reason = 'low margin'
            elif group.always:
                segment.reason = 'always'
            else:
                continue
            doubtful.append(segment)
        return doubtful

    def _find_regions(self, label_map: np.ndarray, regions: np.ndarray) -> np.ndarray:
        """Number the regions of a frame; write the numbers into ``regions`` and return the label of each number."""
        label_of = [0]
        for label in np.unique(label_map):
            if self._table.group_of[label] < 0:
                continue
            count, components = cv2.connectedComponents((label_map == label).view(np.uint8), connectivity=8)
            inside = components > 0
            regions[inside] = components[inside] + len(label_of) - 1
            label_of += [int(label)] * (count - 1)
        return np.array(label_of)

    def _link(self) -> list[SegmentTrack]:
        """Join linked regions to segments, by union-find."""
        starts = np.cumsum([0, *(len(of_frame) for of_frame in self._label_of)])
        parent = list(range(int(starts[-1])))

        def root(node: int) -> int:
            while parent[node] != node:
                parent[node] = parent[parent[node]]
                node = parent[node]
            return node

        for t in range(1, len(self.regions)):
            for before, after in self._linked_regions(t):
                first, second = sorted((root(starts[t - 1] + before), root(starts[t] + after)))
                parent[second] = first

        segments: dict[int, SegmentTrack] = {}
        margins: dict[int, float] = {}
        for t, label_of in enumerate(self._label_of):
            for region in range(1, len(label_of)):
                key, label, area = root(starts[t] + region), int(label_of[region]), int(self._areas[t][region])
                segment = segments.setdefault(key, SegmentTrack(int(self._table.group_of[label]), {}, {}, []))
                segment.pixels[label] = segment.pixels.get(label, 0) + area
                segment.areas[t] = segment.areas.get(t, 0) + area
                segment.regions.append((t, region))
                if self._margins is not None:
                    margins[key] = margins.get(key, 0.0) + self._margins[t][region]
        for key, total in margins.items():
            segments[key].margin = float(total / sum(segments[key].pixels.values()))
        return list(segments.values())

    def _linked_regions(self, t: int) -> list[tuple[int, int]]:
        """Return the pairs of regions of frames t - 1 and t that belong to one segment."""
        count = len(self._label_of[t])
        pairs, overlaps = np.unique(self.regions[t - 1].astype(np.int64) * count + self.regions[t],
                                    return_counts=True)
        linked = []
        for pair, overlap in zip(pairs, overlaps):
            before, after = divmod(int(pair), count)
            if before == 0 or after == 0:
                continue
            labels = self._label_of[t - 1][before], self._label_of[t][after]
            areas = self._areas[t - 1][before], self._areas[t][after]
            if labels[0] == labels[1]:
                same = overlap >= SAME_CLASS_OVERLAP * min(areas)
            else:
                same = self._table.group_of[labels[0]] == self._table.group_of[labels[1]] and \
                    overlap >= CLASS_CHANGE_IOU * (sum(areas) - overlap)
            if same:
                linked.append((before, after))
        return linked


def _to_unit(margin: np.ndarray) -> np.ndarray:
    """Convert the margins of a frame to float64 in [0, 1]."""
    return margin / 255 if margin.dtype == np.uint8 else np.asarray(margin, float)
