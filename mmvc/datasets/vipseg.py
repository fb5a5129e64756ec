# Copyright (c) The mmvc contributors. All rights reserved.
import os.path as osp
from pathlib import Path
from typing import Any

from mmvc.formats import vipseg
from mmvc.registry import DATASETS
from mmvc.utils.errors import DataError
from mmvc.utils.files import files_in

from .base_video import BaseVideoDataset
from .metainfo.vspw import VSPW_CLASSES, VSPW_PALETTE, VSPW_THING_CLASSES


@DATASETS.register_module()
class VIPSegDataset(BaseVideoDataset):
    """VIPSeg (Miao et al., CVPR 2022), converted, and any dataset in its format.

    Its layout is that of :mod:`mmvc.formats.vipseg`, as ``tools/dataset_converters/vipseg_to_720p.py`` writes it. A
    segment keeps its id through its video. The class index is ``category_id``.

    Frames of labelled videos have ``segments_info``, a list of ``dict(id, category_id, isthing, iscrowd)``, when
    ``test_mode=False``; metrics read the file themselves.

    Args:
        ann_file (str): JSON with ``videos``, ``annotations`` and ``categories``, relative to ``data_root``.
        data_root (str): Root folder of the dataset. Defaults to ''.
        data_prefix (dict, optional): Folders ``img_path`` and ``seg_map_path`` of the videos' folders, relative to
            ``data_root``. Defaults to ``images`` and ``panomasksRGB``.
        metainfo (dict, optional): ``classes`` (by category id) and ``palette`` of another dataset; which classes are
            things is read from the file. Defaults to None (VIPSeg's 124 classes).
        img_suffix (str): Ending of frame files. Defaults to '.jpg'.
        sparse_labels (bool): Whether frames may have no labels: neither an annotation with segments nor a PNG. They
            are the context of the labelled ones; losses and metrics leave them out. A video to train on needs at least
            one labelled frame. Defaults to False.
        **kwargs: Other arguments of :class:`mmengine.dataset.BaseDataset`. With ``test_mode=True`` videos without
            annotations are accepted.

    Raises:
        FileNotFoundError: The data root, the JSON or a video's folder is missing.
        DataError: The JSON is damaged, incomplete or contradicts itself, or its categories are not the classes.
    """

    METAINFO = dict(classes=VSPW_CLASSES, palette=VSPW_PALETTE, thing_classes=VSPW_THING_CLASSES)
    DATA_PREFIX = dict(img_path=vipseg.FRAMES, seg_map_path=vipseg.MASKS)

    def __init__(self,
                 ann_file: str,
                 data_root: str = '',
                 data_prefix: dict | None = None,
                 metainfo: dict | None = None,
                 img_suffix: str = '.jpg',
                 sparse_labels: bool = False,
                 **kwargs: Any) -> None:
        self.sparse_labels = sparse_labels
        self.img_suffix = img_suffix
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix={**self.DATA_PREFIX, **(data_prefix or {})},
            metainfo=metainfo,
            **kwargs)

    def load_data_list(self) -> list[dict]:
        """One dict per video of the file, in the file's order. Only the JSON and the folders are read."""
        self._check_ann_file('a panoptic_gt_VIPSeg_<split>.json')
        truth = vipseg.read_annotations(self.ann_file, self._metainfo['classes'])
        things = {name for name, isthing in zip(truth.class_names, truth.isthing) if isthing}
        if 'thing_classes' in self._metainfo and set(self._metainfo['thing_classes']) != things:
            raise DataError(f'{type(self).__name__}: metainfo["thing_classes"] and the categories with isthing=1 in '
                            f'"{self.ann_file}" differ by {sorted(things ^ set(self._metainfo["thing_classes"]))}')
        self._metainfo['thing_classes'] = tuple(name for name in truth.class_names if name in things)
        videos = [self._load_video(video, truth) for video in truth.videos]
        self._warn_of_others(videos)
        return videos

    def _load_video(self, video: dict, truth: vipseg.Annotations) -> dict:
        video_id = str(video['video_id'])
        segments = truth.segments.get(video_id, {})
        img_dir = osp.join(self.data_prefix['img_path'], video_id)
        seg_map_dir = osp.join(self.data_prefix['seg_map_path'], video_id)
        self._check_folder(img_dir, video_id)
        files, masks = files_in(img_dir, (self.img_suffix, )), files_in(seg_map_dir, ('.png', ))
        images = []
        for frame_id, frame in enumerate(video['images']):
            name = Path(frame['file_name']).stem
            # a file that is missing is an error where it is needed
            file = files.get(name, Path(f'{name}{self.img_suffix}'))
            image = dict(img_path=f'{img_dir}/{file.name}', frame_id=frame_id)
            if self.sparse_labels and not vipseg.is_labelled(segments.get(name), name in masks):
                image['labelled'] = False
            elif name in segments:
                image['seg_map_path'] = f'{seg_map_dir}/{masks.get(name, Path(f"{name}.png")).name}'
                if not self.test_mode:
                    image['segments_info'] = [
                        dict(
                            id=segment['id'],
                            category_id=segment['category_id'],
                            isthing=truth.isthing[segment['category_id']],
                            iscrowd=bool(segment.get('iscrowd'))) for segment in segments[name]
                    ]
            elif self.sparse_labels and not self.test_mode:
                raise DataError(f'{type(self).__name__}: "{masks[name]}" is the mask of a frame that '
                                f'"{self.ann_file}" does not annotate; add its segments there, or remove the mask')
            elif not self.test_mode:
                raise DataError(f'{type(self).__name__}: frame "{frame["file_name"]}" of video "{video_id}" has no '
                                f'annotation in "{self.ann_file}"; convert the dataset again, set sparse_labels=True '
                                'if only some frames are labelled, or test_mode=True to predict only')
            images.append(image)
        if not self.test_mode:
            self._require_labelled(video_id, images)
        return dict(video_id=video_id, video_length=len(images), images=images)
