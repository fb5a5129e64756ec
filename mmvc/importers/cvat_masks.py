# Copyright (c) The mmvc contributors. All rights reserved.
"""Reader of "Segmentation mask 1.1" of CVAT: a colour for each class, in the layout of Pascal VOC.

The format is described at https://docs.cvat.ai/docs/dataset_management/formats/format-smask.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mmvc.formats.label_maps import require_exact
from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.image_files import find_damage

from .classes import BACKGROUND
from .frame_files import folders_with, frames_in, video_name, video_of_images
from .reader import FileReader
from .source import VOID_CATEGORY, Category, Region, SourceVideo

MASKS, FRAMES, LABELS = 'SegmentationClass', 'JPEGImages', 'labelmap.txt'
_BLACK = 0  # colour of the background, also if a label of this name has another one
_VOC_VOID = 224 << 16 | 224 << 8 | 192  # colour of unlabelled pixels in Pascal VOC


class CvatMasks(FileReader):
    """Reader of "Segmentation mask 1.1".

    ``SegmentationClass`` has a colour image for each labelled frame, and ``labelmap.txt`` the colour of each label. In
    a grey image, the value is the number of the line. Objects are not read: their ids differ between the frames. A
    subfolder of the masks is a video.

    Args:
        path (Path): Folder with ``labelmap.txt`` and ``SegmentationClass``.
        images (Path, optional): Folder of the frames, with the subfolders of the masks. Defaults to None:
            ``JPEGImages`` or ``images`` in the folder.

    Raises:
        DataError: Files are missing or damaged.
    """

    NAME = 'cvat-masks'
    HELP = 'CVAT Segmentation mask 1.1: labelmap.txt, SegmentationClass/'
    has_tracks = False
    covers_frames = True

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self._root = path
        colors = read_label_map_file(path / LABELS)
        background = next((color for name, color in colors.items() if name.lower() == BACKGROUND), _BLACK)
        labels = {name: color for name, color in colors.items() if color != background}
        self._background = {background, _BLACK} - set(labels.values())
        self.categories = [Category(name, (color >> 16, color >> 8 & 255, color & 255))
                           for name, color in labels.items()]
        self._category_of = {color: index for index, color in enumerate(labels.values())}
        self._category_of.setdefault(_VOC_VOID, VOID_CATEGORY)
        self._colors = list(colors.values())
        self._videos = self._list_videos(images or self._find_images())

    @classmethod
    def matches(cls, path: Path) -> bool:
        """See :meth:`FileReader.matches`."""
        return (path / LABELS).is_file() and (path / MASKS).is_dir()

    def videos(self) -> list[SourceVideo]:
        return self._videos

    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        assert isinstance(video.key, dict)
        for frame in video.frames:
            if frame.labelled:
                yield self._read(video.key[frame.name])

    def _find_images(self) -> Path:
        found = [self._root / name for name in (FRAMES, 'images') if (self._root / name).is_dir()]
        if not found:
            raise DataError(f'"{self._root}" has no folder "{FRAMES}" or "images": export again with the images, or '
                            'give their folder (--images)')
        return found[0]

    def _list_videos(self, images: Path) -> list[SourceVideo]:
        if images.is_file():
            raise UsageError(f'"{images}" is a file, but these masks have the names of images: give the folder of the '
                             'frames (--images)')
        videos = []
        for below, folder in folders_with(self._root / MASKS, ('.png', )).items():
            masks, frames = frames_in(folder), frames_in(images / below)
            orphans = [name for name in masks if name not in frames]
            if orphans:
                raise DataError(f'{len(orphans)} masks in "{folder}" have no image in "{images / below}": '
                                f'{named(orphans)}. Give the folder of the frames (--images)')
            videos.append(video_of_images(video_name(below, self._root), frames, masks, masks))
        return videos

    def _read(self, path: Path) -> list[Region]:
        colors = self._colors_of(path)
        regions = []
        for color in np.unique(colors).tolist():
            if color in self._background:
                continue
            if color not in self._category_of:
                raise DataError(f'mask "{path}" has the colour ({color >> 16}, {color >> 8 & 255}, {color & 255}), '
                                f'which "{self._root / LABELS}" does not name: export both together')
            regions.append(Region(self._category_of[color], colors == color))
        return regions

    def _colors_of(self, path: Path) -> np.ndarray:
        """Colour of each pixel, as R * 65536 + G * 256 + B, int32 (H, W)."""
        content = path.read_bytes()
        damage = find_damage(content)
        if damage is not None:
            raise DataError(f'mask "{path}" cannot be decoded ({damage}): export it again')
        require_exact(content, path)
        try:
            image = Image.open(io.BytesIO(content))
            image.load()
        except Exception as error:  # a damaged file can fail in any way
            raise DataError(f'mask "{path}" cannot be decoded ({error}): export it again') from error
        if image.mode == 'L':
            lines = np.asarray(image)
            if lines.max() >= len(self._colors):
                raise DataError(f'mask "{path}" has the value {lines.max()}, but "{self._root / LABELS}" has only '
                                f'{len(self._colors)} labels, of the values 0 to {len(self._colors) - 1}: export both '
                                'together')
            return np.array(self._colors, np.int32)[lines]
        rgb = np.asarray(image.convert('RGB')).astype(np.int32)
        return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]


def read_label_map_file(path: Path) -> dict[str, int]:
    """Read the colours of the labels: lines ``name:R,G,B:parts:actions``.

    Args:
        path (Path): The file ``labelmap.txt``.

    Returns:
        dict[str, int]: Colour, as R * 65536 + G * 256 + B, by name, in the order of the lines.

    Raises:
        UsageError: There is no such file.
        DataError: It is not text, a line has no colour, or a name or colour is there twice.
    """
    if not path.is_file():
        raise UsageError(f'"{path}" does not exist: give the folder that CVAT has exported, with {LABELS} and {MASKS}')
    try:
        lines = path.read_bytes().decode('utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'"{path}" cannot be read ({error}): export it again') from error
    colors: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith('#'):
            continue
        name, _, rest = line.partition(':')
        parts = rest.split(':')[0].split(',')
        if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) <= 255 for part in parts):
            raise DataError(f'"{path}", line {number}: "{line[:60]}" is not "name:R,G,B::": export the file again')
        color = int(parts[0]) << 16 | int(parts[1]) << 8 | int(parts[2])
        if name in colors or color in colors.values():
            raise DataError(f'"{path}", line {number}: the name "{name[:60]}" or its colour is there twice: change it '
                            'in CVAT, and export again')
        colors[name] = color
    return colors
