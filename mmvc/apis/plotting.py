# Copyright (c) The mmvc contributors. All rights reserved.
"""Results as pictures: drawn, shown, saved, and displayed by notebooks. All pictures are RGB, uint8, (H, W, 3)."""

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageShow

from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import UsageError
from mmvc.visualization import Legend, PanelDrawer, SegmentMap, text_scale, titled

#: suffixes of the files that pictures can be saved in
PICTURE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp', '.bmp', '.tif', '.tiff')
#: width of a frame in a contact sheet, in pixels
TILE_WIDTH = 320
_CANVAS = 24  # grey of what has no image


class Picture:
    """Base class of results that can be drawn."""

    def plot(self) -> np.ndarray:
        """Draw the result.

        Returns:
            ndarray: RGB, uint8, (H, W, 3).
        """
        raise NotImplementedError

    def show(self) -> None:
        """Display the picture: in the notebook, or else in the picture viewer of the system.

        Raises:
            UsageError: There is neither.
        """
        picture = Image.fromarray(self.plot())
        if _is_notebook():
            from IPython.display import display
            display(picture)
        elif not ImageShow.show(picture):
            raise UsageError('no program of this system can show pictures: write a file with save(PATH)')

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file.

        Args:
            path (str | Path): File, whose suffix decides the format, such as ``.png`` or ``.jpg``.

        Returns:
            Path: The file.

        Raises:
            UsageError: The suffix is not that of a picture.
        """
        path = Path(path)
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            raise UsageError(f'"{path}" has no suffix of a picture: use one of {", ".join(PICTURE_SUFFIXES)}')
        atomic_write(path, encode_picture(self.plot(), path.suffix))
        return path

    def _repr_png_(self) -> bytes | None:
        """The picture for notebooks."""
        return encode_picture(self.plot(), '.png')


def encode_picture(picture: np.ndarray, suffix: str) -> bytes:
    """Encode a picture as the content of a file.

    Args:
        picture (ndarray): RGB, uint8, (H, W, 3).
        suffix (str): Suffix of the file.

    Returns:
        bytes: The content.
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, Image.registered_extensions()[suffix.lower()])
    return buffer.getvalue()


def draw_frame(image: np.ndarray | None, segments: SegmentMap, classes: Sequence[str],
               palette: Sequence[Sequence[int]], alpha: float, legend: bool) -> np.ndarray:
    """Draw the segments of one frame.

    Args:
        image (ndarray, optional): The frame, RGB; None draws opaque segments on a dark background.
        segments (SegmentMap): Its segments, (H, W).
        classes (Sequence[str]): Names of the classes.
        palette (Sequence[Sequence[int]]): RGB colour of each class.
        alpha (float): Opacity of the colours over the image, from 0 to 1.
        legend (bool): Whether to draw a legend of the classes in the frame below it.

    Returns:
        ndarray: Picture, as wide as the frame.
    """
    height, width = segments.ids.shape
    if image is None:
        image, alpha = np.full((height, width, 3), _CANVAS, np.uint8), 1.
    drawer = PanelDrawer(classes, palette, alpha, min_width=width, max_width=width)
    picture = drawer.draw(image, segments)
    return with_legend(picture, drawer.legend(segments)) if legend else picture


def with_legend(picture: np.ndarray, legend: Legend) -> np.ndarray:
    """Put a legend below a picture, with letters that suit its size."""
    if not legend:
        return picture
    return np.concatenate([picture, legend.draw(picture.shape[1], text_scale(picture))])


def contact_sheet(tiles: Sequence[tuple[str, np.ndarray, SegmentMap]], classes: Sequence[str],
                  palette: Sequence[Sequence[int]], alpha: float = 0.6) -> np.ndarray:
    """Draw frames of a video in rows, with one legend.

    Args:
        tiles (Sequence[tuple[str, ndarray, SegmentMap]]): Title, frame (RGB) and segments of each. The segments may
            have another size than the frame.
        classes (Sequence[str]): Names of the classes.
        palette (Sequence[Sequence[int]]): RGB colour of each class.
        alpha (float): Opacity of the colours over the frames, from 0 to 1. Defaults to 0.6.

    Returns:
        ndarray: The sheet, about as many columns as rows.
    """
    drawer = PanelDrawer(classes, palette, alpha, min_width=TILE_WIDTH, max_width=TILE_WIDTH)
    pictures, legend = [], drawer.legend()
    for title, image, segments in tiles:
        ids = cv2.resize(segments.ids.astype(np.int32), image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        resized = SegmentMap(ids, segments.classes, segments.tracks)
        legend.add(resized)
        pictures.append(titled(drawer.draw(image, resized), title))
    columns = int(np.ceil(np.sqrt(len(pictures))))
    pictures += [np.full_like(pictures[0], _CANVAS)] * (-len(pictures) % columns)
    rows = [np.concatenate(pictures[start:start + columns], axis=1) for start in range(0, len(pictures), columns)]
    return with_legend(np.concatenate(rows), legend)


class Preview:
    """Some small frames of a video of any length, evenly spaced.

    Args:
        limit (int): Greatest number of frames, >= 2. Defaults to 16.

    Attributes:
        images (dict[int, ndarray]): RGB frames of the width ``TILE_WIDTH``, by the number of :meth:`add` calls before.
    """

    def __init__(self, limit: int = 16) -> None:
        self.images: dict[int, np.ndarray] = {}
        self._limit, self._step, self._count = limit, 1, 0

    def add(self, image: np.ndarray) -> None:
        """Take the next frame of the video into account.

        Args:
            image (ndarray): BGR, uint8, (H, W, 3).
        """
        if self._count % self._step == 0:
            height = max(round(image.shape[0] * TILE_WIDTH / image.shape[1]), 1)
            small = cv2.resize(image, (TILE_WIDTH, height), interpolation=cv2.INTER_AREA)
            self.images[self._count] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
        self._count += 1
        if len(self.images) > self._limit:
            self._step *= 2
            self.images = {index: kept for index, kept in self.images.items() if index % self._step == 0}

    def chosen(self, count: int) -> list[int]:
        """Positions of some of the frames, evenly spaced.

        Args:
            count (int): How many there are at most.

        Returns:
            list[int]: Keys of ``images``, in ascending order.
        """
        keys = list(self.images)
        places = np.linspace(0, len(keys) - 1, min(count, len(keys))).round().astype(int)
        return [keys[place] for place in places]


def _is_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), 'kernel')
