# Copyright (c) The mmvc contributors. All rights reserved.
"""The ground truth of a frame as entities (labels, ids and masks), the same for all tasks.

Every function returns an ``InstanceData`` of the N entities with at least one pixel: ``labels`` (int64 (N,)),
``instances_ids`` (int64 (N,), the same id in all frames of an entity) and ``masks`` (BitmapMasks (N, H, W)).
"""

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.structures import InstanceData

from mmvc.formats.label_maps import VOID_LABEL


def _pack(labels: np.ndarray, instances_ids: np.ndarray, masks: np.ndarray) -> InstanceData:
    height, width = masks.shape[1:]
    return InstanceData(
        labels=torch.from_numpy(labels.astype(np.int64)),
        instances_ids=torch.from_numpy(instances_ids.astype(np.int64)),
        masks=BitmapMasks(masks.astype(np.uint8, copy=False), height, width))


def no_entities(height: int, width: int) -> InstanceData:
    """Build the entities of a frame of this size without labels: none."""
    return _pack(np.zeros(0), np.zeros(0), np.zeros((0, height, width), np.uint8))


def entities_from_semantic(seg_map: np.ndarray) -> InstanceData:
    """Build one entity per class in ``seg_map`` ((H, W) class indices), with the class as label and id (VSS)."""
    classes = np.unique(seg_map)
    classes = classes[classes != VOID_LABEL]
    return _pack(classes, classes, seg_map == classes[:, None, None])


def entities_from_panoptic(seg_map: np.ndarray, segments_info: list[dict]) -> InstanceData:
    """Build one entity per segment in ``seg_map`` ((H, W) segment ids, 0 = void), thing or stuff (VPS).

    ``segments_info`` lists ``dict(id, category_id, ...)``, where ``category_id`` is the class index. Crowds
    (``iscrowd``) are skipped.
    """
    present = set(np.unique(seg_map).tolist()) - {0}
    segments = [segment for segment in segments_info if segment['id'] in present and not segment.get('iscrowd')]
    ids = np.array([segment['id'] for segment in segments], dtype=np.int64)
    labels = np.array([segment['category_id'] for segment in segments], dtype=np.int64)
    return _pack(labels, ids, seg_map == ids[:, None, None])


def entities_from_instances(masks: BitmapMasks | PolygonMasks,
                            labels: np.ndarray,
                            instances_ids: np.ndarray,
                            ignore_flags: np.ndarray | None = None) -> InstanceData:
    """Build one entity per visible instance, without ignored ones (VIS).

    Args:
        masks (BitmapMasks | PolygonMasks): Masks of N instances.
        labels (ndarray): Class indices (N,).
        instances_ids (ndarray): Track ids (N,).
        ignore_flags (ndarray, optional): bool (N,), True for crowds. Defaults to None.
    """
    bitmaps = masks.to_ndarray().astype(bool)
    valid = bitmaps.any(axis=(1, 2))
    if ignore_flags is not None:
        valid &= ~np.asarray(ignore_flags, dtype=bool)
    return _pack(np.asarray(labels)[valid], np.asarray(instances_ids)[valid], bitmaps[valid])
