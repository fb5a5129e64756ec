# Copyright (c) The mmvc contributors. All rights reserved.
"""Show training data: images, ground truth and the masks of Masked Video Consistency."""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmdet.structures import TrackDataSample
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmvc.engine.data_files import data_files
from mmvc.engine.ground_truth import GroundTruth, dataset_task
from mmvc.registry import DATASETS, TRANSFORMS
from mmvc.utils.patch_mask import draw_patch_mask, expand_patch_mask
from mmvc.utils.type_names import type_class, type_name
from mmvc.visualization import PanelDrawer, SegmentMap

from .pictures import PictureWriter, spread

NOT_LABELLED_GREY = 127
MASKING_TRANSFORMS = ('RandomPatchMask', 'TubeMask')


class PatchMasking(NamedTuple):
    """How patches of frames are hidden.

    Attributes:
        patch_size (int): Side of a patch in pixels.
        mask_ratio (float): Expected share of hidden patches, in [0, 1].
        tube (bool): Whether all frames of a clip have the same mask (MVC-2) instead of one each (MVC-1).
    """

    patch_size: int = 32
    mask_ratio: float = 0.7
    tube: bool = False

    def draw(self, height: int, width: int) -> np.ndarray:
        """Draw a random mask. Return the hidden pixels of a frame, bool (height, width)."""
        grid = draw_patch_mask(height, width, self.patch_size, self.mask_ratio)
        return expand_patch_mask(grid, self.patch_size, height, width)


class BrowsedFrame(NamedTuple):
    """A frame to show.

    Attributes:
        name (str): Name of the frame.
        image (np.ndarray): Unmasked image in RGB, uint8 (H, W, 3).
        segments (SegmentMap, optional): Ground truth; None if there is none.
        labelled (bool): Whether the frame is labelled; False of some frames of a dataset with sparse labels.
        hidden (np.ndarray, optional): Pixels that are hidden, bool (H, W); None without masking.
        patch_size (int): Side of a patch in pixels; 0 without masking.
    """

    name: str
    image: np.ndarray
    segments: SegmentMap | None
    hidden: np.ndarray | None
    patch_size: int
    labelled: bool = True

    def columns(self, drawer: PanelDrawer) -> dict[str, np.ndarray]:
        """Return pictures by title: the image, the ground truth and the masked image, as far as they exist."""
        columns = dict(image=self.image)
        if self.segments is not None:
            columns['ground truth'] = drawer.draw(self.image, self.segments)
        elif not self.labelled:
            columns['ground truth: not labelled'] = np.full_like(self.image, NOT_LABELLED_GREY)
        if self.hidden is not None:
            title = f'masked: {self.hidden.mean():.0%} of the pixels, patches of {self.patch_size}'
            columns[title] = drawer.hide(self.image, self.hidden)
        return columns


class TrainingClips:
    """The clips of a training pipeline, clean and masked.

    Here every clip is masked. In training, some clips stay clean.

    Args:
        dataset (dict): Config of a dataset with its pipeline: videos, or images of MMSegmentation.
        masking (PatchMasking, optional): Masking that replaces that of the pipeline. Defaults to None.

    Attributes:
        metainfo (dict): Metainfo of the dataset: ``classes``, ``palette``, ...
    """

    def __init__(self, dataset: dict, masking: PatchMasking | None = None) -> None:
        self._dataset = DATASETS.build(_recording(deepcopy(dict(dataset)), masking))
        self.metainfo = self._dataset.metainfo
        classes, things = self.metainfo['classes'], self.metainfo.get('thing_classes', ())
        tracked = dict(vss=(), vps=things, vis=classes)[dataset_task(self._dataset)]
        self._track_labels = [classes.index(name) for name in tracked]  # classes whose segments are tracks

    def __len__(self) -> int:
        return len(self._dataset)

    @property
    def files(self) -> list[str]:
        """Where the files of the dataset are, see :func:`data_files`."""
        return data_files(self._dataset)

    def __getitem__(self, index: int) -> tuple[str, list[BrowsedFrame]]:
        """Sample a clip.

        Args:
            index (int): Index of the video (or image) in the dataset.

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
        return BrowsedFrame(Path(sample.img_path).stem, picture, self._segments(sample), hidden, patch_size,
                            sample.get('labelled', True))

    def _segments(self, sample: BaseDataElement) -> SegmentMap | None:
        if not sample.get('labelled', True):
            return None
        if 'gt_sem_seg' in sample:
            return SegmentMap.from_pixel_data(sample.gt_sem_seg, len(self.metainfo['classes']))
        if 'gt_instances' not in sample:
            return None
        return SegmentMap.from_entities(sample.gt_instances, self._track_labels)


def _recording(dataset: dict, masking: PatchMasking | None) -> dict:
    """Let the outermost pipelines of a dataset, which may be inside of wrappers, record their masks."""
    if 'pipeline' not in dataset and dataset.get('datasets'):
        return dict(dataset, datasets=[_recording(part, masking) for part in dataset['datasets']])
    if 'pipeline' not in dataset and dataset.get('dataset'):
        return dict(dataset, dataset=_recording(dataset['dataset'], masking))
    return dict(dataset, pipeline=record_masks(dataset.get('pipeline', ()), masking))


class WholeVideo:
    """The frames of a video as they are stored; each iteration reads them again.

    Args:
        ground_truth (GroundTruth): The dataset.
        video_id (str): Name of the video.
        max_frames (int, optional): Number of frames to show, evenly spread. Defaults to None: all.
        masking (PatchMasking, optional): Masking to apply. Defaults to None: no masking.
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
                patch_size, self.ground_truth.is_labelled(self.video_id, index))


def draw_clip(frames: Iterable[BrowsedFrame], drawer: PanelDrawer, out_dir: str, name: str, form: str = 'sheet',
              fps: float = 10) -> Path:
    """Write a clip: image, ground truth and masked image side by side, with a legend.

    Args:
        frames (Iterable[BrowsedFrame]): Frames of the clip; iterated over twice.
        drawer (PanelDrawer): Draws the ground truth.
        out_dir (str): Folder to write to.
        name (str): Name of the clip.
        form (str): See :class:`PictureWriter`. Defaults to 'sheet'.
        fps (float): Frames per second of a video. Defaults to 10.

    Returns:
        Path: File or folder that was written.
    """
    legend = drawer.legend(*(frame.segments for frame in frames))
    with PictureWriter(out_dir, name, drawer, legend, form, fps) as writer:
        for position, frame in enumerate(frames):
            writer.add(f'{position:05d}_{frame.name}', frame.columns(drawer))
    return writer.path


def record_masks(pipeline: Sequence[dict], masking: PatchMasking | None = None) -> list[dict]:
    """Change a pipeline so that it draws a mask for every clip and returns it beside the clean images.

    Args:
        pipeline (Sequence[dict]): Transforms. The last one packs the inputs.
        masking (PatchMasking, optional): Masking that replaces that of the pipeline. Defaults to None.

    Returns:
        list[dict]: Changed copy of the pipeline.
    """
    pipeline = [deepcopy(dict(transform)) for transform in pipeline]
    if masking is not None:
        pipeline = [transform for transform in pipeline if type_name(transform) not in MASKING_TRANSFORMS]
        kind = 'TubeMask' if masking.tube else 'RandomPatchMask'
        own = dict(type=f'mmvc.{kind}', patch_size=masking.patch_size, mask_ratio=masking.mask_ratio)
        pipeline.insert(len(pipeline) - 1, own)
    for transform in pipeline:
        if type_name(transform) in MASKING_TRANSFORMS:
            transform.update(mode='sum', prob=None)
        elif type_name(transform) == 'PackSegInputs':  # MMSegmentation's packing only keeps listed keys
            transform['meta_keys'] = (*_meta_keys(transform), 'patch_mask', 'patch_size')
    return pipeline


def _meta_keys(transform: dict) -> Sequence[str]:
    """Return the keys that a packing transform keeps."""
    if 'meta_keys' in transform:
        return transform['meta_keys']
    return inspect.signature(type_class(transform, TRANSFORMS)).parameters['meta_keys'].default


def _unpack(inputs: Tensor, sample: Any) -> tuple[Tensor, list[BaseDataElement]]:
    """Return the frames and their samples; an image is a clip of one frame."""
    if isinstance(sample, TrackDataSample):
        return inputs, list(sample.video_data_samples)
    return inputs[None], [sample]
