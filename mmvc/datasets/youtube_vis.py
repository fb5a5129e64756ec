# Copyright (c) The mmvc contributors. All rights reserved.
import os.path as osp
from typing import Any

from mmvc.formats.youtube_vis import (
    ANN_FILES,
    FRAME_FOLDERS,
    Annotations,
    find_path,
    labelled_frames,
    read_annotations,
)
from mmvc.registry import DATASETS
from mmvc.utils.errors import DataError

from .base_video import BaseVideoDataset
from .metainfo.youtube_vis import (
    YOUTUBE_VIS_2019_CLASSES,
    YOUTUBE_VIS_2019_PALETTE,
    YOUTUBE_VIS_2021_CLASSES,
    YOUTUBE_VIS_2021_PALETTE,
)


@DATASETS.register_module()
class YouTubeVISDataset(BaseVideoDataset):
    """YouTube-VIS (Yang et al., ICCV 2019) of 2019, 2021 or 2022, and any dataset in its format.

    ``<split>/JPEGImages/<video>/*.jpg`` and one JSON per split. Frames have ``instances`` when ``test_mode=False``: a
    list of ``dict(mask, bbox_label, instance_id, ignore_flag)`` of the instances visible in the frame, with the mask
    as in the file (RLE with counts as text or list, or polygons); ``LoadFrameInstances`` decodes it. ``instance_id``
    is the annotation's id, ``ignore_flag`` marks crowds.

    Args:
        split (str, optional): ``'train'``, ``'valid'`` or ``'test'``: sets ``ann_file`` and ``data_prefix`` to the
            first of the usual names that exists (``<split>/instances.json``, ``<split>.json``,
            ``annotations_<split>.json``, ``instances_<split>.json``; ``<split>/JPEGImages``, ``<split>``). Defaults to
            None.
        version (str, optional): ``'2019'``, ``'2021'`` or ``'2022'``. 2021 has other classes than 2019. 2022 adds long
            videos to the validation and test sets of 2021. Not needed if ``metainfo`` gives the classes. Defaults to
            None.
        ann_file (str): JSON with ``videos``, ``categories`` and, unless ``test_mode``, ``annotations``; relative to
            ``data_root``. Not needed with ``split``. Defaults to ''.
        data_root (str): Root folder of the dataset. Defaults to ''.
        data_prefix (dict, optional): ``img_path``, the folder that the file names in the JSON are relative to. Not
            needed with ``split``. Defaults to None.
        metainfo (dict, optional): ``classes`` and, optionally, ``palette`` of another dataset; they replace those of
            ``version``. Defaults to None.
        sparse_labels (bool): Whether the JSON may label only some frames of a video, those in its ``labelled_frames``.
            The others are their context; losses and metrics leave them out. Defaults to False.
        **kwargs: Other arguments of :class:`mmengine.dataset.BaseDataset`. With ``test_mode=True`` annotations may be
            absent, and are not read.

    Raises:
        FileNotFoundError: The data root, the JSON or a video's folder is missing.
        DataError: The JSON is damaged, incomplete or contradicts itself, has no annotations to train on, or its
            categories are not the classes.
    """

    VERSIONS: dict = {
        '2019': dict(classes=YOUTUBE_VIS_2019_CLASSES, palette=YOUTUBE_VIS_2019_PALETTE),
        '2021': dict(classes=YOUTUBE_VIS_2021_CLASSES, palette=YOUTUBE_VIS_2021_PALETTE),
        '2022': dict(classes=YOUTUBE_VIS_2021_CLASSES, palette=YOUTUBE_VIS_2021_PALETTE),
    }

    def __init__(self,
                 split: str | None = None,
                 version: str | None = None,
                 ann_file: str = '',
                 data_root: str = '',
                 data_prefix: dict | None = None,
                 metainfo: dict | None = None,
                 sparse_labels: bool = False,
                 **kwargs: Any) -> None:
        self.sparse_labels = sparse_labels
        if version is not None:
            if version not in self.VERSIONS:
                raise DataError(f'{type(self).__name__}: version must be one of {", ".join(self.VERSIONS)}, got '
                                f'{version!r}')
            if 'classes' not in (metainfo or {}):  # given classes replace the palette, too
                metainfo = {**self.VERSIONS[version], **(metainfo or {})}
        if split is not None:
            ann_file = ann_file or find_path(data_root, split, ANN_FILES)
            data_prefix = data_prefix or dict(img_path=find_path(data_root, split, FRAME_FOLDERS))
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix or dict(img_path='JPEGImages'),
            metainfo=metainfo,
            **kwargs)

    def load_data_list(self) -> list[dict]:
        """One dict per video of the file, in the file's order. Masks stay encoded."""
        self._check_ann_file('a JSON in the format of YouTube-VIS')
        truth = read_annotations(self.ann_file, self._metainfo['classes'], with_tracks=not self.test_mode)
        if not self.test_mode and not truth.tracks:
            raise DataError(f'{type(self).__name__}: "{self.ann_file}" has no annotations, as those of validation and '
                            'test sets are not public; use test_mode=True to predict only')
        labels = truth.labels(self._metainfo['classes'])
        return [self._load_video(video, truth, labels) for video in truth.videos]

    def _load_video(self, video: dict, truth: Annotations, labels: dict[int, int]) -> dict:
        names, img_dir = video['file_names'], self.data_prefix['img_path']
        self._check_folder(osp.join(img_dir, osp.dirname(names[0])), str(video['id']))
        images: list[dict] = [
            dict(img_path=osp.join(img_dir, name), frame_id=frame_id, ann_shape=(video['height'], video['width']))
            for frame_id, name in enumerate(names)
        ]
        labelled = labelled_frames(video)
        if self.sparse_labels:
            for frame_id in set(range(len(images))).difference(labelled):
                images[frame_id]['labelled'] = False
        elif len(labelled) < len(images) and not self.test_mode:
            raise DataError(f'{type(self).__name__}: "{self.ann_file}" labels {len(labelled)} of the {len(images)} '
                            f'frames of video {video["id"]} (labelled_frames); set sparse_labels=True to train on '
                            'these, or remove the key if the other frames show no object')
        if not self.test_mode:
            for image in images:
                image['instances'] = []
            for track in truth.tracks.get(video['id'], ()):
                for image, mask in zip(images, track['segmentations']):
                    if mask:
                        image['instances'].append(
                            dict(
                                mask=mask,
                                bbox_label=labels[track['category_id']],
                                instance_id=track['id'],
                                ignore_flag=int(track.get('iscrowd') or 0)))
        return dict(video_id=str(video['id']), video_length=len(images), images=images)
