# Copyright (c) The mmvc contributors. All rights reserved.
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine import fileio

from mmvc.formats.label_maps import VOID_ID, VOID_LABEL, read_label_map, read_panoptic_map
from mmvc.registry import TRANSFORMS
from mmvc.utils.errors import DataError
from mmvc.utils.image_files import find_damage


@TRANSFORMS.register_module()
class LoadFrameFromFile(LoadImageFromFile):
    """``mmcv.LoadImageFromFile`` whose errors name the file. Use it inside ``TransformBroadcaster``.

    Args:
        to_float32 (bool): Whether to convert the image to float32. Defaults to False.
        color_type (str): As for :func:`mmcv.imfrombytes`. Defaults to 'color'.
        imdecode_backend (str): As for :func:`mmcv.imfrombytes`. Defaults to 'cv2'.
        backend_args (dict, optional): Arguments of the file backend. Defaults to None.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file is empty, truncated or not an image.
    """

    def __init__(self,
                 to_float32: bool = False,
                 color_type: str = 'color',
                 imdecode_backend: str = 'cv2',
                 backend_args: dict | None = None) -> None:
        super().__init__(
            to_float32=to_float32,
            color_type=color_type,
            imdecode_backend=imdecode_backend,
            backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        path = results['img_path']
        content = fileio.get(path, backend_args=self.backend_args)
        damage, image = find_damage(content), None
        if damage is None:
            try:
                image = mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)
            except Exception as error:  # a damaged file can raise anything
                damage = str(error).strip() or type(error).__name__
        if image is None:
            raise DataError(f'cannot decode the image "{path}" ({damage or "it is not an image"}); replace the file, '
                            'or remove the frame')
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        # Flips and crops set it only for the frames that they change; all frames of a clip need the same keys.
        results['homography_matrix'] = np.eye(3, dtype=np.float32)
        return results


@TRANSFORMS.register_module()
class LoadVideoSegAnnotations(BaseTransform):
    """Load the mask of one frame. Use it inside ``TransformBroadcaster``, after the image is loaded.

    Semantic masks (:func:`read_label_map`) become class indices, 255 = void, through the ``label_lut`` of the dataset.
    Panoptic masks (:func:`read_panoptic_map`), of frames that come with ``segments_info``, stay segment ids, 0 = void.
    A frame of a dataset with sparse labels that comes with ``labelled=False`` gets a mask of void.

    Required keys: ``img``, ``img_path``, ``seg_map_path``; ``label_lut`` (int16 (256,), -1 = invalid) or
    ``segments_info`` (list of ``dict(id, category_id, ...)``).

    Added keys: ``gt_seg_map``, (H, W), uint8 for semantic and int32 for panoptic masks.

    Args:
        backend_args (dict, optional): Arguments of the file backend. Defaults to None.

    Raises:
        FileNotFoundError: The frame has no mask file.
        DataError: The mask cannot be decoded, differs in size from its frame, or holds a value that is neither a
            class (or listed segment) nor void.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        if results.get('labelled') is False:
            results['gt_seg_map'] = np.full(results['img'].shape[:2], VOID_LABEL, np.uint8) \
                if 'label_lut' in results else np.full(results['img'].shape[:2], VOID_ID, np.int32)
            return results
        path = results.get('seg_map_path')
        if path is None:
            raise FileNotFoundError(f'frame "{results["img_path"]}" has no mask; add it, or leave '
                                    'LoadVideoSegAnnotations out of a pipeline for prediction')
        panoptic = results.get('segments_info') is not None
        mask = (read_panoptic_map if panoptic else read_label_map)(path, self.backend_args)
        require_size_of_frame(mask, path, results['img'].shape[:2], results['img_path'])
        if panoptic:
            self._require_listed(mask, results['segments_info'], path)
        else:
            mask = to_class_indices(mask, results['label_lut'], path)
        results['gt_seg_map'] = mask
        return results

    @staticmethod
    def _require_listed(ids: np.ndarray, segments_info: list[dict], path: str) -> None:
        unknown = set(np.unique(ids).tolist()) - {VOID_ID} - {segment['id'] for segment in segments_info}
        if unknown:
            raise DataError(f'mask "{path}" holds the segment ids {sorted(unknown)}, which its segments_info lacks; '
                            'correct the annotation file or the mask')

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(backend_args={self.backend_args})'


def require_size_of_frame(mask: np.ndarray, path: str, size: tuple[int, ...], frame: str) -> None:
    """Raise an error unless a mask has the size of its frame.

    Args:
        mask (np.ndarray): Mask, (H, W).
        path (str): Its file.
        size (tuple[int, int]): Height and width of the frame.
        frame (str): File of the frame.

    Raises:
        DataError: The sizes differ.
    """
    if mask.shape != size:
        raise DataError(f'mask "{path}" (height, width = {mask.shape}) differs in size from its frame "{frame}" '
                        f'{size}; write both at the same size')


def to_class_indices(mask: np.ndarray, label_lut: np.ndarray, path: str) -> np.ndarray:
    """Map the values of a semantic mask to class indices.

    Args:
        mask (np.ndarray): Raw values, uint8 (H, W).
        label_lut (np.ndarray): Class index of each value, 255 = void, -1 = neither, int16 (256,).
        path (str): File of the mask.

    Returns:
        np.ndarray: Class indices, 255 = void, uint8 (H, W).

    Raises:
        DataError: A value is neither a class nor void.
    """
    labels = label_lut[mask]
    if labels.min() < 0:
        values = np.unique(mask[labels < 0]).tolist()
        raise DataError(f'mask "{path}" holds {values}, which are neither classes nor void; correct the mask, or the '
                        "dataset's metainfo, label_offset or void_values")
    return labels.astype(np.uint8)
