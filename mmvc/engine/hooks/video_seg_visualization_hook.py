# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path
from typing import List, Optional, Sequence

import cv2
import mmcv
import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmvc.datasets.transforms.patch_mask import expand_patch_mask
from mmvc.evaluation.functional import read_label_map
from mmvc.registry import HOOKS
from mmvc.visualization import PanelDrawer, VideoWriter

VOID = 255


@HOOKS.register_module()
class VideoSegVisualizationHook(Hook):
    """Writes every tested video as something to watch: input, ground truth and prediction side by side.

    ``<show_dir>/<video>.mp4`` and ``<show_dir>/<video>/<frame>.jpg``, with the palette of the dataset and a legend of
    the classes that occur in the video. Ground truth is shown where frames have a semantic ``seg_map_path``.

    Args:
        show_dir (str, optional): Folder to write to. Defaults to None: ``videos`` in the work dir.
        fps (float): Frames per second of the videos. Defaults to 10.
        alpha (float): Strength of the colours over the image, from 0 to 1. Defaults to 0.6.
        on_val (bool): Whether to write the validation videos as well, to ``<show_dir>/val_<iteration>``.
            Defaults to False.
    """

    def __init__(self, show_dir: Optional[str] = None, fps: float = 10, alpha: float = 0.6,
                 on_val: bool = False) -> None:
        self.show_dir = show_dir
        self.fps = fps
        self.alpha = alpha
        self.on_val = on_val

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                        outputs: Optional[Sequence[BaseDataElement]] = None) -> None:
        """Write the videos of a batch."""
        self._write(outputs, runner.test_dataloader.dataset.metainfo, self._root(runner))

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                       outputs: Optional[Sequence[BaseDataElement]] = None) -> None:
        """Write the videos of a batch, if asked to."""
        if self.on_val:
            self._write(outputs, runner.val_dataloader.dataset.metainfo, self._root(runner) / f'val_{runner.iter}')

    def _root(self, runner: Runner) -> Path:
        return Path(runner.work_dir, 'videos') if self.show_dir is None else Path(self.show_dir)

    def _write(self, outputs: Sequence[BaseDataElement], meta: dict, root: Path) -> None:
        for sample in outputs:
            self.write_video(list(sample.video_data_samples), meta, root)

    def write_video(self, frames: List[BaseDataElement], meta: dict, root: Path) -> None:
        """Write one video.

        Args:
            frames (list[BaseDataElement]): Frames with predictions and the metainfo ``video_id`` and ``img_path``.
            meta (dict): Metainfo of the dataset: ``classes``, ``palette`` and, for ground truth, ``label_offset``.
            root (Path): Folder to write to.
        """
        drawer = PanelDrawer(meta['classes'], meta['palette'], self.alpha)
        class_ids = self._occurring_classes(frames, meta)
        name = str(frames[0].video_id).replace('/', '_')
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        with VideoWriter(root / f'{name}.mp4', self.fps) as video:
            for frame in frames:
                panel = self._panel(drawer, frame, meta, class_ids)
                video.write(panel)
                mmcv.imwrite(panel[..., ::-1], str(folder / f'{Path(frame.img_path).stem}.jpg'))

    def _panel(self, drawer: PanelDrawer, frame: BaseDataElement, meta: dict, class_ids: List[int]) -> np.ndarray:
        image = mmcv.imread(frame.img_path, channel_order='rgb')
        columns = dict(input=_hide_patches(image, frame))
        gt_sem_seg = _ground_truth(frame, meta)
        if gt_sem_seg is not None:
            columns['ground truth'] = drawer.draw_sem_seg(image, gt_sem_seg)
        prediction = drawer.draw_prediction(image, frame)
        if prediction is not None:
            columns['prediction'] = prediction
        return drawer.compose_panel(columns, class_ids)

    @staticmethod
    def _occurring_classes(frames: List[BaseDataElement], meta: dict) -> List[int]:
        """Classes in the ground truth or prediction of any frame: the legend keeps still over the video."""
        found = set()
        for frame in frames:
            gt_sem_seg = _ground_truth(frame, meta)
            if gt_sem_seg is not None:
                found.update(np.unique(gt_sem_seg).tolist())
            if 'pred_sem_seg' in frame:
                found.update(frame.pred_sem_seg.sem_seg.unique().tolist())
        return sorted(found & set(range(len(meta['classes']))))


def _ground_truth(frame: BaseDataElement, meta: dict) -> Optional[np.ndarray]:
    """Class indices (H, W) uint8 of a frame, 255 = void, or None if it has no semantic ground truth."""
    if frame.get('seg_map_path') is None or 'label_offset' not in meta:
        return None
    classes = read_label_map(frame.seg_map_path).astype(np.int32) - meta['label_offset']
    classes[(classes < 0) | (classes >= len(meta['classes']))] = VOID
    return classes.astype(np.uint8)


def _hide_patches(image: np.ndarray, frame: BaseDataElement) -> np.ndarray:
    """Blacken what masking hid from the model."""
    if not frame.get('masked', False):
        return image
    hidden = expand_patch_mask(frame.patch_mask, frame.patch_size, *frame.img_shape[:2]).astype(np.uint8)
    if frame.get('flip', False) and frame.flip_direction == 'horizontal':  # masked as the model saw it
        hidden = hidden[:, ::-1]
    hidden = cv2.resize(hidden, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return image * (1 - hidden[..., None])
