# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData

from mmvc.registry import TRANSFORMS
from mmvc.utils.errors import DataError

from .entities import entities_from_instances, entities_from_panoptic, entities_from_semantic, no_entities


@TRANSFORMS.register_module()
class PackVideoSegInputs(BaseTransform):
    """Pack a clip or a video for the model, in the same form for VSS, VPS and VIS.

    The entities of a frame are built from ``gt_masks``, ``gt_bboxes_labels`` and ``gt_instances_ids`` (VIS), from
    ``gt_seg_map`` and ``segments_info`` (VPS), or from ``gt_seg_map`` alone (VSS). If none of them is there (in
    testing), the frames get no ``gt_instances``. A frame without labels, which comes with ``labelled=False``, has no
    entities, and ``labelled=False`` in its metainfo.

    Required keys: ``img``, a list of T arrays (H, W, 3) in BGR. All other keys are lists of length T.

    Returns:
        dict: ``inputs``, uint8 tensor (T, 3, H, W) in BGR, and ``data_samples``, a ``TrackDataSample`` of T
        ``DetDataSample``. Their metainfo has those keys of ``META_KEYS`` that the pipeline has set.

    Raises:
        DataError: The frames differ in size.
    """

    META_KEYS = ('video_id', 'frame_id', 'video_length', 'img_path', 'frame_name', 'seg_map_path', 'ori_shape',
                 'img_shape', 'scale_factor', 'flip', 'flip_direction', 'masked', 'patch_mask', 'patch_size',
                 'labelled')
    # metainfo of a frame that no transform has resized, flipped or masked
    META_DEFAULTS = dict(scale_factor=(1., 1.), flip=False, flip_direction=None, masked=False)

    def transform(self, results: dict) -> dict:
        samples = []
        for index in range(len(results['img'])):
            frame = {key: values[index] for key, values in results.items()}
            meta = {key: frame[key] for key in self.META_KEYS if frame.get(key) is not None}
            sample = DetDataSample(metainfo={**self.META_DEFAULTS, **meta})
            entities = self._entities(frame)
            if entities is not None:
                sample.gt_instances = entities
            samples.append(sample)
        track = TrackDataSample()
        track.video_data_samples = samples
        return dict(inputs=self._stack(results['img']), data_samples=track)

    @staticmethod
    def _entities(frame: dict) -> InstanceData | None:
        if 'gt_masks' in frame:
            return entities_from_instances(frame['gt_masks'], frame['gt_bboxes_labels'], frame['gt_instances_ids'],
                                           frame.get('gt_ignore_flags'))
        if 'gt_seg_map' not in frame:
            return None
        if frame.get('labelled') is False:
            return no_entities(*frame['gt_seg_map'].shape)
        if frame.get('segments_info') is not None:
            return entities_from_panoptic(frame['gt_seg_map'], frame['segments_info'])
        return entities_from_semantic(frame['gt_seg_map'])

    @staticmethod
    def _stack(frames: list[np.ndarray]) -> torch.Tensor:
        sizes = {frame.shape[:2] for frame in frames}
        if len(sizes) > 1:
            raise DataError(f'the frames of a clip differ in size: {sorted(sizes)}; put resize and crop inside '
                            'TransformBroadcaster(share_random_params=True)')
        inputs = np.empty((len(frames), 3, *sizes.pop()), dtype=np.uint8)
        for target, frame in zip(inputs, frames):
            if frame.dtype != np.uint8:  # colour jitter returns floats, some beyond [0, 255]
                frame = np.rint(frame).clip(0, 255)
            target[:] = frame.transpose(2, 0, 1)
        return torch.from_numpy(inputs)
