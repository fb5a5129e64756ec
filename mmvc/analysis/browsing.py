# Copyright (c) The mmvc contributors. All rights reserved.
"""What a model is trained on: images, ground truth and the masking of Masked Video Consistency."""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmdet.structures import TrackDataSample
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmvc.engine.ground_truth import GroundTruth, dataset_task
from mmvc.registry import DATASETS, TRANSFORMS
from mmvc.utils.patch_mask import draw_patch_mask, expand_patch_mask
from mmvc.visualization import PanelDrawer, SegmentMap, hide_pixels

from .pictures import PictureWriter, spread

MASKS = ('RandomPatchMask', 'TubeMask')


class PatchMasking(NamedTuple):
    """How patches are hidden.

    Attributes:
        patch_size (int): Side of a patch in pixels.
        mask_ratio (float): Expected share of hidden patches, in [0, 1].
        tube (bool): Whether the frames of a clip share their mask (MVC-2), instead of drawing their own (MVC-1).
    """

    patch_size: int = 32
    mask_ratio: float = 0.7
    tube: bool = False

    def draw(self, height: int, width: int) -> np.ndarray:
        """Draw the hidden pixels of a frame, bool (H, W)."""
        grid = draw_patch_mask(height, width, self.patch_size, self.mask_ratio)
        return expand_patch_mask(grid, self.patch_size, height, width)


class BrowsedFrame(NamedTuple):
    """A frame to look at.

    Attributes:
        name (str): Name of the frame.
        image (np.ndarray): RGB, uint8, (H, W, 3), not masked.
        segments (SegmentMap, optional): Its ground truth.
        hidden (np.ndarray, optional): What masking hides, bool (H, W).
        patch_size (int): Side of a patch in pixels; 0 without masking.
    """

    name: str
    image: np.ndarray
    segments: SegmentMap | None
    hidden: np.ndarray | None
    patch_size: int

    def columns(self, drawer: PanelDrawer) -> dict[str, np.ndarray]:
        """Pictures by title: image, ground truth and, where there is masking, the masked image."""
        columns = dict(image=self.image)
        if self.segments is not None:
            columns['ground truth'] = drawer.draw(self.image, self.segments)
        if self.hidden is not None:
            title = f'masked: {self.hidden.mean():.0%} of the pixels, patches of {self.patch_size}'
            columns[title] = hide_pixels(self.image, self.hidden)
        return columns


class TrainingClips:
    """The clips that a training pipeline makes, clean and masked.

    A masking transform of the pipeline draws a mask for every clip here, where training leaves some of them clean.

    Args:
        dataset (dict): Config of a dataset with its pipeline, one of videos or, for MMSegmentation, of images.
        masking (PatchMasking, optional): Masking in the place of the pipeline's own. Defaults to None.

    Attributes:
        metainfo (dict): Metainfo of the dataset: ``classes``, ``palette``, ...
    """

    def __init__(self, dataset: dict, masking: PatchMasking | None = None) -> None:
        dataset = deepcopy(dict(dataset))
        inner = dataset
        while 'pipeline' not in inner and 'dataset' in inner:
            inner['dataset'] = deepcopy(dict(inner['dataset']))
            inner = inner['dataset']
        inner['pipeline'] = record_masks(inner.get('pipeline', ()), masking)
        self._dataset = DATASETS.build(dataset)
        self.metainfo = self._dataset.metainfo
        self._task = dataset_task(self._dataset)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[str, list[BrowsedFrame]]:
        """Make a clip.

        Args:
            index (int): Position of the video (or image) in the dataset.

        Returns:
            tuple[str, list[BrowsedFrame]]: Name of the video, and the frames of the clip.
        """
        item = self._dataset[index]
        inputs, samples = _unpack(item['inputs'], item['data_samples'])
        frames = [self._frame(image, sample) for image, sample in zip(inputs, samples)]
        return str(samples[0].get('video_id', Path(samples[0].img_path).stem)), frames

    def _frame(self, image: Tensor, sample: BaseDataElement) -> BrowsedFrame:
        picture = np.ascontiguousarray(image.numpy().transpose(1, 2, 0)[..., ::-1])
        hidden, patch_size = None, 0
        if sample.get('patch_mask') is not None:
            patch_size = sample.patch_size
            hidden = expand_patch_mask(sample.patch_mask, patch_size, *picture.shape[:2])
        return BrowsedFrame(Path(sample.img_path).stem, picture, self._segments(sample), hidden, patch_size)

    def _segments(self, sample: BaseDataElement) -> SegmentMap | None:
        if 'gt_sem_seg' in sample:
            return SegmentMap.from_pixel_data(sample.gt_sem_seg, len(self.metainfo['classes']))
        if 'gt_instances' not in sample:
            return None
        names = dict(vss=(), vps=self.metainfo.get('thing_classes', ()), vis=self.metainfo['classes'])[self._task]
        return SegmentMap.from_entities(sample.gt_instances, [self.metainfo['classes'].index(name) for name in names])


class WholeVideo:
    """Frames of a video as they are stored, read anew at each iteration.

    Args:
        ground_truth (GroundTruth): The dataset.
        video_id (str): Name of the video.
        max_frames (int, optional): Frames to show, evenly spread. Defaults to None: all.
        masking (PatchMasking, optional): Masking to apply. Defaults to None.
    """

    def __init__(self,
                 ground_truth: GroundTruth,
                 video_id: str,
                 max_frames: int | None = None,
                 masking: PatchMasking | None = None) -> None:
        self.ground_truth = ground_truth
        self.video_id = video_id
        self.paths = ground_truth.frames(video_id)
        self.frame_ids = spread(len(self.paths), max_frames)
        self.masking = masking

    def __iter__(self) -> Iterator[BrowsedFrame]:
        """Iterate over the frames."""
        hidden, patch_size = None, self.masking.patch_size if self.masking else 0
        for index in self.frame_ids:
            image = self.ground_truth.image(self.video_id, index)
            size = image.shape[:2]
            if self.masking is not None and (hidden is None or not self.masking.tube or hidden.shape != size):
                hidden = self.masking.draw(*size)
            yield BrowsedFrame(
                Path(self.paths[index]).stem, image, self.ground_truth.segments(self.video_id, index, size), hidden,
                patch_size)


def draw_clip(frames: Iterable[BrowsedFrame], drawer: PanelDrawer, out_dir: str, name: str, form: str = 'sheet',
              fps: float = 10) -> Path:
    """Write a clip: image, ground truth and masked image side by side, with a legend.

    Args:
        frames (Iterable[BrowsedFrame]): Its frames; iterated over twice.
        drawer (PanelDrawer): Draws the ground truth.
        out_dir (str): Folder to write to.
        name (str): Name of the clip.
        form (str): See :class:`PictureWriter`. Defaults to 'sheet'.
        fps (float): Frames per second of a video. Defaults to 10.

    Returns:
        Path: What was written.
    """
    legend = drawer.legend(*(frame.segments for frame in frames))
    with PictureWriter(out_dir, name, drawer, legend, form, fps) as writer:
        for position, frame in enumerate(frames):
            writer.add(f'{position:05d}_{frame.name}', frame.columns(drawer))
    return writer.path


def record_masks(pipeline: Sequence[dict], masking: PatchMasking | None = None) -> list[dict]:
    """Let a pipeline draw masks and tell them, but leave the images clean.

    Args:
        pipeline (Sequence[dict]): Transforms; the last one packs.
        masking (PatchMasking, optional): Masking in the place of the pipeline's own. Defaults to None.

    Returns:
        list[dict]: Changed copy.
    """
    pipeline = [deepcopy(dict(transform)) for transform in pipeline]
    if masking is not None:
        pipeline = [transform for transform in pipeline if _name(transform) not in MASKS]
        own = dict(type=f'mmvc.{MASKS[masking.tube]}', patch_size=masking.patch_size, mask_ratio=masking.mask_ratio)
        pipeline.insert(len(pipeline) - 1, own)
    for transform in pipeline:
        if _name(transform) in MASKS:
            transform.update(mode='sum', prob=None)
        elif _name(transform) == 'PackSegInputs':  # of MMSegmentation: drops what it is not told to keep
            transform['meta_keys'] = (*_meta_keys(transform), 'patch_mask', 'patch_size')
    return pipeline


def _meta_keys(transform: dict) -> Sequence[str]:
    if 'meta_keys' in transform:
        return transform['meta_keys']
    return inspect.signature(TRANSFORMS.get(transform['type'])).parameters['meta_keys'].default


def _name(transform: dict) -> str:
    kind = transform['type']
    return kind.split('.')[-1] if isinstance(kind, str) else kind.__name__


def _unpack(inputs: Tensor, sample: Any) -> tuple[Tensor, list[BaseDataElement]]:
    """Frames and their samples; an image is a clip of one."""
    if isinstance(sample, TrackDataSample):
        return inputs, list(sample.video_data_samples)
    return inputs[None], [sample]
