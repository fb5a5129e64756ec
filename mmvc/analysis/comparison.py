# Copyright (c) The mmvc contributors. All rights reserved.
"""Draw the predictions of several models for the same videos side by side, and mark their differences."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from mmvc.engine.ground_truth import GroundTruth
from mmvc.utils.errors import UsageError
from mmvc.visualization import Legend, PanelDrawer, SegmentMap, outline_region

from .pictures import PictureWriter, spread
from .predictions import PredictionFiles

WRONG = (255, 40, 40)
# One colour per model, in order, from the palette of Okabe and Ito, which suits colour-blind readers.
MODEL_COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167))
_VOID = -2
_BRUSH = np.ones((5, 5), np.uint8)  # thinner wrong regions are not outlined: all predictions have them at borders


class SegmentMatcher:
    """Matches the segments of a prediction with those of a reference over a whole video.

    The matching is one to one, between segments of the same class. It maximizes the number of common pixels.
    """

    def __init__(self) -> None:
        self._common: Counter = Counter()

    def add(self, reference: SegmentMap, segments: SegmentMap) -> None:
        """Count the common pixels of a frame."""
        true_ids, true_index = np.unique(reference.ids, return_inverse=True)
        ids, index = np.unique(segments.ids, return_inverse=True)
        counts = np.bincount(true_index.ravel() * len(ids) + index.ravel(), minlength=len(true_ids) * len(ids))
        for cell in np.flatnonzero(counts):
            true_id, own_id = int(true_ids[cell // len(ids)]), int(ids[cell % len(ids)])
            label = reference.classes.get(true_id)
            if label is not None and label == segments.classes.get(own_id):
                self._common[true_id, own_id] += int(counts[cell])

    def match(self) -> dict[int, int]:
        """Match the segments of all frames that were added.

        Returns:
            dict[int, int]: Id in the prediction -> id in the reference.
        """
        true_ids, ids = (sorted({pair[side] for pair in self._common}) for side in (0, 1))
        pixels = np.array([[self._common[true_id, own_id] for own_id in ids] for true_id in true_ids])
        pixels = pixels.reshape(len(true_ids), len(ids))
        return {ids[column]: true_ids[row] for row, column in zip(*linear_sum_assignment(pixels, maximize=True))
                if pixels[row, column]}


def rename_segments(segments: SegmentMap, names: dict[int, int]) -> SegmentMap:
    """Give segments the ids of their matches, so that both have the same colour.

    Args:
        segments (SegmentMap): Prediction.
        names (dict[int, int]): Old id -> new id, for all segments that are present.

    Returns:
        SegmentMap: Copy with the new ids. Pixels without a segment are -2.
    """
    ids = np.full(segments.ids.shape, _VOID, np.int64)
    present = segments.present()
    for index in present:
        ids[segments.ids == index] = names[index]
    return SegmentMap(ids, {names[index]: segments.classes[index] for index in present},
                      frozenset(names[index] for index in present if index in segments.tracks))


def find_wrong(reference: SegmentMap, segments: SegmentMap, with_void: bool) -> np.ndarray:
    """Find the pixels where a renamed prediction differs from the reference.

    Args:
        reference (SegmentMap): Ground truth.
        segments (SegmentMap): Prediction, renamed by :func:`rename_segments`.
        with_void (bool): Whether pixels without a segment in the reference count. They do for instances.

    Returns:
        np.ndarray: Wrong pixels, bool (H, W).
    """
    known = np.isin(reference.ids, list(reference.classes))
    wrong = np.where(known, reference.ids, _VOID) != segments.ids
    return wrong if with_void else wrong & known


def draw_differences(image: np.ndarray, wrong: Sequence[np.ndarray]) -> np.ndarray:
    """Draw where models differ, on the grey image.

    Pixels where all models are right stay grey. Where only some are right, the pixel has the colour of the first of
    them. Where none is right, it is red.

    Args:
        image (np.ndarray): Frame in RGB, uint8 (H, W, 3).
        wrong (Sequence[np.ndarray]): Wrong pixels of each model, bool (H, W).

    Returns:
        np.ndarray: Picture in RGB, uint8 (H, W, 3).
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) // 2
    out = np.repeat(grey[..., None], 3, axis=2)
    stacked = np.stack(wrong)
    out[stacked.all(axis=0)] = WRONG
    differ = stacked.any(axis=0) & ~stacked.all(axis=0)
    out[differ] = np.array(MODEL_COLORS, np.uint8)[(~stacked).argmax(axis=0)[differ]]
    return out


class VideoComparison:
    """Compares predictions with the ground truth of a dataset, or with the first prediction if there is none.

    Args:
        dataset (GroundTruth): The videos.
        models (dict[str, PredictionFiles]): Predictions of two to five models by name.
        drawer (PanelDrawer): Draws the segments.

    Raises:
        UsageError: There are too few or too many models.
    """

    def __init__(self, dataset: GroundTruth, models: dict[str, PredictionFiles], drawer: PanelDrawer) -> None:
        if not 1 < len(models) <= len(MODEL_COLORS):
            raise UsageError(f'two to {len(MODEL_COLORS)} models can be compared, got {len(models)}')
        self.dataset = dataset
        self.models = models
        self.drawer = drawer

    def write(self, video_id: str, out_dir: str, form: str = 'video', fps: float = 10,
              max_frames: int | None = None) -> tuple[Path, dict[str, float]]:
        """Draw a video with the predictions of all models.

        Args:
            video_id (str): Name of the video.
            out_dir (str): Folder to write to.
            form (str): See :class:`PictureWriter`. Defaults to 'video'.
            fps (float): Frames per second of a video. Defaults to 10.
            max_frames (int, optional): Number of frames to show, evenly spread. Only these frames are used to match
                segments. Defaults to None: all.

        Returns:
            tuple[Path, dict[str, float]]: File or folder that was written, and the share of right pixels by name of
            the model. Without ground truth, a pixel is right if it agrees with the first model.
        """
        paths = self.dataset.frames(video_id)
        frame_ids = spread(len(paths), max_frames)
        renamed, legend, has_truth = self._match(video_id, frame_ids)
        with_void = self.dataset.task == 'vis' or not has_truth
        right: Counter[str] = Counter()
        total = 0
        with PictureWriter(out_dir, video_id, self.drawer, legend, form, fps) as writer:
            for frame_id in frame_ids:
                image = self.dataset.image(video_id, frame_id)
                reference, predicted = self._read(video_id, frame_id, image.shape[:2], has_truth)
                counted = np.isin(reference.ids, list(reference.classes)) | with_void
                total += int(counted.sum())
                columns, marks = dict(input=image), []
                if has_truth:
                    columns['ground truth'] = self.drawer.draw(image, reference)
                for name, segments in predicted.items():
                    segments = rename_segments(segments, renamed[name])
                    wrong = find_wrong(reference, segments, with_void)
                    right[name] += int((counted & ~wrong).sum())
                    title = f'{name}  {1 - wrong.sum() / max(counted.sum(), 1):.1%}' if has_truth else name
                    columns[title] = self._outlined(self.drawer.draw(image, segments), wrong)
                    marks.append(wrong)
                title = 'differences' if has_truth else f'differences  {np.any(marks, axis=0).mean():.1%}'
                columns[title] = draw_differences(image, marks)
                writer.add(Path(paths[frame_id]).stem, columns)
        return writer.path, {name: right[name] / max(total, 1) for name in self.models}

    def _match(self, video_id: str, frame_ids: Sequence[int]) -> tuple[dict[str, dict[int, int]], Legend, bool]:
        """Match the segments; return the new ids of each model, the legend, and whether there is ground truth."""
        sizes = {frame_id: self.dataset.image(video_id, frame_id).shape[:2] for frame_id in frame_ids}
        has_truth = any(self.dataset.segments(video_id, *frame) is not None for frame in sizes.items())
        matchers = {name: SegmentMatcher() for name in self.models}
        seen: dict[str, dict[int, tuple[int, bool]]] = {name: {} for name in self.models}
        legend, first_free = self.drawer.legend(), 0
        for frame_id, size in sizes.items():
            reference, predicted = self._read(video_id, frame_id, size, has_truth)
            legend.add(reference)
            first_free = max([first_free, *(index + 1 for index in reference.classes)])
            for name, segments in predicted.items():
                matchers[name].add(reference, segments)
                seen[name].update({index: (segments.classes[index], index in segments.tracks)
                                   for index in segments.present()})
        renamed = {}
        for name, of_model in seen.items():
            matched = matchers[name].match()
            renamed[name] = {index: matched.get(index, first_free + index) for index in of_model}
            for index, (label, is_track) in of_model.items():
                legend.add_segment(label, renamed[name][index] if is_track else None)
        if has_truth:
            for name, color in zip(self.models, MODEL_COLORS):
                legend.mark(f'right: {name}' if len(self.models) > 2 else f'only {name} is right', color)
        legend.mark('none is right' if has_truth else 'they differ', WRONG)
        return renamed, legend, has_truth

    def _read(self, video_id: str, frame_id: int, size: tuple[int, int],
              has_truth: bool) -> tuple[SegmentMap, dict[str, SegmentMap]]:
        """Read the reference and the predictions of a frame."""
        name = Path(self.dataset.frames(video_id)[frame_id]).stem
        predicted = {model: files.segments(video_id, frame_id, name, size) for model, files in self.models.items()}
        if not has_truth:
            return next(iter(predicted.values())), predicted
        truth = self.dataset.segments(video_id, frame_id, size)
        return SegmentMap(np.full(size, _VOID), {}) if truth is None else truth, predicted

    def _outlined(self, picture: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        """Outline the wrong regions of a picture."""
        region = self.drawer.resize(wrong.astype(np.uint8), nearest=True)
        return outline_region(picture, cv2.morphologyEx(region, cv2.MORPH_OPEN, _BRUSH) > 0, WRONG)
