# Copyright (c) The mmvc contributors. All rights reserved.
"""YOLO segmentation: a ``data.yaml`` with the names, and for each image a text file with a polygon per line.

The format is described at https://docs.ultralytics.com/datasets/segment: ``CLASS X1 Y1 X2 Y2 ...``, relative to width
and height. Results that are saved while objects are tracked have the track id behind it.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import yaml

from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.files import read_names
from mmvc.utils.names import find_name_fault
from mmvc.utils.natural_order import natural_key

from .frame_files import FileFinder, folders_with, frames_in, path_of, video_name, video_of_images
from .reader import FileReader
from .shapes import fill_polygon
from .source import Category, Region, SourceVideo

SPLITS, OPTIONAL_SPLITS = ('train', 'val', 'valid', 'test'), ('test', )
IMAGES, LABELS = 'images', 'labels'
_LARGEST_YAML = 1 << 20  # bytes
_LONGEST_ID = 18  # digits, so that it fits 64 bits


class Row(NamedTuple):
    """A line of a label file: class index, corners relative to width and height (N, 2), and track id."""
    category: int
    corners: np.ndarray
    track: int | None


class YoloSeg(FileReader):
    """Reader of datasets of YOLO segmentation.

    Images in one folder are the frames of one video. The label file of ``images/NAME.jpg`` is ``labels/NAME.txt``. An
    empty label file says that there is no object; an image without one has no labels.

    Args:
        path (Path): ``data.yaml``, or the folder that it lies in. Instead of it, there may be a file ``classes.txt``
            with a name per line, beside ``images`` and ``labels``.
        images (Path, optional): Folder of the images. Defaults to None: the folders or lists that ``data.yaml`` names
            for its splits, below its own folder.

    Raises:
        UsageError: There is no ``data.yaml``, or the images cannot be found.
        DataError: ``data.yaml`` has no names, or a label file is damaged.
    """

    NAME = 'yolo-seg'
    HELP = 'YOLO segmentation: data.yaml, images/ and labels/ with polygons'

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self.path = _config_of(path)
        content = _read_config(self.path)
        self.categories = [Category(name) for name in _names(content, self.path)]
        base = images or self.path.parent
        folders = _frames_below(images) if images else _listed_images(content, self.path)
        # (image, label file) of each frame, by video; "images" in a path only says what lies there
        self._videos: dict[str, dict[str, tuple[Path, Path]]] = {}
        for folder, frames in folders.items():
            parts = [part for part in folder.relative_to(base).parts if part != IMAGES]
            name = video_name('/'.join(parts) or '.', base)
            video = self._videos.setdefault(name, {})
            for key, image in frames.items():
                if key in video:
                    raise DataError(f'"{video[key][0]}" and "{image}" would both be the frame "{key}" of the video '
                                    f'"{name}": rename a folder of them')
                video[key] = image, _label_file(image)
        labels = [file for frames in self._videos.values() for _, file in frames.values() if file.is_file()]
        if not labels:
            raise DataError(f'none of the images of "{self.path}" has a label file: the file of images/NAME.jpg is '
                            'labels/NAME.txt')
        self.inputs = sorted({file.parent for file in labels})
        tracked = {row.track is not None for file in labels for row in self._rows(file)}
        self.has_tracks = True in tracked

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Whether a path is a ``data.yaml`` with ``names``, or a folder that has one or ``classes.txt``."""
        try:
            file = _config_of(path)
            return file.suffix in ('.yaml', '.yml', '.txt') and bool(_names(_read_config(file), file))
        except (OSError, DataError, UsageError):
            return False

    def videos(self) -> list[SourceVideo]:
        """See :meth:`AnnotationSource.videos`."""
        videos = []
        for name in sorted(self._videos, key=natural_key):
            frames = {frame: self._videos[name][frame] for frame in sorted(self._videos[name], key=natural_key)}
            labels = {frame: file for frame, (_, file) in frames.items() if file.is_file()}
            images = {frame: image for frame, (image, _) in frames.items()}
            videos.append(video_of_images(name, images, labels, labels))
        return videos

    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        """See :meth:`AnnotationSource.regions`."""
        files = video.key
        assert isinstance(files, dict)
        scale = video.size[::-1]
        for frame in video.frames:
            if not frame.labelled:
                continue
            yield [Region(row.category, fill_polygon(row.corners * scale, video.size), row.track)
                   for row in self._rows(files[frame.name])]

    def _rows(self, file: Path) -> Iterator[Row]:
        for number, line in enumerate(_lines(file), 1):
            if line.split():
                try:
                    yield _parse(line.split(), len(self.categories))
                except DataError as error:
                    raise DataError(f'"{file}", line {number}: {error}') from error


def _parse(words: list[str], num_classes: int) -> Row:
    if len(words) == 5:
        raise DataError('it has 5 numbers, a box, and a box is no mask: export polygons (YOLO segmentation)')
    try:
        category, values = int(words[0]), np.array(words[1:], np.float64)
    except ValueError as error:
        raise DataError(f'it is not a class index and numbers ({error}): export the labels again') from error
    if not 0 <= category < num_classes:
        raise DataError(f'the class index {category} is not one of 0 to {num_classes - 1}: add its name to data.yaml')
    track = None
    if len(values) % 2:  # the track id comes last
        if not words[-1].isdecimal() or len(words[-1]) > _LONGEST_ID:
            raise DataError(f'it has an odd number of coordinates, and the last one, {words[-1][:20]}, is no track '
                            'id: export the labels again, without confidences')
        track, values = int(words[-1]), values[:-1]
    if len(values) < 6:
        raise DataError(f'it has {len(values) // 2} corners: a polygon needs at least 3; delete the line')
    if not ((values >= -0.01) & (values <= 1.01)).all():  # rounded
        raise DataError('a coordinate is not in 0 to 1: write them relative to width and height, and without '
                        'confidences')
    return Row(category, values.reshape(-1, 2).clip(0, 1), track)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_bytes().decode('utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f'"{file}" is not text ({error}): export the labels again') from error


def _label_file(image: Path) -> Path:
    """The label file of an image: the last folder ``images`` of its path becomes ``labels``."""
    folders = [folder for folder in image.parents if folder.name == IMAGES]
    if not folders:
        return image.with_suffix('.txt')
    return (folders[0].with_name(LABELS) / image.relative_to(folders[0])).with_suffix('.txt')


def _config_of(path: Path) -> Path:
    if path.is_dir():
        names = path / 'classes.txt'
        return names if names.is_file() and not (path / 'data.yaml').exists() else path / 'data.yaml'
    return path


def _read_config(path: Path) -> dict:
    """Content of ``data.yaml``, or what it would be for a ``classes.txt``."""
    if not path.is_file():
        raise UsageError(f'"{path}" does not exist: give the data.yaml of the dataset')
    if path.name == 'classes.txt':
        return dict(names=read_names(path), train=IMAGES)
    content = path.read_bytes()
    try:
        if len(content) > _LARGEST_YAML:
            raise ValueError(f'it has {len(content)} bytes')
        loaded = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = ' '.join(str(error).split())  # PyYAML shows the place on lines of its own
        raise DataError(f'"{path}" is no YAML of names and folders ({problem}): export the dataset again') from error
    if not isinstance(loaded, dict):
        raise DataError(f'"{path}" has no keys: expected names, train and val')
    return loaded


def _names(content: dict, path: Path) -> list[str]:
    names = content.get('names')
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, (str, int)) for name in names):
        raise DataError(f'"{path}" has no names: expected a list of the names of the classes, or names by class index '
                        'from 0')
    return [str(name) for name in names]


def _listed_images(content: dict, path: Path) -> dict[Path, dict[str, Path]]:
    """Images of all splits, by folder and name of the frame."""
    found: dict[Path, dict[str, Path]] = {}
    for split in SPLITS:
        entries = content.get(split)
        for entry in entries if isinstance(entries, list) else [entries] if entries else []:
            if not isinstance(entry, str):
                raise DataError(f'"{path}", {split} is {str(entry)[:50]!r}: expected a folder or a list of images')
            place = _find(entry, content.get('path'), path)
            if place is None and split in OPTIONAL_SPLITS:
                continue
            if place is None:
                raise UsageError(f'"{path}", {split}: there is no "{entry}" below "{path.parent}": give the folder of '
                                 'the images (--images)')
            for folder, frames in (_frames_below(place) if place.is_dir() else _read_list(place, path)).items():
                found.setdefault(folder, {}).update(frames)
    if not found:
        raise UsageError(f'"{path}" names no images (train, val): give the folder of the images (--images)')
    return found


def _find(entry: str, base: object, path: Path) -> Path | None:
    """A folder or list that ``data.yaml`` names, which must lie below its own folder; None if it does not."""
    parts = [part for part in PurePosixPath(path_of(entry)).parts if part not in ('..', '/', '.')]
    middle = [part for part in PurePosixPath(path_of(str(base or ''))).parts if part not in ('..', '/', '.')]
    if any(find_name_fault(part, str(path)) is not None for part in (*parts, *middle)):
        return None
    for start in (path.parent.joinpath(*middle), path.parent):
        for skipped in range(len(parts)):  # an address of another machine is longer than here
            if start.joinpath(*parts[skipped:]).exists():
                return start.joinpath(*parts[skipped:])
    return None


def _frames_below(root: Path) -> dict[Path, dict[str, Path]]:
    return {folder: frames_in(folder) for folder in folders_with(root).values()}


def _read_list(file: Path, path: Path) -> dict[Path, dict[str, Path]]:
    finder = FileFinder(path.parent)
    groups: dict[Path, dict[str, Path]] = defaultdict(dict)
    for number, line in enumerate(read_names(file), 1):
        image = finder.find(line, f'"{file}", line {number}')
        groups[image.parent][image.stem] = image
    return groups
