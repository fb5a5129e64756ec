# Copyright (c) The mmvc contributors. All rights reserved.
"""VIPSeg, converted: colour maps of segment ids, and a JSON with the class of each segment.

A dataset is ``images/<video>/*.jpg``, ``panomasksRGB/<video>/*.png`` and ``panoptic_gt_VIPSeg_<split>.json``. The
predictions for it are those of :mod:`mmvc.formats.vipseg_results`.
"""

import json
import os.path as osp
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import DataError, named
from mmvc.utils.files import files_in
from mmvc.utils.typing import PathLike

from .json_files import FLAG, ID, Fault, find_bad_names, find_repeats, raise_first, read_json
from .label_maps import VOID_ID
from .other_formats import OR_IMPORT

FRAMES, MASKS = 'images', 'panomasksRGB'
RAW_MASKS = 'panomasks'  # as downloaded: 16 bits, class and instance in one number

_CATEGORIES = [{'id': int, 'name': str, 'isthing': FLAG}]
_VIDEOS = [{'video_id': ID, 'images': [{'file_name': str, 'width': int, 'height': int}]}]
_SEGMENTS = [{'id': int, 'category_id': int, 'iscrowd?': FLAG}]
ANNOTATIONS = [{'video_id': ID, 'annotations': [{'file_name': str, 'segments_info': _SEGMENTS}]}]
SCHEMA = {'videos': _VIDEOS, 'annotations': ANNOTATIONS, 'categories': _CATEGORIES}
_EXPECTED = f'a file like panoptic_gt_VIPSeg_val.json{OR_IMPORT}'

#: segments by video and by name of the frame, without suffix
Segments = dict[str, dict[str, list[dict]]]


def ann_file(split: str = '') -> str:
    """Name of the annotation file of a split, or of all labelled videos together."""
    return f'panoptic_gt_VIPSeg_{split}.json' if split else 'panoptic_gt_VIPSeg.json'


def frame_file(root: PathLike, video: str, name: str) -> Path:
    """File of a frame, by the names of video and frame."""
    return Path(root, FRAMES, video, f'{name}.jpg')


def mask_file(root: PathLike, video: str, name: str, folder: str = MASKS) -> Path:
    """File of a mask of segment ids (or of another ``folder``), by the names of video and frame."""
    return Path(root, folder, video, f'{name}.png')


def find_masks(folder: PathLike, frames: Collection[str]) -> tuple[dict[str, Path], list[str]]:
    """List the masks of a video.

    Args:
        folder (str | Path): Their folder.
        frames (Collection[str]): Names of the video's frames, without suffix.

    Returns:
        tuple[dict[str, Path], list[str]]: Files of the masks by name of the frame, and the names of those whose frame
        is not among ``frames``.

    Raises:
        DataError: Two files are masks of one frame.
    """
    masks = files_in(folder, ('.png', ))
    return masks, [name for name in masks if name not in frames]


def is_labelled(segments: Sequence[dict] | None, has_mask: bool) -> bool:
    """Say whether a frame of a dataset with sparse labels is labelled.

    A frame with a mask or with segments is. If it has only one of them, the other is missing, which is an error where
    the frame is loaded.

    Args:
        segments (sequence[dict], optional): ``segments_info`` of the frame; None without an annotation.
        has_mask (bool): Whether there is a mask.
    """
    return bool(segments) or has_mask


def require_listed(video: str, folder: PathLike, frames: Collection[str], ann_file: PathLike) -> None:
    """Raise an error if a video has masks of frames that are not annotated: scores would be those of a part of it.

    Args:
        video (str): Name of the video.
        folder (str | Path): Folder of its masks; it may be missing.
        frames (Collection[str]): Names of the annotated frames, without suffix.
        ann_file (str | Path): The annotation file, for the error.

    Raises:
        DataError: There is a mask of another frame.
    """
    others = find_masks(folder, frames)[1]
    if others:
        raise DataError(f'video "{video}": {len(others)} masks in "{folder}" are of frames that "{ann_file}" does not '
                        f'annotate: {named(others)}. Convert the annotations again, or remove these masks')


@dataclass(frozen=True)
class Annotations:
    """Content of an annotation file without faults.

    Attributes:
        path (str | Path): The file.
        videos (list[dict]): ``video_id`` and ``images`` of each video; empty if the file does not list them.
        categories (list[dict]): ``id``, ``name`` and ``isthing`` of each class, by id.
        segments (dict[str, dict[str, list[dict]]]): ``segments_info`` by video and name of the frame, without suffix,
            in the order of the frames.
    """
    path: PathLike
    videos: list[dict]
    categories: list[dict]
    segments: Segments

    @cached_property
    def unlabelled(self) -> list[str]:
        """Frames that ``videos`` lists and ``annotations`` does not, ``<video>/<frame>``."""
        frames = ((str(video['video_id']), Path(image['file_name']).stem)
                  for video in self.videos for image in video['images'])
        return [f'{video}/{name}' for video, name in frames if name not in self.segments.get(video, {})]

    @cached_property
    def class_names(self) -> list[str]:
        """Names of the classes, by class index."""
        return [category['name'] for category in self.categories]

    @cached_property
    def isthing(self) -> list[bool]:
        """Which classes are things, by class index."""
        return isthing_of(self.categories)


def read_annotations(path: PathLike,
                     classes: Sequence[str] | None = None,
                     list_videos: bool = True,
                     backend_args: dict | None = None) -> Annotations:
    """Read and check an annotation file.

    Args:
        path (str | Path): JSON with ``videos``, ``annotations`` and ``categories``.
        classes (Sequence[str], optional): Names that the categories must have, by id. Defaults to None: any.
        list_videos (bool): Whether the file must list ``videos``; scoring does not need them. Defaults to True.
        backend_args (dict, optional): Where the file lies. Defaults to None (local disk).

    Returns:
        Annotations: The content.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It does not fit the schema, or has one of the faults of :func:`find_faults`.
    """
    schema = SCHEMA if list_videos else {'videos?': _VIDEOS, **{key: SCHEMA[key] for key in SCHEMA if key != 'videos'}}
    content = read_json(path, schema, _EXPECTED, backend_args)
    raise_first(find_faults(content, path, classes))
    videos = content.get('videos') or []
    segments = segments_by_frame(content['annotations'])
    for video in videos:  # the order of a video's frames is that of its images
        of_video = segments.get(str(video['video_id']))
        if of_video is not None:
            names = [Path(image['file_name']).stem for image in video['images']]
            segments[str(video['video_id'])] = {name: of_video[name] for name in names if name in of_video}
    return Annotations(path, videos, sorted(content['categories'], key=lambda category: category['id']), segments)


def find_faults(content: dict, path: PathLike, classes: Sequence[str] | None = None) -> Iterator[Fault]:
    """Find the contradictions in an annotation file that fits the schema.

    These are names that lead out of their folders; videos, frames, categories and segments that are listed twice;
    videos without frames; categories that are not 0 .. K - 1, or not the classes; annotations of videos or frames that
    are not listed; segments of categories that are not listed; and segments that change their category.

    Args:
        content (dict): Content of the file.
        path (str | Path): The file.
        classes (Sequence[str], optional): Names that the categories must have, by id. Defaults to None: any.

    Yields:
        Fault: One for each contradiction.
    """
    videos = content.get('videos')
    if videos is not None and not videos:
        yield Fault('annotation', f'"{path}" has no videos; convert the dataset again{OR_IMPORT}')
    yield from find_bad_file_names(content, path)
    for key, what in (('videos', 'video'), ('annotations', 'annotated video')):
        ids = (osp.normpath(str(video['video_id'])) for video in content.get(key) or ())  # folders
        yield from find_repeats(ids, what, f'video_id in {key}', path)
    yield from _find_category_faults(content['categories'], path, classes)
    for video in videos or ():
        if not video['images']:
            yield Fault('annotation', f'video "{video["video_id"]}" of "{path}" has no frames; remove it')
        for image in video['images']:
            if min(image['height'], image['width']) < 1:
                yield Fault('annotation', f'"{path}": frame "{image["file_name"]}" of video "{video["video_id"]}" has '
                                          f'the height {image["height"]} and the width {image["width"]}; both must be '
                                          'at least 1')
                break
        names = (Path(image['file_name']).stem for image in video['images'])
        yield from find_repeats(names, 'frame', f'images of video "{video["video_id"]}"', path)
    if videos:
        yield from _find_orphans(videos, content['annotations'], path)
    yield from find_segment_faults(content['annotations'], len(content['categories']), path)
    yield from _find_changed_categories(content['annotations'], path)


def find_bad_file_names(content: dict, path: PathLike) -> Iterator[Fault]:
    """Find names of videos and frames that lead out of their folders, in annotations or in predictions."""
    for key, frames in (('videos', 'images'), ('annotations', 'annotations')):
        for video in content.get(key) or ():
            yield from find_bad_names([video['video_id']], f'video_id in {key}', path)
            names = (frame['file_name'] for frame in video[frames])
            yield from find_bad_names(names, f'{key} of video "{video["video_id"]}"', path)


def _find_category_faults(categories: list[dict], path: PathLike, classes: Sequence[str] | None) -> Iterator[Fault]:
    yield from find_repeats((category['id'] for category in categories), 'category id', 'id in categories', path)
    if classes is None:
        yield from find_repeats((category['name'] for category in categories), 'category', 'name in categories', path)
        try:
            isthing_of(categories)
        except ValueError as error:
            yield Fault('annotation', f'"{path}": {error}')
        return
    names = {category['id']: category['name'] for category in categories}
    for index in range(max(len(classes), len(names))):
        expected = classes[index] if index < len(classes) else None
        if names.get(index) != expected:
            yield Fault('annotation', f'category {index} of "{path}" is {names.get(index)!r}, class {index} of the '
                                      f'dataset is {expected!r}; pass metainfo=dict(classes=...) with the names in '
                                      'the file, ordered by id')
            return


def _find_orphans(videos: list[dict], annotations: list[dict], path: PathLike) -> Iterator[Fault]:
    """Annotations of videos and frames that ``videos`` does not list; masks and frames may end differently."""
    listed = {str(video['video_id']): {Path(image['file_name']).stem for image in video['images']}
              for video in videos}
    for video in annotations:
        name = str(video['video_id'])
        if name not in listed:
            yield Fault('annotation', f'"{path}" has annotations of video "{name}", which is not among the videos; '
                                      'convert the dataset again')
            continue
        for frame in video['annotations']:
            if Path(frame['file_name']).stem not in listed[name]:
                yield Fault('annotation', f'"{path}" has an annotation of frame "{frame["file_name"]}" of video '
                                          f'"{name}", which is not among the images of the video; convert the dataset '
                                          'again')


def find_segment_faults(annotations: list[dict], num_classes: int, path: PathLike) -> Iterator[Fault]:
    """Find frames and segments that are listed twice, ids out of range and unknown categories.

    Of the last two, one per frame.
    """
    for video in annotations:
        names = [Path(frame['file_name']).stem for frame in video['annotations']]
        yield from find_repeats(names, 'annotated frame', f'annotations of video "{video["video_id"]}"', path)
        for frame in video['annotations']:
            segments = frame['segments_info']
            where = f'"{video["video_id"]}/{frame["file_name"]}"'
            ids = [segment['id'] for segment in segments]
            if len(set(ids)) != len(ids):
                yield from find_repeats(ids, 'segment', f'segments_info of {where}', path)
            strange = next((number for number in ids if not VOID_ID < number < 1 << 24), None)
            if strange is not None:  # 0 is void, where no segment is found
                yield Fault('annotation', f'"{path}": segment {strange} of frame {where} has no colour: ids are from '
                                          '1 to 2^24 - 1, and 0 is void; renumber the segments and their PNGs')
            for segment in segments:
                if not 0 <= segment['category_id'] < num_classes:
                    yield Fault('unknown id', f'"{path}": segment {segment["id"]} of frame {where} has the category '
                                              f'{segment["category_id"]}, the categories are 0..{num_classes - 1}')
                    break


def _find_changed_categories(annotations: list[dict], path: PathLike) -> Iterator[Fault]:
    for video in annotations:
        category_of: dict[int, int] = {}
        for frame in video['annotations']:
            for segment in frame['segments_info']:
                before = category_of.setdefault(segment['id'], segment['category_id'])
                if before != segment['category_id']:
                    yield Fault('annotation', f'"{path}": segment {segment["id"]} of frame '
                                              f'"{video["video_id"]}/{frame["file_name"]}" has the category '
                                              f'{segment["category_id"]}, in an earlier frame {before}')


def isthing_of(categories: Sequence[dict]) -> list[bool]:
    """Return which classes are things, by class index.

    Args:
        categories (Sequence[dict]): ``id`` (0 .. K - 1) and ``isthing`` of every class.

    Raises:
        DataError: If the ids are not 0 .. K - 1.
    """
    by_id = {int(category['id']): bool(category['isthing']) for category in categories}
    if sorted(by_id) != list(range(len(by_id))):
        raise DataError(f'category ids must be 0..{len(by_id) - 1}, got {sorted(by_id)}')
    return [by_id[index] for index in range(len(by_id))]


def segments_by_frame(annotations: list[dict]) -> Segments:
    """Return ``segments_info`` by video and by name of the frame, without suffix."""
    return {str(video['video_id']): {Path(frame['file_name']).stem: frame['segments_info']
                                     for frame in video['annotations']} for video in annotations}


# --- writing a dataset ---


class VideoRecorder:
    """Collects the entries of one video for the annotation files.

    Args:
        video (str): Name of the video.
        labelled (bool): Whether its frames have masks. Defaults to True.
    """

    def __init__(self, video: str, labelled: bool = True) -> None:
        self._video = video
        self._images: list[dict] = []
        self._annotations: list[dict] | None = [] if labelled else None

    def add(self, name: str, size: tuple[int, int], segments: list[dict] | None = None) -> None:
        """Add a frame.

        Args:
            name (str): Its name, without suffix.
            size (tuple[int, int]): Width and height, in pixels.
            segments (list[dict], optional): ``id``, ``category_id``, ``iscrowd`` and ``area`` of its segments.
                Defaults to None (no mask, and no entry in the annotations).
        """
        file_name = f'{name}.png'
        self._images.append(dict(id=name, width=size[0], height=size[1], file_name=file_name))
        if self._annotations is not None and segments is not None:
            self._annotations.append(dict(image_id=name, file_name=file_name, segments_info=segments))

    def record(self) -> dict[str, Any]:
        """The entries: ``video``, and ``annotation`` or None."""
        annotation = None if self._annotations is None else dict(video_id=self._video, annotations=self._annotations)
        return dict(video=dict(video_id=self._video, images=self._images), annotation=annotation)


def write_annotations(path: PathLike, records: Iterable[dict], categories: Sequence[dict]) -> None:
    """Write an annotation file.

    Args:
        path (str | Path): The file.
        records (Iterable[dict]): :meth:`VideoRecorder.record` of each video.
        categories (Sequence[dict]): ``id``, ``name``, ``isthing`` and ``color`` of the classes.
    """
    records = list(records)
    content = dict(
        videos=[record['video'] for record in records],
        annotations=[record['annotation'] for record in records if record['annotation'] is not None],
        categories=list(categories))
    atomic_write(path, (json.dumps(content) + '\n').encode())
