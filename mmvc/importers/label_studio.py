# Copyright (c) The mmvc contributors. All rights reserved.
"""Label Studio: a JSON with a task for each image or video, and the regions of each task.

Brush masks and polygons of images are read, and, if boxes may stand for masks, rectangles of images and videos. The
format is described at https://labelstud.io/guide/export.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmvc.formats.json_files import find_fault
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.natural_order import natural_key

from .brush_rle import decode_brush_rle
from .detect import contains
from .frame_files import VIDEO_SUFFIXES, FileFinder, frames_in, video_name, video_of_file, video_of_images
from .json_exports import find_json, only_json_in
from .label_studio_boxes import BoxTrack, fill_box
from .label_studio_tasks import BOX, BRUSH, VIDEO_BOX, Task, TaskRegion, read_tasks
from .reader import FileReader, ReaderOption
from .shapes import fill_polygon
from .source import Category, Region, SourceVideo


class LabelStudio(FileReader):
    """Reader of exports of Label Studio in the format JSON.

    Images in one folder are the frames of one video; images of the folder without a finished task are not labelled.
    Regions of images have no track ids, those of videos have. A box is no mask: rectangles need ``boxes_as_masks``.

    Args:
        path (Path): The JSON, or the folder of the export, see :func:`find_json`.
        images (Path, optional): Folder of the images or videos, at any depth; they are found by their names. Defaults
            to None: the folder of the export, or that of the JSON.
        boxes_as_masks (bool): Whether to take boxes for masks. Defaults to False.

    Raises:
        FileNotFoundError: There is no such JSON.
        UsageError: There are boxes, and ``boxes_as_masks`` is not set.
        DataError: It is no such export, or a task or region cannot be read; see :func:`read_tasks`.
    """

    NAME = 'label-studio'
    HELP = 'Label Studio: an export in the format JSON, with brush masks and polygons'
    OPTIONS = (ReaderOption('boxes_as_masks', 'take boxes for masks'), )

    def __init__(self, path: Path, images: Path | None = None, boxes_as_masks: bool = False) -> None:
        self._root = images or (path if path.is_dir() else path.parent)
        self._tasks = read_tasks(find_json(path))
        regions = [region for task in self._tasks for region in task.regions or ()]
        boxes = [region for region in regions if region.kind in (BOX, VIDEO_BOX)]
        if boxes and not boxes_as_masks:
            raise UsageError(f'{boxes[0].where} is a box, and a box is no mask: label with the brush or polygons, or '
                             'take boxes for masks (--boxes-as-masks)')
        num_points = sum(task.num_points for task in self._tasks)
        self.notes = []
        if boxes:
            self.notes.append(f'{len(boxes)} of {len(regions)} regions are boxes: their masks are filled boxes')
        if num_points:
            self.notes.append(f'{num_points} key points were left out, because they have no area')
        self.categories = [Category(name) for name in sorted({region.label for region in regions}, key=natural_key)]
        self._index = {category.name: index for index, category in enumerate(self.categories)}
        self.has_tracks = any(region.kind == VIDEO_BOX for region in regions)

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Whether a file is a JSON of tasks with ``data`` and results."""
        file = only_json_in(path) if path.is_dir() else path
        return file is not None and file.suffix.lower() == '.json' \
            and contains(file, '"data"', '"annotations"', '"result"')

    def videos(self) -> list[SourceVideo]:
        """See :meth:`AnnotationSource.videos`."""
        images, files = FileFinder(self._root), FileFinder(self._root, VIDEO_SUFFIXES)
        videos = []
        by_folder: dict[Path, dict[str, Task]] = defaultdict(dict)
        for task in self._tasks:
            if task.is_video:
                videos.append(self._video(task, files.find(task.address, task.where)))
                continue
            image = images.find(task.address, task.where)
            other = by_folder[image.parent].setdefault(image.stem, task)
            if other is not task:
                raise DataError(f'{task.where} has the image "{image}" of {other.where}: delete one of the tasks')
        for folder, tasks in by_folder.items():
            labels = {frame: task.regions for frame, task in tasks.items() if task.regions is not None}
            name = video_name(folder.relative_to(self._root).as_posix(), self._root)
            videos.append(video_of_images(name, frames_in(folder), labels, labels))
        return sorted(videos, key=lambda video: natural_key(video.name))

    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        """See :meth:`AnnotationSource.regions`."""
        labels = video.key
        if isinstance(labels, dict):
            for frame in video.frames:
                if frame.labelled:
                    yield [Region(self._index[region.label], _draw(region, video.size))
                           for region in labels[frame.name]]
            return
        assert isinstance(labels, list)
        tracks = [(region, _track(region, len(video.frames))) for region in labels]
        for frame in video.frames:
            if frame.labelled:
                boxes = ((region, track.box_at(frame.index)) for region, track in tracks)
                yield [Region(self._index[region.label], fill_box(box, video.size), region.id)
                       for region, box in boxes if box is not None]

    def _video(self, task: Task, file: Path) -> SourceVideo:
        name = file.relative_to(self._root).with_suffix('').as_posix()
        video = video_of_file(name, file, () if task.regions is None else None, task.regions or [])
        for region in task.regions or ():
            if region.kind == VIDEO_BOX:
                _track(region, len(video.frames))
            else:
                raise DataError(f'{region.where} is drawn on a video: only boxes of videos are read')
        return video


def _track(region: TaskRegion, num_frames: int) -> BoxTrack:
    try:
        return BoxTrack(region.value, num_frames)
    except DataError as error:
        raise DataError(f'{region.where}: {error}') from error


def _draw(region: TaskRegion, size: tuple[int, int]) -> np.ndarray:
    if region.size is not None and region.size != size:
        raise DataError(f'{region.where} was drawn on an image of {region.size}, the image has {size} (height, '
                        'width): give the images that were labelled')
    try:
        if region.kind == VIDEO_BOX:
            raise DataError('it is a box of a video, but its task has an image: correct the task')
        if region.kind == BOX:
            return fill_box(region.value, size)
        if region.kind == BRUSH:
            return _decode_brush(region.value, size)
        return _draw_polygon(region.value, size)
    except DataError as error:
        raise DataError(f'{region.where}: {error}') from error


def _decode_brush(value: dict, size: tuple[int, int]) -> np.ndarray:
    rle = value.get('rle')
    if value.get('format', 'rle') != 'rle' or not isinstance(rle, list):
        raise DataError('its value has no rle: export again, in the format JSON')
    return decode_brush_rle(rle, *size)


def _draw_polygon(value: dict, size: tuple[int, int]) -> np.ndarray:
    fault = find_fault(value, {'points': [[float]]})
    if fault is None and any(len(point) != 2 for point in value['points']):
        fault = ': points are not pairs of numbers'
    if fault is not None:
        raise DataError(f'the polygon{fault}; draw it again')
    height, width = size
    return fill_polygon([(x / 100 * width, y / 100 * height) for x, y in value['points']], size)
