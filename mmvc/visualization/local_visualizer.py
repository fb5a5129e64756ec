# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.dist import master_only
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from mmvc.registry import VISUALIZERS
from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import UsageError

from .panel import PanelDrawer
from .segment_map import SegmentMap


@VISUALIZERS.register_module()
class VideoSegLocalVisualizer(Visualizer):
    """Visualizer of single frames (for whole videos, use ``VideoSegVisualizationHook``).

    It has the interface of the visualizers of mmdet and mmseg, so their visualization hooks can use it.

    Args:
        name (str): Name of the instance. Defaults to 'visualizer'.
        alpha (float): Opacity of the colours over the image, from 0 to 1. Defaults to 0.6.
        min_width (int): Narrower frames are enlarged to this width, in pixels. Defaults to 320.
        **kwargs: As for :class:`mmengine.visualization.Visualizer`.
    """

    def __init__(self, name: str = 'visualizer', alpha: float = 0.6, min_width: int = 320, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.alpha = alpha
        self.min_width = min_width

    @master_only
    def add_datasample(self,
                       name: str,
                       image: np.ndarray,
                       data_sample: BaseDataElement | None = None,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       show: bool = False,
                       wait_time: float = 0,
                       out_file: str | None = None,
                       pred_score_thr: float = 0.3,
                       step: int = 0) -> None:
        """Draw a frame, and send it to the visualization backends, a window or a file.

        Args:
            name (str): Name of the picture.
            image (np.ndarray): Frame, RGB, uint8, (H, W, 3).
            data_sample (BaseDataElement, optional): Sample of the frame: its prediction (``pred_sem_seg``,
                ``pred_panoptic_seg`` or ``pred_track_instances``) and ground truth (``gt_instances`` as packed by
                :class:`PackVideoSegInputs`, or ``gt_sem_seg``). Defaults to None.
            draw_gt (bool): Whether to draw the ground truth, if the sample has it. Defaults to True.
            draw_pred (bool): Whether to draw the prediction, if the sample has it. Defaults to True.
            show (bool): Whether to open a window. Defaults to False.
            wait_time (float): Seconds to show the window; 0 waits for a key. Defaults to 0.
            out_file (str, optional): Image file to write, instead of using the backends. Defaults to None.
            pred_score_thr (float): Instances with a lower score are not drawn (VIS). Defaults to 0.3.
            step (int): Global step of the picture. Defaults to 0.

        Raises:
            UsageError: ``dataset_meta`` has no classes or no palette.
        """
        meta = self.dataset_meta or {}
        if 'classes' not in meta or 'palette' not in meta:
            raise UsageError('the visualizer has no classes or no colours: set visualizer.dataset_meta = '
                             'dict(classes=..., palette=...)')
        drawer = PanelDrawer(meta['classes'], meta['palette'], self.alpha, self.min_width)
        found = {}
        if data_sample is not None and draw_gt:
            found['ground truth'] = _ground_truth(data_sample, meta)
        if data_sample is not None and draw_pred:
            found['prediction'] = SegmentMap.from_sample(data_sample, len(meta['classes']), pred_score_thr)
        layers = {title: segments for title, segments in found.items() if segments is not None}
        columns = dict(input=image, **{title: drawer.draw(image, segments) for title, segments in layers.items()})
        panel = drawer.compose_panel(columns, drawer.legend(*layers.values()))
        self.set_image(panel)
        if show:
            self.show(panel, win_name=name, wait_time=wait_time)
        if out_file is not None:
            picture = cv2.imencode(Path(out_file).suffix, panel[..., ::-1])[1].tobytes()
            atomic_write(out_file, picture, sync=False)
        else:
            self.add_image(name, panel, step)


def _ground_truth(sample: BaseDataElement, meta: dict) -> SegmentMap | None:
    if 'gt_sem_seg' in sample:
        return SegmentMap.from_pixel_data(sample.gt_sem_seg, len(meta['classes']))
    if 'gt_instances' not in sample or 'instances_ids' not in sample.gt_instances or not sample.get('labelled', True):
        return None
    instances = sample.gt_instances
    if instances.instances_ids.equal(instances.labels):  # VSS: class regions, no tracks
        return SegmentMap.from_entities(instances, ())
    things = meta.get('thing_classes')
    return SegmentMap.from_entities(
        instances, None if things is None else [meta['classes'].index(name) for name in things])
