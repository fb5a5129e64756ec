# Copyright (c) The mmvc contributors. All rights reserved.
"""Videos with known masks, as an annotation source in memory and as frames on the disk."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from mmvc.importers.source import AnnotationSource, Category, Region, SourceFrame, SourceVideo

SIZE = (24, 32)


def box(top: int, left: int, height: int, width: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Mask of a box."""
    mask = np.zeros(size, bool)
    mask[top:top + height, left:left + width] = True
    return mask


def draw(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Frame of a video, which shows its index."""
    image = np.full((*size, 3), 60, np.uint8)
    image[:, index:index + 4] = (20 * index % 255, 200, 100)
    return image


def write_frames(folder: Path, names: list[str], suffix: str = '.jpg', size: tuple[int, int] = SIZE) -> list[Path]:
    """Write the frames of a video."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f'{name}{suffix}' for name in names]
    for index, path in enumerate(paths):
        assert cv2.imwrite(str(path), draw(index, size))
    return paths


def write_video(path: Path, num_frames: int, size: tuple[int, int] = SIZE) -> None:
    """Write a video file."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, size[::-1])
    for index in range(num_frames):
        writer.write(draw(index, size))
    writer.release()


def two_cars(index: int) -> list[Region]:
    """A road, and two cars that move on it; the second one drives over the first, and is only in frames 1 to 3."""
    regions = [Region(0, box(12, 0, 12, 32)), Region(1, box(10, 2 + index, 6, 8), track='first')]
    if 0 < index < 4:
        regions.append(Region(1, box(12, 14 - index, 6, 8), track=7))
    return regions


CATEGORIES = [Category('road', (10, 20, 30), is_thing=False), Category('car', is_thing=True),
              Category('bird', is_thing=True)]


@dataclass
class DrawnSource(AnnotationSource):
    """Annotations in memory: regions by video and index of the frame; None where a frame has no labels."""

    found: list[SourceVideo]
    labels: dict[str, list[list[Region] | None]]
    categories: list[Category] = field(default_factory=lambda: list(CATEGORIES))
    has_tracks: bool = True
    covers_frames: bool = False
    notes: list[str] = field(default_factory=list)

    def videos(self) -> list[SourceVideo]:
        return self.found

    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        yield from (regions for regions in self.labels[video.name] if regions is not None)


def make_source(folder: Path, names: tuple[str, ...] = ('north', 'south'), num_frames: int = 5,
                unlabelled: tuple[int, ...] = (), **options) -> DrawnSource:
    """A source of videos of :func:`two_cars`, whose frames are in ``folder``."""
    videos, labels = [], {}
    for name in names:
        paths = write_frames(folder / name, [f'{index:03d}' for index in range(num_frames)])
        videos.append(SourceVideo(name, SIZE, [
            SourceFrame(path.stem, path, index, index not in unlabelled) for index, path in enumerate(paths)]))
        labels[name] = [None if index in unlabelled else two_cars(index) for index in range(num_frames)]
    return DrawnSource(videos, labels, **options)
