# Copyright (c) The mmvc contributors. All rights reserved.
from typing import Dict, Optional, Sequence

import numpy as np
from mmengine.structures import BaseDataElement

from .drawing import BACKGROUND, legend_strip, overlay_segments, resize_width, stable_colors, titled


class PanelDrawer:
    """Draws a frame of a video: input, ground truth and prediction side by side above a legend.

    All images are RGB, uint8. Small frames are enlarged and large ones reduced, maps before they are drawn.

    Args:
        classes (Sequence[str]): Names of the classes.
        palette (Sequence[Sequence[int]]): RGB colour of each class.
        alpha (float): Strength of the colours over the image, from 0 to 1. Defaults to 0.6.
        min_width (int): Least width of a panel in pixels. Defaults to 320.
        max_width (int): Greatest width of a panel in pixels. Defaults to 640.

    Examples:
        >>> drawer = PanelDrawer(classes=('road', 'car'), palette=((128, 64, 128), (0, 0, 142)))
        >>> columns = {'input': image, 'prediction': drawer.draw_sem_seg(image, sem_seg)}
        >>> panel = drawer.compose_panel(columns, class_ids=[0, 1])
    """

    def __init__(self, classes: Sequence[str], palette: Sequence[Sequence[int]], alpha: float = 0.6,
                 min_width: int = 320, max_width: int = 640) -> None:
        self.classes = tuple(classes)
        self.palette = np.asarray(palette, np.uint8).reshape(-1, 3)
        if len(self.palette) != len(self.classes):
            raise ValueError(f'palette has {len(self.palette)} colours for {len(self.classes)} classes: give one '
                             'each, in the metainfo of the dataset')
        if not 0 <= alpha <= 1:
            raise ValueError(f'alpha must lie in [0, 1], found {alpha}')
        self.alpha = alpha
        self.min_width = min_width
        self.max_width = max_width

    def resize(self, image: np.ndarray, nearest: bool = False) -> np.ndarray:
        """Bring an image, or with ``nearest`` a map of indices, to the size of a panel."""
        return resize_width(image, min(max(image.shape[1], self.min_width), self.max_width), nearest)

    def draw_sem_seg(self, image: np.ndarray, sem_seg: np.ndarray) -> np.ndarray:
        """Draw classes in the colours of the dataset.

        Args:
            image (np.ndarray): Frame, (H, W, 3).
            sem_seg (np.ndarray): Class indices, (H, W); other values (255) are left out.

        Returns:
            np.ndarray: Picture at the size of a panel.
        """
        return self._overlay(image, sem_seg, range(len(self.classes)), self.palette)

    def draw_ids(self, image: np.ndarray, id_map: np.ndarray) -> np.ndarray:
        """Draw segments or instances, a colour for each id, the same in all frames.

        Args:
            image (np.ndarray): Frame, (H, W, 3).
            id_map (np.ndarray): Ids, (H, W), int32; 0 is left out.

        Returns:
            np.ndarray: Picture at the size of a panel.
        """
        ids = [index for index in np.unique(id_map) if index > 0]
        return self._overlay(image, id_map, ids, stable_colors(ids))

    def draw_prediction(self, image: np.ndarray, sample: BaseDataElement) -> Optional[np.ndarray]:
        """Draw what a model predicted for a frame: classes (VSS), segments (VPS) or instances (VIS).

        Args:
            image (np.ndarray): Frame, (H, W, 3).
            sample (BaseDataElement): Sample with ``pred_sem_seg``, ``pred_panoptic_seg`` or ``pred_track_instances``.

        Returns:
            np.ndarray | None: Picture at the size of a panel; None if the sample has no prediction.
        """
        if 'pred_sem_seg' in sample:
            return self.draw_sem_seg(image, sample.pred_sem_seg.sem_seg[0].cpu().numpy())
        if 'pred_panoptic_seg' in sample:
            return self.draw_ids(image, sample.pred_panoptic_seg.panoptic_seg[0].cpu().numpy())
        if 'pred_track_instances' in sample:
            instances = sample.pred_track_instances
            id_map = np.zeros(image.shape[:2], np.int32)
            for index in instances.scores.argsort().tolist():  # the surest ends on top
                id_map[instances.masks[index].cpu().numpy()] = int(instances.instances_ids[index]) + 1
            return self.draw_ids(image, id_map)
        return None

    def compose_panel(self, columns: Dict[str, np.ndarray], class_ids: Sequence[int] = ()) -> np.ndarray:
        """Put pictures of one frame side by side.

        Args:
            columns (dict[str, np.ndarray]): Picture by title, in order, all of the same aspect ratio.
            class_ids (Sequence[int]): Classes of the legend. Defaults to () (no legend).

        Returns:
            np.ndarray: The panel, (H', W', 3).
        """
        row = np.concatenate([titled(self.resize(image), title) for title, image in columns.items()], axis=1)
        width = row.shape[1] // len(columns)
        for index in range(1, len(columns)):
            row[:, index * width - 1:index * width + 1] = BACKGROUND  # where one picture ends and the next begins
        if not len(class_ids):
            return row
        ids = list(class_ids)
        return np.concatenate([row, legend_strip(row.shape[1], [self.classes[i] for i in ids], self.palette[ids])])

    def _overlay(self, image: np.ndarray, id_map: np.ndarray, ids: Sequence[int], colors: np.ndarray) -> np.ndarray:
        if image.shape[:2] != id_map.shape:
            raise ValueError(f'the map to draw has shape {id_map.shape}, its frame {image.shape[:2]}: they must agree')
        return overlay_segments(self.resize(image), self.resize(id_map, nearest=True), ids, colors, self.alpha)
