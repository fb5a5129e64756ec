# Copyright (c) The mmvc contributors. All rights reserved.
"""LabelMe: a JSON for each image, with polygons and other shapes. Images in one folder are the frames of one video."""

import base64
import binascii
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from mmvc.formats.json_files import ID, find_fault, read_json
from mmvc.utils.errors import DataError
from mmvc.utils.files import files_in, read_names
from mmvc.utils.image_files import find_damage
from mmvc.utils.names import check_name
from mmvc.utils.natural_order import natural_key

from .frame_files import FileFinder, folders_with, frames_in, path_of, video_name, video_of_images
from .reader import FileReader
from .shapes import fill_circle, fill_polygon, fill_rectangle
from .source import VOID_CATEGORY, Category, Region, SourceVideo

_POINTS = [[float]]
_SCHEMA = {
    'shapes': [{'label': str, 'points': _POINTS, 'shape_type?': str, 'group_id?': ID, 'mask?': str}],
    'imagePath': str, 'imageData?': str, 'imageHeight?': int, 'imageWidth?': int,
}
_EXPECTED = 'a file of LabelMe with shapes and imagePath'
_FILL = dict(polygon=fill_polygon, rectangle=fill_rectangle, circle=fill_circle)
_WITHOUT_AREA = ('point', 'points', 'line', 'linestrip')
_IGNORED = '__ignore__'  # LabelMe's own tools treat it as void
_BACKGROUND = '_background_'  # every labels.txt has it, few shapes do


class LabelMe(FileReader):
    """Reader of LabelMe's JSON files.

    The shapes polygon, rectangle, circle and mask are read; lines and points are left out. ``group_id``, if there are
    any, is the track id; shapes of one frame with the same label and ``group_id`` are one object. If two labels of one
    image have the same ``group_id``, the groups of each label are counted on their own. Pixels of the label
    ``__ignore__`` are unlabelled. Images without a JSON are frames without labels.

    Args:
        path (Path): Folder of the JSONs of one video; or a folder of such folders. A file ``labels.txt`` in it gives
            the order of the categories, one per line.
        images (Path, optional): Folder of the images, at any depth. Defaults to None: they lie next to the JSONs. If
            there is no image, the copy in the JSON (``imageData``) is used.

    Raises:
        DataError: There is no JSON, one is damaged, or a label is not in ``labels.txt``.
    """

    NAME = 'labelme'
    HELP = "LabelMe: a folder with a JSON for each image; group_id is the track id"

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self.path, self.images = path, images
        self._folders = folders_with(path, ('.json', ))
        if not self._folders:
            raise DataError(f'"{path}" has no JSON files: give the folder that LabelMe has saved to')
        self._copies: TemporaryDirectory | None = None
        self._groups_by_label = False  # whether two labels of an image have the same group
        labels: set[str] = set()
        kinds: Counter[str] = Counter()
        for folder in self._folders.values():
            for file in files_in(folder, ('.json', )).values():
                shapes = _read(file)['shapes']
                kinds.update(map(_kind, shapes))
                labels |= {shape['label'] for shape in shapes if _kind(shape) not in _WITHOUT_AREA}
                groups = {(shape['label'], shape['group_id']) for shape in shapes if shape.get('group_id') is not None}
                self.has_tracks |= bool(groups)
                self._groups_by_label |= len({group for _, group in groups}) < len(groups)
        self.notes = _notes(kinds)
        names = _category_names(path, labels)
        self.categories = [Category(name) for name in names]
        self._index = {name: index for index, name in enumerate(names)}

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Whether the first JSON of a folder has ``shapes`` and ``imagePath``."""
        try:
            if not path.is_dir():
                return False
            folder = next(iter(folders_with(path, ('.json', )).values()), None)
            file = None if folder is None else next(iter(files_in(folder, ('.json', )).values()))
            return file is not None and find_fault(read_json(file, dict, _EXPECTED), _SCHEMA) is None
        except (OSError, DataError):
            return False

    def videos(self) -> list[SourceVideo]:
        """See :meth:`AnnotationSource.videos`."""
        finder = None if self.images is None else FileFinder(self.images)
        videos = []
        for name, folder in self._folders.items():
            labels: dict[str, Path] = {}
            images: dict[str, Path] = {}
            is_copied = False
            for file in files_in(folder, ('.json', )).values():
                content = _read(file)
                image = self._find_image(file, content, finder)
                is_copied |= image is None
                image = image or self._copy_image(name, file, content)
                if image.stem in labels:
                    raise DataError(f'"{file}" and "{labels[image.stem]}" are both for "{image}": remove one')
                labels[image.stem], images[image.stem] = file, image
            folders = {image.parent for image in images.values()}
            if len(folders) > 1 and not is_copied:
                raise DataError(f'the images of the JSONs in "{folder}" lie in several folders, such as '
                                f'{" and ".join(map(str, sorted(folders)[:2]))}: put the frames of a video in one')
            for image_folder in () if is_copied else folders:
                images |= frames_in(image_folder)
            frames = {frame: images[frame] for frame in sorted(images, key=natural_key)}
            videos.append(video_of_images(video_name(name, self.path), frames, labels, labels))
        return videos

    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        """See :meth:`AnnotationSource.regions`."""
        files = video.key
        assert isinstance(files, dict)
        for frame in video.frames:
            if frame.labelled:
                yield self._read_regions(files[frame.name], video.size)

    def _read_regions(self, file: Path, size: tuple[int, int]) -> list[Region]:
        content = _read(file)
        named_size = tuple(content.get(key) or length for key, length in zip(('imageHeight', 'imageWidth'), size))
        if named_size != size:
            raise DataError(f'"{file}": imageHeight and imageWidth are {named_size}, the image has {size}: give the '
                            'images that were labelled')
        objects: dict[object, Region] = {}
        for number, shape in enumerate(content['shapes']):
            if _kind(shape) in _WITHOUT_AREA:
                continue
            try:
                mask = _draw(shape, size)
            except DataError as error:
                raise DataError(f'"{file}", shapes[{number}] ("{shape["label"]}"): {error}') from error
            track = shape.get('group_id')
            key = number if track is None else (shape['label'], track)
            if track is not None and self._groups_by_label:
                track = f'{shape["label"]} {track}'
            if shape['label'] == _IGNORED:
                objects[number] = Region(VOID_CATEGORY, mask)
                continue
            if key in objects:  # the object is drawn in parts, of which the last one says what it covers
                mask |= objects.pop(key).mask
            objects[key] = Region(self._index[shape['label']], mask, track)
        return list(objects.values())

    def _find_image(self, file: Path, content: dict, finder: FileFinder | None) -> Path | None:
        """The image of a JSON; None if there is only the copy in the JSON."""
        where = f'"{file}", imagePath'
        name = check_name(PurePosixPath(path_of(content['imagePath'])).name, where)
        if finder is None:
            image = file.parent / name
            if image.is_file():
                return image
            if content.get('imageData') is None:
                raise DataError(f'{where}: there is no image "{image}": give the folder of the images (--images)')
            return None
        return finder.find(content['imagePath'], where)

    def _copy_image(self, folder: str, file: Path, content: dict) -> Path:
        """Write the copy of the image in a JSON to a temporary file, which is deleted with this object."""
        data = _decode_base64(content['imageData'], f'"{file}", imageData')
        damage = find_damage(data)
        try:
            with Image.open(io.BytesIO(data)) as image:
                kind = image.format
        except Exception as error:  # a damaged file can fail in any way
            damage = damage or str(error)
        if damage is not None:
            raise DataError(f'"{file}", imageData cannot be decoded ({damage}): give the folder of the images '
                            '(--images)')
        self._copies = self._copies or TemporaryDirectory(prefix='mmvc_labelme_')
        path = Path(self._copies.name, str(list(self._folders).index(folder)), f'{file.stem}.{str(kind).lower()}')
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path


def _read(file: Path) -> dict[str, Any]:
    return read_json(file, _SCHEMA, _EXPECTED)


def _category_names(path: Path, labels: set[str]) -> list[str]:
    used = labels - {_IGNORED}
    if not (path / 'labels.txt').is_file():
        return sorted(used, key=natural_key)
    listed = dict.fromkeys(read_names(path / 'labels.txt'))
    names = [name for name in listed if name in used or name not in (_IGNORED, _BACKGROUND)]
    others = sorted(used - set(names))
    if others:
        raise DataError(f'"{path / "labels.txt"}" has no label "{others[0]}", which a shape has: add it, or correct '
                        'the shape')
    return names


def _notes(kinds: Counter[str]) -> list[str]:
    notes = []
    if kinds['rectangle']:
        notes.append(f'{kinds["rectangle"]} of {kinds.total()} shapes are boxes: their masks are filled boxes')
    left_out = sum(kinds[kind] for kind in _WITHOUT_AREA)
    if left_out:
        notes.append(f'{left_out} lines and points were left out, because they have no area')
    return notes


def _kind(shape: dict) -> str:
    return shape.get('shape_type') or 'polygon'


def _draw(shape: dict, size: tuple[int, int]) -> np.ndarray:
    kind = _kind(shape)
    if kind == 'mask':
        return _decode_mask(shape, size)
    if kind not in _FILL:
        raise DataError(f'the kind of shape "{kind}" is not known: draw a polygon instead, or delete it')
    return _FILL[kind](shape['points'], size)


def _decode_mask(shape: dict, size: tuple[int, int]) -> np.ndarray:
    """Mask in the box of its two points, which are its first and its last pixel."""
    if len(shape['points']) != 2 or any(len(point) != 2 for point in shape['points']) or shape.get('mask') is None:
        raise DataError('a mask needs 2 points (x, y) and the key mask; draw it again')
    (left, top), (right, bottom) = ((int(x), int(y)) for x, y in shape['points'])
    content = _decode_base64(shape['mask'], 'its mask')
    damage = find_damage(content)
    try:
        if damage is not None:
            raise ValueError(damage)
        with Image.open(io.BytesIO(content)) as image:
            crop = np.asarray(image)
    except Exception as error:  # a damaged file can fail in any way
        raise DataError(f'its mask cannot be decoded ({error}); draw it again') from error
    if crop.shape != (bottom - top + 1, right - left + 1):
        raise DataError(f'its mask has the shape {crop.shape}, its points are the corners of a box of '
                        f'{(bottom - top + 1, right - left + 1)} (height, width); draw it again')
    if not (0 <= left <= right < size[1] and 0 <= top <= bottom < size[0]):
        raise DataError(f'its mask leaves the image of {size} (height, width); draw it again')
    mask = np.zeros(size, bool)
    mask[top:bottom + 1, left:right + 1] = crop != 0
    return mask


def _decode_base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f'{what} is not base64 ({error}): save the file again') from error
