# Copyright (c) The mmvc contributors. All rights reserved.
"""Reader of MOTS PNGs (Voigtlaender et al., CVPR 2019): object ids of 16 bits, class * 1000 + instance.

The format is described at https://www.vision.rwth-aachen.de/page/mots; CVAT exports it as "MOTS PNG 1.0", with the
labels in ``labels.txt``.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmvc.formats.label_maps import read_panoptic_map
from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.files import read_names
from mmvc.utils.natural_order import natural_key

from .frame_files import folders_with, frames_in, video_name, video_of_images
from .reader import FileReader
from .source import VOID_CATEGORY, Category, Region, SourceVideo

MASKS, FRAMES, LABELS = 'instances', 'images', 'labels.txt'
_PER_CLASS = 1000  # object ids of each class
_IGNORED = 10  # class of regions that are not evaluated
_DEFAULT_LABELS = ('car', 'pedestrian')  # of the benchmark, which has no list


class MotsPng(FileReader):
    """Reader of MOTS PNGs.

    ``instances`` holds the masks, ``images`` the frames. Both may be in subfolders of the given folder, as the subsets
    of CVAT are, and have subfolders, one for each video, as the benchmark has. Class 10 is unlabelled, unless there
    are as many labels.

    Args:
        path (Path): Folder with ``instances``, or with folders that have it.
        images (Path, optional): Folder of the frames, with the subfolders of the masks. Defaults to None: ``images``
            beside ``instances``.

    Raises:
        DataError: Files are missing or damaged.
    """

    NAME = 'mots-png'
    HELP = 'CVAT MOTS PNG 1.0, and the benchmark MOTS: instances/ with 16-bit PNGs of object ids'
    has_tracks = True
    covers_frames = True

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self._path = path
        self._labels = self._read_labels()
        self.categories = [Category(name, is_thing=True) for name in self._labels]
        self._videos = self._list_videos(images)

    @classmethod
    def matches(cls, path: Path) -> bool:
        """See :meth:`FileReader.matches`."""
        return bool(_mask_folders(path))

    def videos(self) -> list[SourceVideo]:
        return self._videos

    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        assert isinstance(video.key, dict)
        for frame in video.frames:
            if frame.labelled:
                yield self._read(video.key[frame.name])

    def _read(self, path: Path) -> list[Region]:
        ids = read_panoptic_map(str(path))
        regions = []
        for number in np.unique(ids).tolist():
            index = number // _PER_CLASS - 1
            if number == 0:
                continue
            if 0 <= index < len(self._labels):
                regions.append(Region(index, ids == number, number))
            elif index == _IGNORED - 1:
                regions.append(Region(VOID_CATEGORY, ids == number))
            else:
                raise DataError(f'mask "{path}" has the object id {number}, of class {number // _PER_CLASS}: the '
                                f'classes are 1 to {len(self._labels)} ({named(self._labels)}). Export masks and '
                                f'{LABELS} together')
        return regions

    def _read_labels(self) -> list[str]:
        found = [read_names(folder / LABELS) for folder in _mask_folders(self._path) if (folder / LABELS).is_file()]
        if any(labels != found[0] for labels in found):
            raise DataError(f'the files {LABELS} in "{self._path}" differ: import each folder on its own')
        return found[0] if found else list(_DEFAULT_LABELS)

    def _list_videos(self, images: Path | None) -> list[SourceVideo]:
        if images is not None and images.is_file():
            raise UsageError(f'"{images}" is a file, but these masks have the names of images: give the folder of the '
                             'frames (--images)')
        folders = _mask_folders(self._path)
        if not folders:
            raise DataError(f'"{self._path}" has no folder "{MASKS}": give the folder that holds it')
        if images is not None and len(folders) > 1:
            raise UsageError(f'"{self._path}" has several folders "{MASKS}": import each on its own, with its images '
                             '(--images)')
        videos = []
        for masks_root in folders:
            frames_root = images or masks_root.parent / FRAMES
            for below, folder in folders_with(masks_root, ('.png', )).items():
                videos.append(self._video(masks_root.parent, below, frames_in(folder), frames_root / below))
        return sorted(videos, key=lambda video: natural_key(video.name))

    def _video(self, subset: Path, below: str, masks: dict[str, Path], frame_folder: Path) -> SourceVideo:
        frames = frames_in(frame_folder)
        orphans = [name for name in masks if name not in frames]
        if orphans:
            raise DataError(f'{len(orphans)} masks of "{subset / MASKS / below}" have no image in "{frame_folder}": '
                            f'{named(orphans)}. Export again with the images, or give their folder (--images)')
        name = video_name(subset.relative_to(self._path).joinpath(below).as_posix(), self._path)
        return video_of_images(name, frames, masks, masks)


def _mask_folders(path: Path) -> list[Path]:
    """Folders of masks: in the folder itself, or in its subfolders."""
    try:
        folders = [path, *sorted(path.iterdir())] if path.is_dir() else []
        return [folder / MASKS for folder in folders if any((folder / MASKS).rglob('*.png'))]
    except OSError:
        return []
