# Copyright (c) The mmvc contributors. All rights reserved.
"""Measure how well a model segments masked videos.

As in "Rethinking Video Segmentation with Masked Video Consistency" (arXiv 2408.10627), Fig. 7.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvc.engine.ground_truth import GroundTruth
from mmvc.evaluation.functional import ConfusionMatrix, semantic_scores
from mmvc.models import BaseVideoSegmentor
from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError
from mmvc.visualization import PanelDrawer, SegmentMap

from .browsing import PatchMasking
from .pictures import PictureWriter, spread


@contextmanager
def mask_inputs(model: BaseVideoSegmentor, masking: PatchMasking) -> Iterator[list[np.ndarray]]:
    """Hide patches of the frames that a model segments. Hidden pixels are zero, as in training.

    The patches are drawn from the global RNG state of numpy. With ``masking.tube``, one mask is drawn and used until
    the end of the context, so use one context per video.

    Args:
        model (BaseVideoSegmentor): Any model.
        masking (PatchMasking): How to hide patches.

    Yields:
        list[np.ndarray]: Hidden pixels of each frame that the network got, bool (H, W) with padding.
    """
    hidden: list[np.ndarray] = []
    process_window = model.process_window

    def process_masked(frames: Tensor, state: Any = None) -> tuple[dict[str, Tensor], Any]:
        num_frames = frames.shape[1]
        for _ in range(num_frames):
            hidden.append(hidden[0] if masking.tube and hidden else masking.draw(*frames.shape[-2:]))
        pixels = torch.from_numpy(np.stack(hidden[-num_frames:]))[:, None].to(frames.device)
        return process_window(frames.masked_fill(pixels, 0.), state)

    model.process_window = process_masked  # type: ignore[method-assign]
    try:
        yield hidden
    finally:
        del model.process_window


@dataclass
class MaskedVideo:
    """The predictions for a video, clean and masked at several ratios.

    Attributes:
        predictions (dict[float, list[SegmentMap]]): Segments of each frame by mask ratio. Ratio 0 is the clean video.
        hidden (dict[float, list[np.ndarray]]): Hidden pixels of each frame by ratio, at the size of the network input,
            bool (h, w).
        counts (dict[float, np.ndarray]): Confusion matrix by ratio, see :class:`ConfusionMatrix`.
    """

    predictions: dict[float, list[SegmentMap]] = field(default_factory=dict)
    hidden: dict[float, list[np.ndarray]] = field(default_factory=dict)
    counts: dict[float, np.ndarray] = field(default_factory=dict)

    def miou(self) -> dict[float, float]:
        """Return the mIoU of the video by ratio, in [0, 1]."""
        return {ratio: semantic_scores(counts)['mIoU'] for ratio, counts in self.counts.items()}


class MaskedPrediction:
    """Segments the videos of a dataset while patches of their frames are hidden.

    The quality is measured as mIoU for all tasks: for VPS of the classes of the segments, for VIS of the classes of
    the instances and the background.

    Args:
        model (BaseVideoSegmentor): Model in evaluation mode.
        dataset (Any): Dataset whose test pipeline prepares the videos.
        ground_truth (GroundTruth): Ground truth of the same dataset.
        ratios (Sequence[float]): Mask ratios to try, each in (0, 1].
        patch_size (int): Side of a patch in pixels of the network input. Defaults to 32.
        tube (bool): Whether the same patches are hidden in all frames. Defaults to False.
        score_thr (float): Predicted instances with a lower score are left out (VIS). Defaults to 0.3.

    Raises:
        UsageError: A ratio is out of range.
    """

    def __init__(self,
                 model: BaseVideoSegmentor,
                 dataset: Any,
                 ground_truth: GroundTruth,
                 ratios: Sequence[float],
                 patch_size: int = 32,
                 tube: bool = False,
                 score_thr: float = 0.3) -> None:
        for ratio in ratios:
            check_number('a mask ratio', ratio, 0, 1, above=True)
        self.model = model
        self.dataset = dataset
        self.ground_truth = ground_truth
        self.maskings = {ratio: PatchMasking(patch_size, ratio, tube) for ratio in dict.fromkeys(ratios)}
        self.score_thr = score_thr
        self.num_classes = len(ground_truth.dataset.metainfo['classes'])

    def segment(self, video_id: str, seed: int = 0) -> MaskedVideo:
        """Segment a video, clean and at all mask ratios.

        Args:
            video_id (str): Name of the video.
            seed (int): Seed that decides which patches are hidden. Defaults to 0.

        Returns:
            MaskedVideo: The predictions and their confusion matrices.

        Raises:
            UsageError: There is no such video, or it has no ground truth.
        """
        item = self.dataset[self.ground_truth.index(video_id)]
        video, sample = item['inputs'], item['data_samples']
        height, width = sample[0].img_shape[:2]
        result = MaskedVideo()
        state = np.random.get_state()
        try:
            result.predictions[0.] = self._predict(video, sample)
            for ratio, masking in self.maskings.items():
                np.random.seed(seed)
                with mask_inputs(self.model, masking) as hidden:
                    result.predictions[ratio] = self._predict(video, sample)
                result.hidden[ratio] = [pixels[:height, :width] for pixels in hidden]
        finally:
            np.random.set_state(state)
        for ratio, frames in result.predictions.items():
            result.counts[ratio] = self._count(video_id, frames)
        return result

    def draw(self, video_id: str, result: MaskedVideo, ratio: float, drawer: PanelDrawer, out_dir: str,
             form: str = 'sheet', fps: float = 10, max_frames: int | None = None) -> Path:
        """Draw a video: input, ground truth, prediction, masked input and the prediction for the masked input.

        Args:
            video_id (str): Name of the video.
            result (MaskedVideo): Result of :meth:`segment`.
            ratio (float): Mask ratio to show.
            drawer (PanelDrawer): Draws the segments.
            out_dir (str): Folder to write to. The picture is named after the video and the ratio.
            form (str): See :class:`PictureWriter`. Defaults to 'sheet'.
            fps (float): Frames per second of a video. Defaults to 10.
            max_frames (int, optional): Number of frames to show, evenly spread. Defaults to None: all.

        Returns:
            Path: File or folder that was written.
        """
        frame_ids = spread(len(result.predictions[0.]), max_frames)
        miou, legend = result.miou(), drawer.legend()
        for index in frame_ids:
            legend.add(self._truth(video_id, index, result.predictions[0.][index].ids.shape))
            legend.add(result.predictions[0.][index]).add(result.predictions[ratio][index])
        with PictureWriter(out_dir, f'{video_id}_r{ratio:g}', drawer, legend, form, fps) as writer:
            for index in frame_ids:
                image = self.ground_truth.image(video_id, index)
                truth = self._truth(video_id, index, image.shape[:2])
                writer.add(Path(self.ground_truth.frames(video_id)[index]).stem, {
                    'input': image,
                    'ground truth': image if truth is None else drawer.draw(image, truth),
                    f'prediction, video mIoU {miou[0.]:.1%}': drawer.draw(image, result.predictions[0.][index]),
                    f'{ratio:.0%} masked': drawer.hide(image, result.hidden[ratio][index]),
                    f'prediction for it, video mIoU {miou[ratio]:.1%}': drawer.draw(
                        image, result.predictions[ratio][index]),
                })
        return writer.path

    @torch.no_grad()
    def _predict(self, video: Tensor, sample: TrackDataSample) -> list[SegmentMap]:
        sample = self.model.predict([video], [sample.clone()])[0]
        return [SegmentMap.of_prediction(frame, self.num_classes, self.score_thr) for frame in sample]

    def _truth(self, video_id: str, index: int, size: tuple[int, int]) -> SegmentMap | None:
        return self.ground_truth.segments(video_id, index, size)

    def _count(self, video_id: str, frames: Sequence[SegmentMap]) -> np.ndarray:
        """Count the confusion matrix of a video. For instances, the background is one more class."""
        num_classes, void = self.num_classes, ConfusionMatrix.NO_PREDICTION
        if self.ground_truth.task == 'vis':
            num_classes, void = self.num_classes + 1, self.num_classes
        confusion, labelled = ConfusionMatrix(num_classes, label_offset=0), 0
        for index, segments in enumerate(frames):
            truth = self._truth(video_id, index, segments.ids.shape)
            if truth is not None:
                confusion.update(truth.class_map(void), segments.class_map(void))
                labelled += 1
        if not labelled:
            raise UsageError(f'video "{video_id}" has no ground truth to measure with: choose another video or split')
        return confusion.counts


def summarize(results: dict[str, MaskedVideo]) -> dict[str, Any]:
    """Summarize over all videos how much masking lowers the mIoU.

    Args:
        results (dict[str, MaskedVideo]): Results by name of the video.

    Returns:
        dict: In percent, ``mIoU`` and ``fall`` (clean minus masked mIoU) over all pixels of all videos, and the mIoU
        of each of the ``videos``. The keys of each dict are the ratios as text.
    """
    ratios = list(next(iter(results.values())).counts)
    counts = {ratio: reduce(np.add, (result.counts[ratio] for result in results.values())) for ratio in ratios}
    miou = {ratio: 100 * semantic_scores(of_ratio)['mIoU'] for ratio, of_ratio in counts.items()}
    return dict(
        mIoU={f'{ratio:g}': value for ratio, value in miou.items()},
        fall={f'{ratio:g}': miou[0.] - value for ratio, value in miou.items() if ratio},
        videos={name: {f'{ratio:g}': 100 * value for ratio, value in result.miou().items()}
                for name, result in results.items()})
