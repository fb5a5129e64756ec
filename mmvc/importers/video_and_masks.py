# Copyright (c) The mmvc contributors. All rights reserved.
"""Video files with a folder of masks each, in which the number in a mask's name is the number of its frame."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmvc.formats.json_files import find_fault, read_json
from mmvc.formats.label_maps import VOID_LABEL
from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.files import PREDICTION_SUFFIXES, files_in, read_names
from mmvc.utils.natural_order import natural_key

from .frame_files import VIDEO_SUFFIXES, folders_with, video_of_file
from .id_masks import read_id_mask, read_sized_map
from .object_categories import ObjectCategories
from .reader import FileReader, ReaderOption
from .source import Category, Region, SourceVideo

_NUMBER = re.compile(r'\d+')


class VideoAndMasks(FileReader):
    """Reader of video files with a folder of masks each.

    The last number in the name of a mask is that of its frame (``mask_000120.png``: 120). Frames without a mask are
    not labelled. The masks hold object ids (0 is background, 255 is void), or, if the names of the classes are given,
    class indices (0 is the first class, 255 is void).

    Args:
        path (Path): Folder of the masks of one video; or a folder of such folders, named as the videos are.
        images (Path): The video file; or a folder of video files.
        categories (Path, optional): Names of the classes, in a text file with a name per line or a JSON list; or the
            category of each object, see :class:`ObjectCategories`. Defaults to None: the masks hold object ids of the
            category ``object``.
        first_frame (int): Number of the first frame of a video: 0, or 1 as in the names that FFmpeg gives. Defaults
            to 0.

    Raises:
        UsageError: There are no videos.
        DataError: The file of the categories has another form.
    """

    NAME = 'video-and-masks'
    HELP = 'video files with a folder of masks each (class indices or object ids), named by frame number'
    OPTIONS = (
        ReaderOption('categories', 'names of the classes, one per line, if masks hold class indices; or the category '
                     'of each object (default: masks hold ids of objects of one category)', Path),
        ReaderOption('first_frame', 'number of the first frame of a video in the names of masks (default: 0)', int),
    )

    def __init__(self, path: Path, images: Path | None = None, categories: Path | None = None,
                 first_frame: int = 0) -> None:
        if images is None or not images.exists():
            raise UsageError('give the video file, or the folder of the video files, of the masks (--images)')
        if not path.is_dir():
            raise UsageError(f'"{path}" is no folder: give the folder of the masks')
        self.path, self.images, self.first_frame = path, images, first_frame
        class_names = None if categories is None else _read_class_names(categories)
        self._objects = ObjectCategories(categories) if class_names is None else None
        if self._objects is not None:
            self.categories = self._objects.categories
        else:
            self.categories = [Category(name) for name in class_names or ()]
        self.has_tracks = self.covers_frames = self._objects is not None

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Never: a folder of masks does not tell what its values mean, or where the video is."""
        return False

    def videos(self) -> list[SourceVideo]:
        """See :meth:`AnnotationSource.videos`."""
        if self.images.is_file():
            return [self._video(self.images.stem, self.images, self.path)]
        files = files_in(self.images, VIDEO_SUFFIXES)
        if not files:
            raise UsageError(f'"{self.images}" has no video files: give the folder of the videos (--images)')
        folders = folders_with(self.path, PREDICTION_SUFFIXES)
        others = [name for name in folders if name not in files]
        if others or not folders:
            raise DataError(f'"{self.images}" has no videos for the masks in {named(others) or self.path}: name each '
                            'folder of masks as its video, without suffix')
        return [self._video(name, files[name], folders[name]) for name in sorted(folders, key=natural_key)]

    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        """See :meth:`AnnotationSource.regions`."""
        masks = video.key
        assert isinstance(masks, dict)
        seen: set[int] = set()
        for frame in video.frames:
            if not frame.labelled:
                continue
            path = masks[frame.index]
            if self._objects is None:
                yield self._split_classes(path, video.size)
            else:
                yield read_id_mask(path, video, self._objects, seen)

    def _video(self, name: str, file: Path, folder: Path) -> SourceVideo:
        masks: dict[int, Path] = {}
        for path in files_in(folder, PREDICTION_SUFFIXES).values():
            numbers = _NUMBER.findall(path.stem)
            if not numbers:
                raise DataError(f'the name of the mask "{path}" has no number: name it by its frame, such as '
                                '000120.png')
            index = int(numbers[-1]) - self.first_frame
            if index in masks:
                raise DataError(f'"{path}" and "{masks[index]}" are both masks of the frame {numbers[-1]}: remove one')
            masks[index] = path
        if not masks:
            raise DataError(f'"{folder}" has no PNG masks: give the folder of the masks of "{file.name}"')
        return video_of_file(name, file, masks, masks, 'give the video of these masks; if their names count from 1, '
                             'say so (--first-frame 1)')

    def _split_classes(self, path: Path, size: tuple[int, int]) -> list[Region]:
        label_map = read_sized_map(path, size)
        values = [int(value) for value in np.unique(label_map) if value != VOID_LABEL]
        unknown = [str(value) for value in values if value >= len(self.categories)]
        if unknown:
            raise DataError(f'mask "{path}" has the class indices {named(unknown)}, but there are names for '
                            f'{len(self.categories)} classes, 0 to {len(self.categories) - 1}: add the names, or save '
                            'pixels without a class as 255')
        return [Region(value, label_map == value) for value in values]


def _read_class_names(path: Path) -> list[str] | None:
    """Names of the classes; None if the file has the categories of objects."""
    if path.suffix.lower() != '.json':
        names = read_names(path)
    else:
        content = read_json(path, (list, dict), 'a list of the names of the classes, or the categories of objects')
        if isinstance(content, dict):
            return None
        if find_fault(content, [str]) is not None:
            raise DataError(f'"{path}"{find_fault(content, [str], "list")}: expected a list of names')
        names = content
    if not names or len(set(names)) < len(names):
        raise DataError(f'"{path}" names no class, or one twice: give each class one name')
    return names
