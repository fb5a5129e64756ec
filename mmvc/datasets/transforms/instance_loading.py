# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from pycocotools import mask as mask_utils

from mmvc.formats.rle import to_rle
from mmvc.registry import TRANSFORMS
from mmvc.utils.errors import DataError


@TRANSFORMS.register_module()
class LoadFrameInstances(BaseTransform):
    """Decode the instances of one frame. Use it inside ``TransformBroadcaster``, after the image is loaded.

    Unlike ``mmdet.LoadTrackAnnotations``, it computes boxes from the masks. An invalid mask is an error; the instance
    is not silently ignored.

    Required keys: ``img``, ``img_path`` and ``instances``, a list of N
    ``dict(mask, bbox_label, instance_id, ignore_flag)``. A mask is an RLE (counts as text, bytes or list) or a list of
    polygons [x0, y0, x1, y1, ...] in pixels. ``ann_shape``, if there is one, is the height and width of the frame
    according to the annotation file.

    Added keys: ``gt_masks`` (BitmapMasks (N, H, W)), ``gt_bboxes`` (HorizontalBoxes (N, 4)), ``gt_bboxes_labels``
    (int64 (N,)), ``gt_instances_ids`` (int64 (N,)) and ``gt_ignore_flags`` (bool (N,)).

    Raises:
        DataError: The frame has no ``instances`` or another size than ``ann_shape``, or a mask is missing, differs in
            size from the frame, or is not a valid RLE or polygon.
    """

    def transform(self, results: dict) -> dict:
        if results.get('instances') is None:
            raise DataError(f'frame "{results["img_path"]}" has no "instances"; set test_mode=False of the dataset to '
                            'train, or remove LoadFrameInstances from the pipeline to predict')
        height, width = results['img'].shape[:2]
        expected = tuple(results.get('ann_shape') or (height, width))
        if expected != (height, width):  # polygons do not tell
            raise DataError(f'frame "{results["img_path"]}" has the size {(height, width)} (height, width), the '
                            f'annotation file says {expected}; the annotations belong to frames of another size')
        instances = results['instances']
        rles = [self._to_rle(instance, height, width, results['img_path']) for instance in instances]
        masks = np.zeros((0, height, width), np.uint8)
        boxes = np.zeros((0, 4), np.float32)
        if rles:
            masks = np.ascontiguousarray(mask_utils.decode(rles).transpose(2, 0, 1))
            boxes = mask_utils.toBbox(rles).astype(np.float32)
            boxes[:, 2:] += boxes[:, :2]
        results['gt_masks'] = BitmapMasks(masks, height, width)
        results['gt_bboxes'] = HorizontalBoxes(boxes)
        results['gt_bboxes_labels'] = np.array([instance['bbox_label'] for instance in instances], dtype=np.int64)
        results['gt_instances_ids'] = np.array([instance['instance_id'] for instance in instances], dtype=np.int64)
        results['gt_ignore_flags'] = np.array([instance['ignore_flag'] for instance in instances], dtype=bool)
        return results

    @staticmethod
    def _to_rle(instance: dict, height: int, width: int, img_path: str) -> dict:
        try:
            rle = to_rle(instance['mask'], height, width)
            if rle is None:
                raise DataError('it has no mask; leave out an instance in frames that do not show it')
            return rle
        except DataError as error:
            raise DataError(f'instance {instance["instance_id"]} of frame "{img_path}": {error}') from error
