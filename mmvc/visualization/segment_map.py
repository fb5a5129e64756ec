# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass

import numpy as np
from mmengine.structures import BaseDataElement, InstanceData, PixelData

NOTHING = -1


@dataclass(frozen=True)
class SegmentMap:
    """The segments of a frame for any task, ground truth or prediction, with at most one segment per pixel.

    1. A class region (VSS) or a stuff segment (VPS) is drawn as its class.
    2. A thing (VPS) or an instance (VIS) is a *track*: its id identifies the object through the video.

    Attributes:
        ids (np.ndarray): Segment id of each pixel, integers, (H, W). Ids that are not in ``classes`` are void.
        classes (dict[int, int]): Class index by segment id.
        tracks (Set[int]): Segment ids that are track ids.

    Examples:
        >>> segments = SegmentMap.from_sem_seg(np.array([[0, 0, 2, 255]]), num_classes=3)
        >>> segments.present()
        [0, 2]
    """

    ids: np.ndarray
    classes: dict[int, int]
    tracks: Set[int] = frozenset()

    @classmethod
    def from_sem_seg(cls, sem_seg: np.ndarray, num_classes: int) -> 'SegmentMap':
        """Make a map from class indices, (H, W); values of ``num_classes`` or more (255) are void."""
        return cls(sem_seg, {index: index for index in range(num_classes)})

    @classmethod
    def from_pixel_data(cls, data: PixelData, num_classes: int) -> 'SegmentMap':
        """Make a map from class indices of a sample: ``sem_seg`` (1, H, W), or ``data`` (MMSegmentation's name)."""
        sem_seg = data.sem_seg if 'sem_seg' in data else data.data
        return cls.from_sem_seg(sem_seg[0].cpu().numpy(), num_classes)

    @classmethod
    def from_panoptic(cls, ids: np.ndarray, segments_info: Sequence[dict],
                      isthing: Sequence[bool] | None = None) -> 'SegmentMap':
        """Make a map from panoptic segment ids.

        Args:
            ids (np.ndarray): Segment ids, (H, W), 0 = void.
            segments_info (Sequence[dict]): ``dict(id, category_id, isthing)`` of the segments.
            isthing (Sequence[bool], optional): Whether each class is a thing class. Defaults to None: ``isthing`` of
                the segments.
        """
        tracks = {info['id'] for info in segments_info
                  if (info['isthing'] if isthing is None else isthing[info['category_id']])}
        return cls(ids, {info['id']: info['category_id'] for info in segments_info}, frozenset(tracks))

    @classmethod
    def from_masks(cls, masks: np.ndarray, labels: Sequence[int], ids: Sequence[int], tracks: Set[int],
                   scores: Sequence[float] | None = None) -> 'SegmentMap':
        """Make a map from masks that may overlap. The mask with the highest score is in front.

        Without scores, the smallest mask is in front.

        Args:
            masks (np.ndarray): bool (n, H, W).
            labels (Sequence[int]): Class indices (n,).
            ids (Sequence[int]): Segment ids (n,), >= 0.
            tracks (Set[int]): Segment ids that are track ids.
            scores (Sequence[float], optional): Scores (n,). Defaults to None.
        """
        depth = -masks.sum(axis=(1, 2)) if scores is None else np.asarray(scores)
        id_map = np.full(masks.shape[1:], NOTHING, np.int32)
        for index in np.argsort(depth, kind='stable'):
            id_map[masks[index].astype(bool)] = ids[index]
        return cls(id_map, dict(zip(map(int, ids), map(int, labels))), tracks)

    @classmethod
    def from_entities(cls, instances: InstanceData, thing_labels: Collection[int] | None = None) -> 'SegmentMap':
        """Make a map from the ``gt_instances`` of a packed frame, see :class:`PackVideoSegInputs`.

        Args:
            instances (InstanceData): ``labels`` (n,), ``instances_ids`` (n,) and ``masks``, BitmapMasks (n, H, W).
            thing_labels (Collection[int], optional): Classes whose entities are tracks. Defaults to None: all classes.
        """
        labels, ids = instances.labels.tolist(), instances.instances_ids.tolist()
        tracks = {index for index, label in zip(ids, labels) if thing_labels is None or label in thing_labels}
        return cls.from_masks(instances.masks.to_ndarray(), labels, ids, frozenset(tracks))

    @classmethod
    def from_sample(cls, sample: BaseDataElement, num_classes: int, score_thr: float = 0.) -> 'SegmentMap | None':
        """Make a map from a model's prediction for a frame.

        Args:
            sample (BaseDataElement): Sample with ``pred_sem_seg`` (VSS), ``pred_panoptic_seg`` and ``segments_info``
                (VPS) or ``pred_track_instances`` (VIS).
            num_classes (int): Number of classes.
            score_thr (float): Instances with a lower score are left out (VIS). Defaults to 0.

        Returns:
            SegmentMap | None: None if the sample has no prediction.
        """
        if 'pred_sem_seg' in sample:
            return cls.from_pixel_data(sample.pred_sem_seg, num_classes)
        if 'pred_panoptic_seg' in sample:
            return cls.from_panoptic(sample.pred_panoptic_seg.panoptic_seg[0].cpu().numpy(), sample.segments_info)
        if 'pred_track_instances' in sample:
            tracks = sample.pred_track_instances
            tracks = tracks[tracks.scores >= score_thr].cpu().numpy()
            ids = tracks.instances_ids.tolist()
            return cls.from_masks(tracks.masks, tracks.labels, ids, frozenset(ids), tracks.scores)
        return None

    @classmethod
    def of_prediction(cls, sample: BaseDataElement, num_classes: int, score_thr: float = 0.) -> 'SegmentMap':
        """Make a map as :meth:`from_sample` does, from a sample that must have a prediction.

        Raises:
            ValueError: The sample has no prediction.
        """
        segments = cls.from_sample(sample, num_classes, score_thr)
        if segments is None:
            raise ValueError(f'a sample with the keys {sample.keys()} has no prediction: pass a sample that a model '
                             'returned')
        return segments

    def present(self) -> list[int]:
        """Ids of the segments with at least one pixel, in ascending order."""
        return [index for index in np.unique(self.ids).tolist() if index in self.classes]

    def class_map(self, void: int) -> np.ndarray:
        """Map each pixel to its class index.

        Args:
            void (int): Value for pixels without a segment.

        Returns:
            np.ndarray: int32 (H, W).
        """
        out = np.full(self.ids.shape, void, np.int32)
        for index in self.present():
            out[self.ids == index] = self.classes[index]
        return out
