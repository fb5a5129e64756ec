# Copyright (c) The mmvc contributors. All rights reserved.
"""Reader of the XML files of CVAT."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.natural_order import natural_key

from .cvat_document import Shape, read_document
from .cvat_shapes import mask_of
from .detect import contains
from .frame_files import (
    VIDEO_SUFFIXES,
    FileFinder,
    folders_with,
    frame_number,
    frames_in,
    video_of_file,
    video_of_images,
)
from .reader import FileReader
from .source import Category, Region, SourceFrame, SourceVideo

FILE = 'annotations.xml'


class CvatXml(FileReader):
    """Reader of "CVAT for video 1.1" and "CVAT for images 1.1".

    Shapes are taken as the file has them: CVAT writes out what it interpolates between two keyframes. Polygons, masks,
    boxes and ellipses become masks. A shape with a larger ``z_order`` lies over the others. Shapes of one group are
    one object, and so are those of one track. A frame is labelled if a shape is visible in it.

    Args:
        path (Path): The file, or the folder that holds ``annotations.xml``.
        images (Path, optional): Folder of the frames, or the video file. Defaults to None: ``images`` beside the file,
            or the folder of the file.

    Raises:
        DataError: The file is damaged, not of CVAT, or its frames are not found.
    """

    NAME = 'cvat-xml'
    HELP = 'CVAT for video 1.1, CVAT for images 1.1: annotations.xml'

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self._path = path / FILE if path.is_dir() else path
        self._document = read_document(self._path)
        self._images = images or self._find_images()
        self.categories = [Category(name, color) for name, color in self._document.labels.items()]
        self._index = {category.name: index for index, category in enumerate(self.categories)}
        self.has_tracks = self._have_tracks()
        self.notes = self._find_notes()
        self._videos = self._list_images() if self._document.images else [self._list_video()]

    @classmethod
    def matches(cls, path: Path) -> bool:
        """See :meth:`FileReader.matches`."""
        file = path / FILE if path.is_dir() else path
        return file.suffix.lower() == '.xml' and contains(file, '<annotations>', '<meta>')

    def videos(self) -> list[SourceVideo]:
        return self._videos

    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        assert isinstance(video.key, dict)
        for frame in video.frames:
            if frame.labelled:
                yield self._regions_of(video.key[frame.name], video.size)

    def _regions_of(self, shapes: Sequence[Shape], size: tuple[int, int]) -> list[Region]:
        regions = []
        for shape in sorted(shapes, key=self._height):
            try:
                mask = mask_of(shape, size)
            except (DataError, ValueError) as error:
                raise DataError(f'"{self._path}", line {shape.line}: the {shape.kind} of the label "{shape.label}": '
                                f'{error}') from error
            regions.append(Region(self._category_of(shape), mask, shape.track))
        return regions

    def _height(self, shape: Shape) -> int:
        try:
            return int(shape.z_order)
        except ValueError as error:
            raise DataError(f'"{self._path}", line {shape.line}: z_order is "{shape.z_order[:20]}", not a whole '
                            'number: export the file again') from error

    def _category_of(self, shape: Shape) -> int:
        if shape.label not in self._index:
            raise DataError(f'"{self._path}", line {shape.line}: the label "{shape.label[:100]}" is not among the '
                            'labels of the task: export the file again')
        return self._index[shape.label]

    def _have_tracks(self) -> bool:
        """Whether some object is in several frames: CVAT writes single shapes as tracks of one frame, too."""
        document = self._document
        if document.images:
            shapes = [shape for image in document.images for shape in image.shapes]
            return bool(shapes) and all(shape.track is not None for shape in shapes)
        return len(document.frames) == 1 or any(number > 1 for number in document.visible.values())

    def _find_notes(self) -> list[str]:
        document, notes = self._document, []
        shapes = [shape for found in document.frames.values() for shape in found]
        shapes += [shape for image in document.images for shape in image.shapes]
        number = sum(shape.kind == 'box' for shape in shapes)
        if number:
            notes.append(f'{number} of {len(shapes)} shapes are boxes: their masks are filled boxes')
        if document.left_out:
            notes.append(f'{document.left_out} lines, points, cuboids and skeletons were left out, because they have '
                         'no area')
        return notes

    def _find_images(self) -> Path:
        beside = self._path.parent / 'images'
        return beside if beside.is_dir() else self._path.parent

    # --- CVAT for images ---

    def _list_images(self) -> list[SourceVideo]:
        """A video for each folder of images."""
        if self._images.is_file():
            return [self._frames_of_video_file()]
        finder = FileFinder(self._images, any_suffix=True)
        folders: dict[str, dict[str, Path]] = defaultdict(dict)
        shapes: dict[str, dict[str, list[Shape]]] = defaultdict(dict)
        sizes: dict[str, tuple[int, int]] = {}
        for image in self._document.images:
            where = f'"{self._path}", line {image.line}'
            path = finder.find(image.name, where)
            folder = '/'.join(image.name.replace('\\', '/').split('/')[:-1])
            if path.stem in folders[folder]:
                raise DataError(f'{where}: the image "{image.name[:100]}" is listed twice: export the file again')
            folders[folder][path.stem] = path
            shapes[folder][path.stem] = image.shapes
            size = self._size_of(image.values, image.line)
            if sizes.setdefault(folder, size) != size:
                raise DataError(f'{where}: the image "{image.name[:100]}" has another size than those before it in '
                                'its folder: all frames of a video must have one size')
        videos = []
        for name in sorted(folders, key=natural_key):
            order = sorted(folders[name], key=natural_key)
            videos.append(video_of_images(name or self._task_name(), {frame: folders[name][frame] for frame in order},
                                          [frame for frame in order if shapes[name][frame]], shapes[name],
                                          sizes[name]))
        return videos

    def _frames_of_video_file(self) -> SourceVideo:
        """The frames of a video file, which CVAT names by their numbers."""
        shapes: dict[int, list[Shape]] = {}
        for image in self._document.images:
            number = frame_number(Path(image.name).stem)
            if number is None or number in shapes:
                raise DataError(f'"{self._path}", line {image.line}: the image "{image.name[:100]}" is no frame of '
                                f'"{self._images}", whose names are frame_000000, ...: give the folder of the images '
                                '(--images)')
            shapes[number] = image.shapes
        video = video_of_file(self._task_name(), self._images, shapes)
        frames = [SourceFrame(frame.name, None, frame.index, bool(shapes[frame.index])) for frame in video.frames
                  if frame.index in shapes]
        first = self._document.images[0]
        self._require_size(video.size, self._size_of(first.values, first.line))
        return SourceVideo(video.name, video.size, frames, video.video_file,
                           {frame.name: shapes[frame.index] for frame in frames})

    def _require_size(self, found: tuple[int, int], expected: tuple[int, int] | None) -> None:
        if expected is not None and expected != found:
            raise DataError(f'"{self._images}" has frames of the size {found}, "{self._path}" is for {expected} '
                            '(height, width): give the video that was labelled (--images)')

    def _size_of(self, values: dict[str, str], line: int) -> tuple[int, int]:
        height, width = values.get('height', ''), values.get('width', '')
        if not (height.isdecimal() and width.isdecimal() and max(len(height), len(width)) < 10):
            raise DataError(f'"{self._path}", line {line}: the height "{height[:20]}" or the width "{width[:20]}" is '
                            'not a whole number: export the file again')
        return int(height), int(width)

    # --- CVAT for video ---

    def _list_video(self) -> SourceVideo:
        document = self._document
        if document.meta.get('kind') == 'project' and document.meta.get('num_tasks', '0') != '1':
            raise UsageError(f'"{self._path}" is the export of a project with several videos, whose frame numbers are '
                             'not unique: export each task')
        start, step = self._meta_number('start_frame', 0), self._step()
        if self._images.is_file():
            return self._from_video_file(start, step)
        images = self._numbered_images(start, step)
        missing = sorted(set(document.frames) - set(images))
        if missing:
            raise DataError(f'"{self._path}", line {document.frames[missing[0]][0].line}: frame {missing[0]} has '
                            f'labels, but "{self._images}" has {len(images)} images, of the frames '
                            f'{named([str(number) for number in sorted(images)[:1] + sorted(images)[-1:]])}: give the '
                            'frames or the video file that were labelled (--images)')
        names = {number: path.stem for number, path in images.items()}
        shapes = {names[number]: found for number, found in document.frames.items()}
        return video_of_images(self._task_name(), {names[number]: images[number] for number in sorted(images)},
                               shapes, shapes, self._original_size())

    def _from_video_file(self, start: int, step: int) -> SourceVideo:
        stop = self._meta_number('stop_frame', None)
        video = video_of_file(self._task_name(), self._images, self._document.frames)
        self._require_size(video.size, self._original_size())
        frames = [frame for frame in video.frames if frame.index >= start and (frame.index - start) % step == 0
                  and (stop is None or frame.index <= stop)]
        other = sorted(set(self._document.frames) - {frame.index for frame in frames})
        if other:
            raise DataError(f'"{self._path}", line {self._document.frames[other[0]][0].line}: frame {other[0]} has '
                            'labels, but is not one of the task: export the file again')
        shapes = {frame.name: self._document.frames[frame.index] for frame in frames if frame.labelled}
        return SourceVideo(video.name, video.size, frames, video.video_file, shapes)

    def _numbered_images(self, start: int, step: int) -> dict[int, Path]:
        """Images of the frames, by number: that in the names that CVAT gives, or their place in the folder."""
        folders = list(folders_with(self._images).values())
        if len(folders) != 1:
            problem = f'{len(folders)} folders with images' if folders else 'no images'
            raise DataError(f'"{self._images}" has {problem}: give the folder of the frames, or the video file '
                            f'({", ".join(VIDEO_SUFFIXES[:4])}), of "{self._path}" (--images)')
        images = frames_in(folders[0])
        numbers = {frame_number(name): path for name, path in images.items()}
        if None not in numbers and len(numbers) == len(images):
            return {number: path for number, path in numbers.items() if number is not None}
        return {start + step * place: path for place, path in enumerate(images.values())}

    def _task_name(self) -> str:
        name = re.sub(r'[^\w.-]+', '_', self._document.meta.get('name', '')).strip('._')
        return name[:100] or self._path.resolve().parent.name or 'video'

    def _original_size(self) -> tuple[int, int] | None:
        values = {key: self._document.meta.get(f'original_size/{key}', '') for key in ('height', 'width')}
        return self._size_of(values, 1) if any(values.values()) else None

    def _meta_number(self, key: str, default: int | None) -> int:
        text = self._document.meta.get(key, '')
        if not text:
            return default  # type: ignore[return-value]
        if not text.isdecimal() or len(text) > 9:
            raise DataError(f'"{self._path}": {key} is "{text[:20]}", not a whole number: export the file again')
        return int(text)

    def _step(self) -> int:
        match = re.search(r'step\s*=\s*(\d{1,9})', self._document.meta.get('frame_filter', ''))
        return max(1, int(match[1])) if match else 1
