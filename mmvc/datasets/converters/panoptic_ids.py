# Copyright (c) The mmvc contributors. All rights reserved.
"""VIPSeg's raw mask values turned into segment ids that a colour PNG can hold."""

import random
from collections.abc import Sequence

import numpy as np

from mmvc.formats.label_maps import segment_id

# An annotation fault of video 353_-5sqmCF8OFU that means void.
RAW_VOID_VALUES = (0, 200)


class SegmentIds:
    """Ids of the segments of one video. The colour of each is close to that of its class, see :func:`segment_id`.

    A region without instance number (class + 1: stuff, by rule) has the colour of its class. Instances of things
    ((class + 1) * 100 + instance) get a shade of it that is unique in the video and always the same for the same video
    and value.

    Args:
        video (str): Name of the video.
        categories (sequence[dict]): ``id`` (0 .. K - 1), ``isthing`` and ``color`` (RGB) of every class.
    """

    def __init__(self, video: str, categories: Sequence[dict]) -> None:
        self.video = video
        self.categories = {category['id']: category for category in categories}
        self._taken = {(0, 0, 0), *(tuple(c['color']) for c in categories if not c['isthing'])}
        self._ids: dict[int, int] = {}

    def category_of(self, value: int) -> int:
        """Class index of a raw value.

        Raises:
            ValueError: There is no such class, or it is a stuff class with an instance number.
        """
        plain = value <= len(self.categories)
        category = (value if plain else value // 100) - 1
        if category not in self.categories or not (plain or self.categories[category]['isthing']):
            raise ValueError(f'value {value} is neither class + 1 nor (class + 1) * 100 + instance of a thing class')
        return category

    def id_of(self, value: int) -> int:
        """Segment id of a raw value."""
        if value not in self._ids:
            category = self.categories[self.category_of(value)]
            colour = tuple(category['color'])
            if category['isthing']:
                rng = random.Random(f'{self.video}/{value}')
                while colour in self._taken:
                    colour = tuple(min(255, max(0, channel + rng.randint(-80, 80))) for channel in category['color'])
                self._taken.add(colour)
            self._ids[value] = segment_id(colour)
        return self._ids[value]

    def encode(self, raw: np.ndarray) -> tuple[np.ndarray, list[dict]]:
        """Convert the mask of a frame to segment ids, with their classes.

        Args:
            raw (ndarray): Raw mask (H, W), values 0 .. 65535.

        Returns:
            tuple[ndarray, list[dict]]: Ids int32 (H, W), 0 = void, and ``segments_info``: ``dict(id, category_id,
            iscrowd, area)`` in ascending order of the raw value.
        """
        areas = np.bincount(raw.reshape(-1), minlength=1)
        table = np.zeros(len(areas), dtype=np.int32)
        segments = []
        for value in np.flatnonzero(areas).tolist():
            if value not in RAW_VOID_VALUES:
                table[value] = self.id_of(value)
                segments.append(
                    dict(id=int(table[value]), category_id=self.category_of(value), iscrowd=0,
                         area=int(areas[value])))
        return table[raw], segments
