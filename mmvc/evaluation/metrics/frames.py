# Copyright (c) The mmvc contributors. All rights reserved.
"""Accessors to a frame's data sample, for the metrics."""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.files import missing_files
from mmvc.utils.image_files import read_size


def frame_name(frame: dict) -> str:
    """Return the name of a frame: as the dataset says, or that of its image without folder and extension."""
    return frame.get('frame_name') or os.path.splitext(os.path.basename(meta(frame, 'img_path')))[0]


def as_dict(sample: Any) -> dict:
    """Return a data sample as a plain dict, the form in which mmengine's evaluator passes it."""
    return sample.to_dict() if isinstance(sample, BaseDataElement) else sample


def semantic_map(frame: dict) -> np.ndarray:
    """Return the predicted class indices of a frame, (H, W). The models of mmseg store them as ``data``."""
    seg = as_dict(frame['pred_sem_seg'])
    pred = as_array(seg['sem_seg'] if 'sem_seg' in seg else seg['data'])
    return pred.reshape(pred.shape[-2:])


def panoptic_map(frame: dict) -> np.ndarray:
    """Return the predicted segment ids of a frame, (H, W)."""
    ids = as_array(as_dict(frame['pred_panoptic_seg'])['panoptic_seg'])
    return ids.reshape(ids.shape[-2:])


def ground_truth_path(frame: dict) -> str:
    """Return the path of the ground truth of a frame; raise an error if it has none."""
    if frame.get('seg_map_path') is None:
        raise UsageError(f'frame {frame.get("frame_id")} of video "{frame.get("video_id")}" has no seg_map_path. If '
                         'this split has no ground truth, set format_only=True; otherwise let the packing transform '
                         'of the test pipeline keep "seg_map_path"')
    return frame['seg_map_path']


def is_labelled(frame: dict) -> bool:
    """Whether a frame is to be scored; a dataset with sparse labels says so of those that are not."""
    return frame.get('labelled') is not False


def require_ground_truth(video: dict) -> None:
    """Raise an error unless each frame of a video (an item of a dataset, or a single frame) has a mask.

    Of a dataset with sparse labels, the labelled frames must have one, and a video needs one of them.

    Raises:
        UsageError: A frame has none.
        FileNotFoundError: Files of masks do not exist.
        DataError: The mask of the first frame has another size than the frame.
    """
    frames = [frame for frame in video.get('images', [video]) if is_labelled(frame)]
    if not frames and 'images' in video:
        raise UsageError(f'no frame of video "{video.get("video_id")}" is labelled: label one, take the video out of '
                         'the dataset, or predict only (format_only=True, --format-only)')
    if not frames:
        return
    for frame in frames:
        if frame.get('seg_map_path') is None:
            raise UsageError(f'frame "{frame.get("img_path")}" of video "{video.get("video_id")}" has no ground '
                             'truth: add its mask, set sparse_labels=True of the dataset if only some frames are '
                             'labelled, or predict only (format_only=True, --format-only)')
    require_files([frame['seg_map_path'] for frame in frames], f'masks of video "{video.get("video_id")}"')
    size, mask_size = (read_size(frames[0].get(key) or '') for key in ('img_path', 'seg_map_path'))
    if size is not None and mask_size is not None and size != mask_size:
        raise DataError(f'mask "{frames[0]["seg_map_path"]}" (width, height = {mask_size}) differs in size from its '
                        f'frame "{frames[0]["img_path"]}" {size}; write both at the same size')


def require_files(paths: Iterable[str], what: str) -> None:
    """Raise an error unless files exist.

    Args:
        paths (Iterable[str]): The files.
        what (str): What they are, for the error.

    Raises:
        FileNotFoundError: Some do not exist.
    """
    missing = missing_files(paths)
    if missing:
        raise FileNotFoundError(f'{len(missing)} {what} do not exist: {named(missing)}. Restore them, or take them '
                                'out of the dataset')


def meta(frame: dict, key: str) -> Any:
    """Return the metainfo ``key`` of a frame; the error of a missing key says where to add it."""
    if key not in frame:
        raise UsageError(f'the metainfo of a test frame lacks "{key}": add it to the meta_keys of the packing '
                         'transform of the test pipeline')
    return frame[key]


def as_array(data: Any) -> np.ndarray:
    """Return a tensor (any device) or array as a numpy array."""
    return data.detach().cpu().numpy() if hasattr(data, 'detach') else np.asarray(data)
