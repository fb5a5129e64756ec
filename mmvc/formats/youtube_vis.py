# Copyright (c) The mmvc contributors. All rights reserved.
"""YouTube-VIS and OVIS: frames in folders, and tracks of run-length encoded masks in one JSON for each split.

Predictions are in :mod:`mmvc.formats.youtube_vis_results`.
"""

import json
import os.path as osp
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils

from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.files import read_names
from mmvc.utils.typing import PathLike

from .json_files import FLAG, ID, Fault, find_bad_names, find_repeats, raise_first, read_json
from .other_formats import OR_IMPORT
from .rle import to_rles

# Names under which the annotations and frames of a split are found, in releases and in projects.
ANN_FILES = ('{split}/instances.json', '{split}.json', 'annotations_{split}.json', 'instances_{split}.json')
FRAME_FOLDERS = ('{split}/JPEGImages', '{split}')
#: how much of an object is hidden (OVIS), as a share
OCCLUSION_LEVELS = dict(no_occlusion=0.0, slight_occlusion=0.25, severe_occlusion=0.75)

# Masks are checked when they are decoded.
TRACK_SCHEMA = {'video_id': ID, 'category_id': int, 'segmentations': [(type(None), dict, list)]}
_ANNOTATIONS = [{
    **TRACK_SCHEMA, 'id': int, 'iscrowd?': FLAG, 'areas?': [(type(None), float)],
    'occlusion?': [frozenset({None, *OCCLUSION_LEVELS})]
}]
_UNLABELLED = {
    'videos': [{'id': ID, 'file_names': [str], 'height': int, 'width': int, 'labelled_frames?': [int]}],
    'categories': [{'id': int, 'name': str}],
}
SCHEMA = {**_UNLABELLED, 'annotations?': _ANNOTATIONS}
_EXPECTED = f'annotations in the format of YouTube-VIS{OR_IMPORT}'


def find_path(root: PathLike, split: str, templates: Sequence[str]) -> str:
    """Find the annotations or frames of a split.

    Args:
        root (str | Path): Root of the dataset.
        split (str): Name of the split.
        templates (Sequence[str]): ``ANN_FILES`` or ``FRAME_FOLDERS``.

    Returns:
        str: The first of the names, relative to the root, that exists; the first of all if none does.
    """
    names = [template.format(split=split) for template in templates]
    return next((name for name in names if osp.exists(osp.join(root, name))), names[0])


@dataclass(frozen=True)
class Annotations:
    """Content of an annotation file without faults.

    Attributes:
        path (str | Path): The file.
        videos (list[dict]): ``id``, ``file_names``, ``height`` and ``width`` of each video, and ``labelled_frames`` of
            one with sparse labels, see :func:`labelled_frames`.
        categories (dict[int, str]): Name of each category, by id.
        tracks (dict[int | str, list[dict]]): Annotations by id of the video; empty if the file has none.
    """
    path: PathLike
    videos: list[dict]
    categories: dict[int, str]
    tracks: dict[int | str, list[dict]] = field(default_factory=dict)

    @property
    def with_occlusion(self) -> bool:
        """Whether tracks have levels of occlusion, as in OVIS."""
        return any('occlusion' in track for tracks in self.tracks.values() for track in tracks)

    def check_masks(self, video: dict) -> None:
        """Check the masks of a video's tracks. Reading the file does not check them, because that takes too long.

        Args:
            video (dict): Its entry of ``videos``.

        Raises:
            DataError: A mask is damaged or has another size than the video.
        """
        for track in self.tracks.get(video['id'], ()):
            try:
                to_rles(track['segmentations'], video['height'], video['width'])
            except DataError as error:
                raise DataError(f'annotation {track["id"]} of "{self.path}", video {video["id"]}: {error}') from error

    def labels(self, classes: Sequence[str]) -> dict[int, int]:
        """Return the class index of each category id; categories and classes are matched by name.

        Args:
            classes (Sequence[str]): Names of the classes.

        Raises:
            DataError: The categories differ from the classes.
        """
        raise_first(_find_other_classes(self.categories.values(), classes, self.path))
        return {category_id: classes.index(name) for category_id, name in self.categories.items()}


def read_annotations(path: PathLike,
                     classes: Sequence[str] | None = None,
                     with_tracks: bool = True,
                     backend_args: dict | None = None) -> Annotations:
    """Read and check an annotation file.

    Args:
        path (str | Path): JSON with ``videos``, ``categories`` and, where they are public, ``annotations``.
        classes (Sequence[str], optional): Names that the categories must have. Defaults to None: any.
        with_tracks (bool): Whether to read and check ``annotations``; prediction does not need them. Defaults to True.
        backend_args (dict, optional): Where the file lies. Defaults to None (local disk).

    Returns:
        Annotations: The content.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It does not fit the schema, or has one of the faults of :func:`find_faults`.
    """
    content = read_json(path, SCHEMA if with_tracks else _UNLABELLED, _EXPECTED, backend_args)
    if not with_tracks:
        content = dict(content, annotations=None)
    raise_first(find_faults(content, path, classes))
    names = {category['id']: category['name'] for category in content['categories']}
    return Annotations(path, content['videos'], names, by_video(content.get('annotations') or ()))


def find_faults(content: dict, path: PathLike, classes: Sequence[str] | None = None) -> Iterator[Fault]:
    """Find the contradictions in an annotation file that fits the schema.

    These are names that lead out of their folders; videos, categories and tracks that are listed twice; categories
    that are not the classes; videos without frames, with a frame twice, or whose height or width is not positive;
    labelled frames that a video does not have, or none at all; and tracks of videos or categories that are not listed,
    without one mask (or null), area and level of occlusion for each frame, or with a mask in a frame without labels.

    Args:
        content (dict): Content of the file.
        path (str | Path): The file.
        classes (Sequence[str], optional): Names that the categories must have. Defaults to None: any.

    Yields:
        Fault: One for each contradiction.
    """
    videos, categories, tracks = content['videos'], content['categories'], content.get('annotations') or ()
    for entries, key, what in ((categories, 'categories', 'category'), (tracks, 'annotations', 'annotation')):
        yield from find_repeats((entry['id'] for entry in entries), f'{what} id', f'id in {key}', path)
    ids = (osp.normpath(video['id']) if isinstance(video['id'], str) else video['id'] for video in videos)
    yield from find_repeats(ids, 'video id', 'id in videos', path)  # "a" and "./a" are one folder
    names = [category['name'] for category in categories]
    yield from find_repeats(names, 'category', 'name in categories', path)
    if classes is not None:
        yield from _find_other_classes(names, classes, path)
    if not videos:
        yield Fault('annotation', f'"{path}" has no videos; download it again{OR_IMPORT}')
    yield from find_bad_names((video['id'] for video in videos), 'id in videos', path)
    for video in videos:
        yield from find_bad_names(video['file_names'], f'file_names of video {video["id"]!r}', path)
        if not video['file_names']:
            yield Fault('annotation', f'"{path}": video {video["id"]} has no frames (file_names is empty); remove it')
        frames = map(osp.normpath, video['file_names'])
        yield from find_repeats(frames, 'frame', f'file_names of video {video["id"]}', path)
        if min(video['height'], video['width']) < 1:
            yield Fault('annotation', f'"{path}": video {video["id"]} has the height {video["height"]} and the width '
                                      f'{video["width"]}; both must be at least 1')
        yield from _find_label_faults(video, path)
    labelled = {video['id']: set(labelled_frames(video)) for video in videos}
    num_frames = {video['id']: len(video['file_names']) for video in videos}
    known = {category['id'] for category in categories}
    for track in tracks:
        where = f'annotation {track["id"]} of "{path}"'
        if track['category_id'] not in known:
            yield Fault('unknown id', f'{where} has the category {track["category_id"]}, which the file does not '
                                      'define')
        if track['video_id'] not in num_frames:
            yield Fault('annotation', f'{where} belongs to video {track["video_id"]}, which the file does not list')
            continue
        for key, what in (('segmentations', 'masks'), ('areas', 'areas'), ('occlusion', 'levels of occlusion')):
            values = track.get(key)
            if values is not None and len(values) != num_frames[track['video_id']]:
                yield Fault('annotation', f'{where} has {what} for {len(values)} frames, its video has '
                                          f'{num_frames[track["video_id"]]}')
        outside = {t for t, mask in enumerate(track['segmentations']) if mask} - labelled[track['video_id']]
        if outside and len(labelled[track['video_id']]) < num_frames[track['video_id']]:
            yield Fault('annotation', f'{where} has a mask in frame {min(outside)}, which is not among the '
                                      f'labelled_frames of video {track["video_id"]}: add the frame there, or remove '
                                      'the mask')


def _find_label_faults(video: dict, path: PathLike) -> Iterator[Fault]:
    """Labelled frames that a video does not have, or has twice, or none at all."""
    labelled = video.get('labelled_frames')
    if labelled is None:
        return
    where, length = f'labelled_frames of video {video["id"]}', len(video['file_names'])
    if not labelled:
        yield Fault('annotation', f'"{path}": {where} lists no frame; list one, or remove the video')
    yield from find_repeats(labelled, 'frame', where, path)
    wrong = [t for t in labelled if not 0 <= t < length]
    if wrong:
        yield Fault('annotation', f'"{path}": {where} lists frame {wrong[0]}, the video has the frames 0 to '
                                  f'{length - 1}')


def labelled_frames(video: dict) -> list[int]:
    """List the frames of a video whose objects are annotated.

    Our files may say that only some frames of a video are labelled: ``labelled_frames`` of its entry, indices from 0.
    Without the key all frames are, and an object without a mask is not in the frame.

    Args:
        video (dict): Its entry of ``videos``.

    Returns:
        list[int]: Their indices, ascending.
    """
    labelled = video.get('labelled_frames')
    return list(range(len(video['file_names']))) if labelled is None else sorted(labelled)


def _find_other_classes(names: Iterable[str], classes: Sequence[str], path: PathLike) -> Iterator[Fault]:
    names = set(names)
    if names != set(classes):
        yield Fault('annotation', f'the categories of "{path}" are not the classes of the dataset: only the file has '
                                  f'{sorted(names - set(classes))}, only the dataset has '
                                  f'{sorted(set(classes) - names)}; choose the right version, or pass '
                                  'metainfo=dict(classes=...)')


def by_video(tracks: Iterable[dict]) -> dict[int | str, list[dict]]:
    """Tracks by id of their video."""
    of_video: dict[int | str, list[dict]] = defaultdict(list)
    for track in tracks:
        of_video[track['video_id']].append(track)
    return dict(of_video)


def video_name(video: dict) -> str:
    """Return the folder of a video's frames, or its id if the frames are not in a folder."""
    return osp.dirname(video['file_names'][0]) or str(video['id'])


def read_subsets(files: Mapping[str, PathLike],
                 truth: Annotations,
                 backend_args: dict | None = None) -> dict[str, set[int | str]]:
    """Read which videos of an annotation file are scored on their own, such as the long ones of YouTube-VIS 2022.

    Args:
        files (Mapping[str, str | Path]): A file for each name of a subset. It lists videos: a JSON in the format of
            YouTube-VIS, or a text file (``.txt``) with one name per line, as of :func:`video_name`. A JSON may have
            other ids than ``truth``: videos are compared by their frames.
        truth (Annotations): The annotations of all videos.
        backend_args (dict, optional): Where the JSON files lie. Defaults to None (local disk).

    Returns:
        dict[str, set[int | str]]: Ids in ``truth`` of the videos of each subset.

    Raises:
        FileNotFoundError: There is no such file.
        UsageError: The name of a subset cannot be part of the name of a number.
        DataError: A file is damaged, lists no video, or lists one that the annotations do not have.
    """
    for name in files:
        if not name.isalnum() or name == 'mean':
            raise UsageError(f'subset "{name}": a name must consist of letters and digits, and cannot be "mean", the '
                             'name of the mean over subsets')
    return {name: _read_subset(path, truth, backend_args) for name, path in files.items()}


def _read_subset(path: PathLike, truth: Annotations, backend_args: dict | None) -> set[int | str]:
    is_text = osp.splitext(path)[1] == '.txt'
    videos = [] if is_text else read_annotations(path, with_tracks=False, backend_args=backend_args).videos
    keys: list = read_names(path) if is_text else [tuple(video['file_names']) for video in videos]
    names = keys if is_text else [video_name(video) for video in videos]
    known = {video_name(video) if is_text else tuple(video['file_names']): video['id'] for video in truth.videos}
    unknown = [name for name, key in zip(names, keys) if key not in known]
    if unknown:
        raise DataError(f'"{path}" lists {len(unknown)} videos that "{truth.path}" does not have, or has with other '
                        f'frames: {named(unknown)}. List videos of the same split')
    if not keys:
        raise DataError(f'"{path}" lists no videos: write one name per line')
    return {known[key] for key in keys}


def video_order(video_id: int | str) -> tuple[bool, int | str]:
    """Sort key of video ids, which decide on ties between scores: numbers first."""
    return isinstance(video_id, str), video_id


# --- writing a dataset ---


class TrackRecorder:
    """Collects the masks of one object for the annotation file, frame by frame.

    Args:
        category_id (int): Its category.
        is_crowd (bool): Whether it covers several objects that are not separated. Defaults to False.
    """

    def __init__(self, category_id: int, is_crowd: bool = False) -> None:
        self._category_id, self._is_crowd = category_id, is_crowd
        self._frames: dict[str, list] = dict(segmentations=[], bboxes=[], areas=[], occlusion=[])

    def add(self, mask: np.ndarray | None, occlusion: str | None = None) -> None:
        """Add the mask of a frame.

        Args:
            mask (np.ndarray, optional): Bool, shape (H, W). For an empty mask or None, the entries of the frame are
                null.
            occlusion (str, optional): One of ``OCCLUSION_LEVELS``. Defaults to None: not known.
        """
        if mask is None:
            for of_frame in self._frames.values():
                of_frame.append(None)
            return
        rle = mask_utils.encode(np.asfortranarray(mask, np.uint8))
        area = int(mask_utils.area(rle))
        values = (as_text(rle), mask_utils.toBbox(rle).tolist(), area, occlusion)
        for of_frame, value in zip(self._frames.values(), values):
            of_frame.append(value if area else None)

    def record(self, video: dict) -> dict | None:
        """Return the entry of the annotation file, without ids; None if the object is never visible.

        It has levels of occlusion if one is known.

        Args:
            video (dict): ``height``, ``width`` and ``length`` of its video.
        """
        if not any(self._frames['areas']):
            return None
        size = {key: video[key] for key in ('height', 'width', 'length')}
        frames = {key: values for key, values in self._frames.items() if key != 'occlusion' or any(values)}
        return dict(iscrowd=int(self._is_crowd), **size, category_id=self._category_id, **frames)


def write_annotations(path: PathLike, videos: Sequence[tuple[dict, Sequence[dict]]],
                      categories: Sequence[dict]) -> None:
    """Write an annotation file; videos and tracks are numbered from 1.

    Args:
        path (str | Path): The file.
        videos (Sequence[tuple[dict, Sequence[dict]]]): ``height``, ``width``, ``length`` and ``file_names`` of each
            video, and its tracks, see :class:`TrackRecorder`.
        categories (Sequence[dict]): ``id`` and ``name`` of each category.
    """
    entries: list[dict] = []
    annotations: list[dict] = []
    for video_id, (video, tracks) in enumerate(videos, 1):
        entries.append(dict(id=video_id, **video))
        for track in tracks:
            annotations.append(dict(id=len(annotations) + 1, video_id=video_id, **track))
    content = dict(videos=entries, annotations=annotations, categories=list(categories))
    atomic_write(path, (json.dumps(content) + '\n').encode())


def as_text(rle: dict) -> dict[str, Any]:
    """RLE that JSON can hold: counts as text instead of bytes."""
    return dict(size=list(rle['size']), counts=rle['counts'].decode())
