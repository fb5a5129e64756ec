# Copyright (c) The mmvc contributors. All rights reserved.
"""What every reader of annotation files returns: categories, videos, frames and regions."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

#: category of pixels that the file marks as unlabelled
VOID_CATEGORY = -1


@dataclass(frozen=True)
class Category:
    """A category of an annotation file.

    Attributes:
        name (str): Name.
        color (tuple[int, int, int], optional): Colour (R, G, B), 0 to 255. Defaults to None: the file has none.
        is_thing (bool, optional): Whether its objects can be counted. Defaults to None: the file does not say it.
    """

    name: str
    color: tuple[int, int, int] | None = None
    is_thing: bool | None = None


@dataclass(frozen=True)
class Region:
    """Pixels of one category, or of one object, in a frame.

    Attributes:
        category (int): Index of its category in :attr:`AnnotationSource.categories`, or ``VOID_CATEGORY``.
        mask (np.ndarray): Pixels, bool (H, W). Later regions of a frame lie over earlier ones.
        track (int | str, optional): Track id, the same in all frames of the video. Defaults to None: the file has no
            tracks, or the region is not an object.
        is_crowd (bool): Whether it covers several objects that are not separated. Defaults to False.
    """

    category: int
    mask: np.ndarray
    track: int | str | None = None
    is_crowd: bool = False


@dataclass(frozen=True)
class SourceFrame:
    """A frame of a video.

    Attributes:
        name (str): Name of the frame, without suffix.
        image (Path, optional): Image file. Defaults to None: the frame is the frame ``index`` of the video file.
        index (int): Position in the video, from 0.
        labelled (bool): Whether the file has labels for this frame. A labelled frame may have no region.
    """

    name: str
    image: Path | None
    index: int
    labelled: bool


@dataclass(frozen=True)
class SourceVideo:
    """A video of an annotation file.

    Attributes:
        name (str): Name of the video.
        size (tuple[int, int]): Height and width of its frames.
        frames (list[SourceFrame]): All frames in order, with and without labels.
        video_file (Path, optional): Video file, if the frames are not images. Defaults to None.
        key (object): What the reader needs to find the regions. Defaults to None.
    """

    name: str
    size: tuple[int, int]
    frames: list[SourceFrame]
    video_file: Path | None = None
    key: object = field(default=None, compare=False)


class AnnotationSource(ABC):
    """Reader of the files of an annotation tool.

    Attributes:
        categories (list[Category]): Categories, without background, in the order of the file.
        has_tracks (bool): Whether the regions of objects have track ids.
        covers_frames (bool): Whether pixels outside all regions are labelled as background. False: they are
            unlabelled, or of no category.
        notes (Sequence[str]): What the user should know about the files, in sentences.
        inputs (Sequence[Path]): Files and folders of labels that it has found besides those it was given.
    """

    categories: list[Category]
    has_tracks: bool = False
    covers_frames: bool = False
    notes: Sequence[str] = ()
    inputs: Sequence[Path] = ()

    @abstractmethod
    def videos(self) -> list[SourceVideo]:
        """Return the videos, without reading masks.

        Returns:
            list[SourceVideo]: The videos, sorted by name in natural order.

        Raises:
            DataError: A file cannot be read; the message names the file, the key and the remedy.
        """

    @abstractmethod
    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        """Read the regions of a video frame by frame.

        Args:
            video (SourceVideo): One of :meth:`videos`.

        Yields:
            list[Region]: The regions of the next labelled frame, in the order of ``video.frames``.

        Raises:
            DataError: A label is damaged, or its size is not that of the video.
        """
