# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence

import numpy as np

from mmvc.utils.arguments import check_number
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.normalisation import IMAGENET_MEAN

from .colors import stable_colors
from .drawing import BACKGROUND, hide_pixels, overlay_segments, resize_width, titled
from .labels import write_labels
from .legend import Legend
from .segment_map import SegmentMap
from .text import text_scale

# Larger ids are colours read as numbers (VIPSeg); they are of no use in a label.
_LONGEST_ID = 100000


class PanelDrawer:
    """Draws panels: several pictures of one frame side by side, above a legend.

    A class region has the colour of its class. A track (thing, instance) has a colour that depends on its id alone, so
    that it is the same in the whole video. Small frames are enlarged and large ones reduced; maps are resized before
    they are drawn. All images are RGB, uint8.

    Args:
        classes (Sequence[str]): Names of the classes.
        palette (Sequence[Sequence[int]]): RGB colour of each class.
        alpha (float): Opacity of the colours over the image, from 0 to 1. Defaults to 0.6.
        min_width (int): Least width of a picture in pixels. Defaults to 320.
        max_width (int): Greatest width of a picture in pixels. Defaults to 640.
        labels (bool): Whether to label segments with their class, and tracks with their id as well. Defaults to True.
        hidden_color (Sequence[float]): RGB colour of hidden pixels, see :meth:`hide`. Defaults to ImageNet's mean.

    Raises:
        UsageError: ``alpha`` is out of range, or the numbers of classes and colours differ.

    Examples:
        >>> drawer = PanelDrawer(classes=('road', 'car'), palette=((128, 64, 128), (0, 0, 142)))
        >>> segments = SegmentMap.from_sem_seg(sem_seg, num_classes=2)
        >>> columns = {'input': image, 'prediction': drawer.draw(image, segments)}
        >>> panel = drawer.compose_panel(columns, drawer.legend(segments))
    """

    def __init__(self,
                 classes: Sequence[str],
                 palette: Sequence[Sequence[int]],
                 alpha: float = 0.6,
                 min_width: int = 320,
                 max_width: int = 640,
                 labels: bool = True,
                 hidden_color: Sequence[float] = IMAGENET_MEAN) -> None:
        self.classes = tuple(classes)
        self.palette = np.asarray(palette, np.uint8).reshape(-1, 3)
        if len(self.palette) != len(self.classes):
            raise UsageError(f'palette has {len(self.palette)} colours for {len(self.classes)} classes: set one '
                             'colour per class in metainfo["palette"] of the dataset')
        check_number('alpha', alpha, 0, 1)
        self.alpha = alpha
        self.min_width = min_width
        self.max_width = max_width
        self.labels = labels
        self.hidden_color = hidden_color

    def hide(self, image: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """Draw what a model sees of a masked image, see :func:`hide_pixels`."""
        return hide_pixels(image, hidden, self.hidden_color)

    def resize(self, image: np.ndarray, nearest: bool = False) -> np.ndarray:
        """Resize an image, or with ``nearest`` a map of ids, to the size of a picture."""
        return resize_width(image, min(max(image.shape[1], self.min_width), self.max_width), nearest)

    def draw(self, image: np.ndarray, segments: SegmentMap) -> np.ndarray:
        """Draw segments as tints with outlines and labels.

        Args:
            image (np.ndarray): Frame, (H, W, 3).
            segments (SegmentMap): Its segments, (H, W).

        Returns:
            np.ndarray: Picture, RGB, uint8.

        Raises:
            DataError: Image and segments differ in size.
        """
        if image.shape[:2] != segments.ids.shape:
            raise DataError(f'the segment map has shape {segments.ids.shape}, its frame {image.shape[:2]}: they must '
                             'agree; resize one of them')
        # types that OpenCV can resize
        ids = segments.ids if segments.ids.dtype == np.uint8 else segments.ids.astype(np.int32)
        resized = SegmentMap(self.resize(ids, nearest=True), segments.classes, segments.tracks)
        present = resized.present()
        colors = [stable_colors([index])[0] if index in segments.tracks else self.palette[segments.classes[index]]
                  for index in present]
        picture = overlay_segments(self.resize(image), resized.ids, present, colors, self.alpha)
        if not self.labels:
            return picture
        return write_labels(picture, resized, {index: self._label(resized, index) for index in present})

    def legend(self, *segments: SegmentMap | None) -> Legend:
        """Make a legend of some frames; :meth:`Legend.add` adds further ones."""
        legend = Legend(self.classes, self.palette)
        for of_frame in segments:
            legend.add(of_frame)
        return legend

    def compose_panel(self, columns: dict[str, np.ndarray], legend: Legend | None = None) -> np.ndarray:
        """Put pictures of one frame side by side.

        Args:
            columns (dict[str, np.ndarray]): Pictures by title, from left to right, all with the same aspect ratio.
            legend (Legend, optional): Legend to draw below the pictures. Defaults to None.

        Returns:
            np.ndarray: The panel, (H', W', 3).
        """
        pictures = [self.resize(image) for image in columns.values()]
        row = np.concatenate([titled(picture, title) for picture, title in zip(pictures, columns)], axis=1)
        width = row.shape[1] // len(columns)
        for index in range(1, len(columns)):
            row[:, index * width - 1:index * width + 1] = BACKGROUND  # a line between two pictures
        if not legend:
            return row
        return np.concatenate([row, legend.draw(row.shape[1], text_scale(pictures[0]))])

    def _label(self, segments: SegmentMap, index: int) -> str:
        name = self.classes[segments.classes[index]]
        return f'{name} {index}' if index in segments.tracks and index < _LONGEST_ID else name
