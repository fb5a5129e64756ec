# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np

from .segment_map import SegmentMap
from .text import shortened, text_scale, text_size, write_texts

_SIZE = 11
_MIN_TRACK_PIXELS = 30  # as all sizes here, those of a picture that is not scaled
Box = tuple[int, int, int, int]


def write_labels(image: np.ndarray, segments: SegmentMap, texts: dict[int, str]) -> np.ndarray:
    """Write labels into segments, or, for tracks, above or below them.

    Class regions are labelled only if the label fits into them. Tracks of less than 30 pixels (more in large
    pictures) are not labelled. A label that would cover another one is left out. Tracks have priority over class
    regions, and large segments over small ones. The letters grow with the picture, see :func:`text_scale`.

    Args:
        image (np.ndarray): RGB, uint8, (H, W, 3).
        segments (SegmentMap): Segments, (H, W).
        texts (dict[int, str]): Labels by segment id.

    Returns:
        np.ndarray: Copy with the labels.
    """
    scale = text_scale(image)
    size = round(_SIZE * scale)
    areas = {index: int((segments.ids == index).sum()) for index in segments.present() if index in texts}
    taken: list[Box] = []
    lines = []
    for index in sorted(areas, key=lambda index: (index not in segments.tracks, -areas[index], index)):
        is_track = index in segments.tracks
        if is_track and areas[index] < _MIN_TRACK_PIXELS * scale**2:
            continue
        text = shortened(texts[index], image.shape[1] - 4, size)
        places = _places(segments.ids == index, text_size(text, size), is_track)
        free = next((box for box in places if not any(_overlap(box, other) for other in taken)), None)
        if free is not None:
            taken.append(free)
            lines.append((text, free[0], free[1]))
    return write_texts(image, lines, size, outline=round(scale)) if lines else image


def _places(mask: np.ndarray, size: tuple[int, int], is_track: bool) -> list[Box]:
    """Possible boxes (left, top, right, bottom) of the label of a segment, the best one first."""
    (width, height), (rows, columns) = size, mask.shape
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(distance.argmax(), distance.shape)  # centre of the widest part
    middles = [y] if distance[y, x] >= 0.6 * height else []
    if is_track:
        seen = np.flatnonzero(mask.any(axis=1))
        middles += [seen[0] - height // 2 - 1, seen[-1] + height // 2 + 1]  # above and below the segment
    left = int(np.clip(x - width // 2, 1, max(columns - width - 1, 1)))
    tops = [int(np.clip(middle - height // 2, 1, max(rows - height - 1, 1))) for middle in middles]
    return [(left, top, left + width, top + height) for top in tops]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
