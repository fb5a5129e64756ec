# Copyright (c) The mmvc contributors. All rights reserved.
"""Segments of a video whose class is in doubt, found in its label maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .groups import GroupTable

#: Of the smaller of two regions of one class in consecutive frames, the part that has to overlap to be one segment.
SAME_CLASS_OVERLAP = 0.1
#: IoU of two regions of different classes of a group in consecutive frames, from which on they are one thing.
CLASS_CHANGE_IOU = 0.5


@dataclass
class Segment:
    """A thing or a stretch of stuff through the video, in one group of classes.

    Args:
        group (int): Index of the group.
        pixels (dict[int, int]): Label -> pixels of the segment predicted as it, over the video.
        areas (dict[int, int]): Frame -> pixels there.
        regions (list[tuple[int, int]]): Frame and number of the regions it consists of, see :class:`VideoSegments`.
        margin (float, optional): Mean margin of its pixels in [0, 1]; None if no margins were given.
        reason (str): Why it is in doubt.
    """
    group: int
    pixels: dict[int, int]
    areas: dict[int, int]
    regions: list[tuple[int, int]]
    margin: float | None = None
    reason: str = ''

    @property
    def label(self) -> int:
        """The label of most of its pixels."""
        return max(self.pixels, key=lambda label: (self.pixels[label], -label))


class VideoSegments:
    """The connected regions of the ambiguous classes of a video, linked over time.

    A region is an 8-connected part of one class in one frame. Regions of consecutive frames belong to one segment if
    they are of one class and overlap, or of different classes of one group and cover nearly the same place: then the
    class of a thing has changed. Neighbours in a frame are never joined directly: a car beside a bus stays a car.

    Args:
        labels (np.ndarray): Label maps of the whole video, uint8 (T, H, W).
        table (GroupTable): Groups of classes.
        margins (Sequence[np.ndarray], optional): How sure the prediction was, such as the difference between the two
            highest probabilities: (H, W) for each frame, in [0, 1], or uint8 from 0 to 255. Defaults to None.
    """

    def __init__(self, labels: np.ndarray, table: GroupTable, margins: Sequence[np.ndarray] | None = None) -> None:
        #: Number of the region of each pixel in its frame, from 1; 0: the class is in no group. int32 (T, H, W).
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

    def mask(self, segment: Segment, frame: int) -> np.ndarray:
        """The segment's pixels in a frame, bool (H, W)."""
        return np.isin(self.regions[frame], [region for t, region in segment.regions if t == frame])

    def find_doubtful(self, min_area: float = 0.005, min_change: float = 0.05,
                      max_margin: float = 0.2) -> list[Segment]:
        """Select the segments to ask about, and note the reason.

        Args:
            min_area (float): Share of the frame that a segment must cover where it is largest. Defaults to 0.005.
            min_change (float): Share of its pixels that have another class than most, from which on its class counts
                as changing. Defaults to 0.05.
            max_margin (float): Mean margin up to which a segment is in doubt. Defaults to 0.2.

        Returns:
            list[Segment]: Those in doubt, in the order of their first frame.
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
        """Number the regions of a frame into ``regions``; return the label of each number."""
        label_of = [0]
        for label in np.unique(label_map):
            if self._table.group_of[label] < 0:
                continue
            count, components = cv2.connectedComponents((label_map == label).view(np.uint8), connectivity=8)
            inside = components > 0
            regions[inside] = components[inside] + len(label_of) - 1
            label_of += [int(label)] * (count - 1)
        return np.array(label_of)

    def _link(self) -> list[Segment]:
        """Join the regions of consecutive frames to segments."""
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

        segments: dict[int, Segment] = {}
        margins: dict[int, float] = {}
        for t, label_of in enumerate(self._label_of):
            for region in range(1, len(label_of)):
                key, label, area = root(starts[t] + region), int(label_of[region]), int(self._areas[t][region])
                segment = segments.setdefault(key, Segment(int(self._table.group_of[label]), {}, {}, []))
                segment.pixels[label] = segment.pixels.get(label, 0) + area
                segment.areas[t] = segment.areas.get(t, 0) + area
                segment.regions.append((t, region))
                if self._margins is not None:
                    margins[key] = margins.get(key, 0.0) + self._margins[t][region]
        for key, total in margins.items():
            segments[key].margin = float(total / sum(segments[key].pixels.values()))
        return list(segments.values())

    def _linked_regions(self, t: int) -> list[tuple[int, int]]:
        """Pairs of regions of frames t - 1 and t that belong together."""
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
    """Margins of a frame as float64 in [0, 1]."""
    return margin / 255 if margin.dtype == np.uint8 else np.asarray(margin, float)
