# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence
from pathlib import Path

import cv2
from mmdet.structures import TrackDataSample
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvc.registry import HOOKS
from mmvc.utils.atomic import atomic_write
from mmvc.utils.names import output_path


@HOOKS.register_module()
class VoteMarginHook(Hook):
    """Writes the vote margins of :class:`VideoSegTTAModel` (``with_margin=True``) to image files.

    Category correction uses them to find uncertain segments. The files are ``<output_dir>/<video>/<frame>.png`` with
    8 bits per pixel, see :func:`vote_margin`.

    Args:
        output_dir (str): Folder to write to.
    """

    def __init__(self, output_dir: str) -> None:
        self.output_dir = Path(output_dir)

    def after_test_iter(self,
                        runner: Runner,
                        batch_idx: int,
                        data_batch: dict | None = None,
                        outputs: Sequence[TrackDataSample] | None = None) -> None:
        """Write the margins of a batch of videos."""
        for sample in outputs or ():
            for frame in sample:
                margin = frame.pred_sem_seg.margin[0].cpu().numpy()
                frame_name = frame.get('frame_name') or Path(frame.img_path).stem
                path = output_path(self.output_dir, frame.video_id, frame_name, suffix='.png')
                atomic_write(path, cv2.imencode('.png', margin)[1].tobytes(), sync=False)
