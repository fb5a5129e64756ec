# Copyright (c) The mmvc contributors. All rights reserved.
import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import mmcv
import numpy as np
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmvc.engine.ground_truth import GroundTruth
from mmvc.evaluation.metrics.frames import frame_name
from mmvc.registry import HOOKS
from mmvc.utils.atomic import atomic_write
from mmvc.utils.names import output_path
from mmvc.utils.normalisation import IMAGENET_MEAN, hidden_color
from mmvc.utils.patch_mask import expand_patch_mask
from mmvc.visualization import PanelDrawer, SegmentMap, VideoSegLocalVisualizer, VideoWriter

DEFAULT_ALPHA = 0.6


@HOOKS.register_module()
class VideoSegVisualizationHook(Hook):
    """Writes every tested video as pictures: input, ground truth and prediction side by side.

    The hook writes ``<show_dir>/<video>.mp4`` and ``<show_dir>/<video>/<frame>.jpg``, for all three tasks. Classes
    have the colours of the dataset's palette; every thing and every instance has its own colour. Segments are
    labelled, and a legend lists what occurs in the video. Ground truth is shown if the dataset has any.

    Args:
        show_dir (str, optional): Folder to write to. Defaults to None: ``videos`` in the work dir.
        fps (float): Frames per second of the videos. Defaults to 10.
        alpha (float, optional): Opacity of the colours over the image, from 0 to 1. Defaults to None: ``alpha`` of the
            config's :class:`VideoSegLocalVisualizer`, or 0.6 if the config has another visualizer.
        on_val (bool): Whether to write the validation videos too, to ``<show_dir>/val_<iteration>``.
            Defaults to False.
        score_thr (float): Instances with a lower score are not drawn (VIS). Defaults to 0.3.
    """

    def __init__(self,
                 show_dir: str | None = None,
                 fps: float = 10,
                 alpha: float | None = None,
                 on_val: bool = False,
                 score_thr: float = 0.3) -> None:
        self.show_dir = show_dir
        self.fps = fps
        self.alpha = alpha
        self.on_val = on_val
        self.score_thr = score_thr
        self._ground_truths: dict[str, GroundTruth | None] = {}

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                        outputs: Sequence[BaseDataElement] | None = None) -> None:
        """Write the videos of a batch."""
        self._write(runner, 'test', outputs, self._root(runner))

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                       outputs: Sequence[BaseDataElement] | None = None) -> None:
        """Write the videos of a batch, if ``on_val`` is set."""
        if self.on_val:
            self._write(runner, 'val', outputs, self._root(runner) / f'val_{runner.iter}')

    def _root(self, runner: Runner) -> Path:
        return Path(runner.work_dir, 'videos') if self.show_dir is None else Path(self.show_dir)

    def _ground_truth(self, runner: Runner, split: str) -> GroundTruth | None:
        """Ground truth of a split. Test inputs carry none, so it is read from the dataset's files."""
        if split not in self._ground_truths:
            try:
                self._ground_truths[split] = GroundTruth(runner.cfg[f'{split}_dataloader']['dataset'])
            except (KeyError, OSError, ValueError) as error:
                print_log(f'The videos show no ground truth: {error}', logger='current', level=logging.WARNING)
                self._ground_truths[split] = None
        return self._ground_truths[split]

    def _write(self, runner: Runner, split: str, outputs: Sequence[BaseDataElement] | None, root: Path) -> None:
        meta = (runner.test_dataloader if split == 'test' else runner.val_dataloader).dataset.metainfo
        visualizer = runner.visualizer
        alpha = visualizer.alpha if isinstance(visualizer, VideoSegLocalVisualizer) else DEFAULT_ALPHA
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        color = hidden_color(getattr(model, 'data_preprocessor', None))
        for sample in outputs or ():
            self.write_video(list(sample.video_data_samples), meta, root, self._ground_truth(runner, split), alpha,
                             color)

    def write_video(self,
                    frames: list[BaseDataElement],
                    meta: dict,
                    root: Path,
                    ground_truth: GroundTruth | None = None,
                    default_alpha: float = DEFAULT_ALPHA,
                    hidden_color: Sequence[float] = IMAGENET_MEAN) -> None:
        """Write one video.

        Args:
            frames (list[BaseDataElement]): Frames with predictions and the metainfo ``video_id``, ``frame_id``,
                ``ori_shape`` and ``img_path``.
            meta (dict): Metainfo of the dataset: ``classes`` and ``palette``.
            root (Path): Folder to write to.
            ground_truth (GroundTruth, optional): Source of the ground truth. Defaults to None: none is shown.
            default_alpha (float): Opacity of the colours, if the hook's ``alpha`` is None. Defaults to 0.6.
            hidden_color (Sequence[float]): RGB colour of pixels that masking hid. Defaults to the mean of ImageNet.
        """
        alpha = default_alpha if self.alpha is None else self.alpha
        drawer = PanelDrawer(meta['classes'], meta['palette'], alpha, hidden_color=hidden_color)
        legend, has_truth = drawer.legend(), False  # of the whole video: all its pictures have the same layout
        for frame in frames:
            truth = _true_segments(frame, ground_truth)
            legend.add(truth).add(self._prediction(frame, meta))
            has_truth |= truth is not None
        name = str(frames[0].video_id).replace('/', '_')
        folder = output_path(root, name)
        folder.mkdir(parents=True, exist_ok=True)
        with VideoWriter(output_path(root, name, suffix='.mp4'), self.fps) as video:
            for frame in frames:
                image = mmcv.imread(frame.img_path, channel_order='rgb')
                columns = dict(input=_masked_input(image, frame, drawer))
                if has_truth:
                    truth = _true_segments(frame, ground_truth)
                    columns['ground truth'] = image if truth is None else drawer.draw(image, truth)
                prediction = self._prediction(frame, meta)
                if prediction is not None:
                    columns['prediction'] = drawer.draw(image, prediction)
                panel = drawer.compose_panel(columns, legend)
                video.write(panel)
                picture = cv2.imencode('.jpg', panel[..., ::-1])[1].tobytes()
                atomic_write(output_path(folder, frame_name(frame.metainfo), suffix='.jpg'), picture, sync=False)

    def _prediction(self, frame: BaseDataElement, meta: dict) -> SegmentMap | None:
        return SegmentMap.from_sample(frame, len(meta['classes']), self.score_thr)


def _true_segments(frame: BaseDataElement, ground_truth: GroundTruth | None) -> SegmentMap | None:
    if ground_truth is None:
        return None
    return ground_truth.segments(str(frame.video_id), frame.frame_id, frame.ori_shape[:2])


def _masked_input(image: np.ndarray, frame: BaseDataElement, drawer: PanelDrawer) -> np.ndarray:
    """Hide the pixels that masking hid from the model."""
    if not frame.get('masked', False):
        return image
    hidden = expand_patch_mask(frame.patch_mask, frame.patch_size, *frame.img_shape[:2])
    if frame.get('flip', False) and frame.flip_direction == 'horizontal':  # the mask was made after the flip
        hidden = hidden[:, ::-1]
    return drawer.hide(image, hidden)
