# Copyright (c) The mmvc contributors. All rights reserved.
from typing import Optional

import mmcv
import numpy as np
from mmengine.dist import master_only
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from mmvc.registry import VISUALIZERS

from .panel import PanelDrawer


@VISUALIZERS.register_module()
class VideoSegLocalVisualizer(Visualizer):
    """Visualizer of video segmentation, for single frames (for whole videos: ``VideoSegVisualizationHook``).

    Args:
        name (str): Name of the instance. Defaults to 'visualizer'.
        alpha (float): Strength of the colours over the image, from 0 to 1. Defaults to 0.6.
        min_width (int): Smaller frames are enlarged to this width. Defaults to 320.
        **kwargs: As for :class:`mmengine.visualization.Visualizer`.
    """

    def __init__(self, name: str = 'visualizer', alpha: float = 0.6, min_width: int = 320, **kwargs) -> None:
        super().__init__(name, **kwargs)
        self.alpha = alpha
        self.min_width = min_width

    @master_only
    def add_datasample(self,
                       name: str,
                       image: np.ndarray,
                       data_sample: Optional[BaseDataElement] = None,
                       gt_sem_seg: Optional[np.ndarray] = None,
                       show: bool = False,
                       wait_time: float = 0,
                       out_file: Optional[str] = None,
                       step: int = 0) -> None:
        """Draw a frame and hand it to the visual backends, a window or a file.

        Args:
            name (str): Name of the picture.
            image (np.ndarray): Frame, RGB, uint8, (H, W, 3).
            data_sample (BaseDataElement, optional): Sample of the frame with a prediction. Defaults to None.
            gt_sem_seg (np.ndarray, optional): Ground truth, class indices, (H, W). Defaults to None.
            show (bool): Whether to open a window. Defaults to False.
            wait_time (float): Seconds to show it; 0 waits for a key. Defaults to 0.
            out_file (str, optional): Image file to write. Defaults to None.
            step (int): Global step of the picture. Defaults to 0.

        Raises:
            ValueError: If ``dataset_meta`` has no classes and palette.
        """
        meta = self.dataset_meta or {}
        if 'classes' not in meta or 'palette' not in meta:
            raise ValueError('the visualizer knows no classes and colours: set dataset_meta = dict(classes=..., '
                             'palette=...)')
        drawer = PanelDrawer(meta['classes'], meta['palette'], self.alpha, self.min_width)
        columns = dict(input=image)
        occurring = set()
        if gt_sem_seg is not None:
            columns['ground truth'] = drawer.draw_sem_seg(image, gt_sem_seg)
            occurring.update(np.unique(gt_sem_seg).tolist())
        prediction = None if data_sample is None else drawer.draw_prediction(image, data_sample)
        if prediction is not None:
            columns['prediction'] = prediction
            if 'pred_sem_seg' in data_sample:
                occurring.update(data_sample.pred_sem_seg.sem_seg.unique().tolist())
        panel = drawer.compose_panel(columns, sorted(occurring & set(range(len(drawer.classes)))))
        self.set_image(panel)
        if show:
            self.show(panel, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(panel[..., ::-1], out_file)
        else:
            self.add_image(name, panel, step)
