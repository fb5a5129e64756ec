# Copyright (c) The mmvc contributors. All rights reserved.
"""Folders of id masks, as DAVIS, YouTube-VOS and SAM 2 use them: the value of a pixel is the id of its object."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from mmvc.formats.label_maps import VOID_ID, VOID_LABEL, read_id_map
from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.files import PREDICTION_SUFFIXES, files_in, read_names
from mmvc.utils.natural_order import natural_key

from .frame_files import folders_with, frames_in, video_name, video_of_images
from .object_categories import ObjectCategories, has_object_categories
from .reader import FileReader, ReaderOption
from .source import VOID_CATEGORY, Region, SourceVideo

MASKS, FRAMES, SPLITS = 'Annotations', 'JPEGImages', 'ImageSets'
_RESOLUTIONS = ('480p', 'Full-Resolution')
#: masks of a video: by name of the frame, and there by object; the object None stands for an id mask
Masks = dict[str, dict[int | str | None, Path]]


class IdMasks(FileReader):
    """Reader of folders of id masks.

    The masks of a video are ``VIDEO/FRAME.png`` (0 is background, 255 is void, every other value is the id of an
    object), or ``VIDEO/OBJECT/FRAME.png`` (every value but 0 belongs to the object). Object ids are track ids. Frames
    without a mask are not labelled.

    Args:
        path (Path): Root of a dataset with ``Annotations`` and ``JPEGImages``, with or without a folder for the
            resolution (``480p``); or a folder of masks.
        images (Path, optional): Folder of the frames, ``VIDEO/FRAME.jpg``. Defaults to None: ``JPEGImages``.
        categories (Path, optional): The category of each object, see :class:`ObjectCategories`. Defaults to None:
            ``meta.json`` in ``path``, if it is that of YouTube-VOS; otherwise all objects have the category
            ``object``.
        split (str, optional): Read only the videos of this list in ``ImageSets``, such as ``2017/val``. Defaults to
            None: all videos with masks.
        binary (bool): Whether each mask shows one object, with any value but 0, as those of DAVIS 2016 do. Defaults
            to False.

    Raises:
        UsageError: The frames or the list of the split cannot be found.
        DataError: There are no masks, or their names are not those of the frames.
    """

    NAME = 'id-masks'
    HELP = 'folders of PNGs whose values are object ids: DAVIS, YouTube-VOS, masks of SAM 2'
    OPTIONS = (
        ReaderOption('categories', 'JSON {"VIDEO": {"OBJECT_ID": "CATEGORY"}}, or meta.json of YouTube-VOS (default: '
                     'all objects are of one category)', Path),
        ReaderOption('split', 'read only the videos of this list in ImageSets, such as 2017/val', str),
        ReaderOption('binary', 'each mask shows one object, with any value but 0'),
    )
    has_tracks = True
    covers_frames = True

    def __init__(self, path: Path, images: Path | None = None, categories: Path | None = None,
                 split: str | None = None, binary: bool = False) -> None:
        self.binary = binary
        self._masks_root, self._frames_root = _find_roots(path, images)
        if categories is None and has_object_categories(path / 'meta.json'):
            categories = path / 'meta.json'
        self._objects = ObjectCategories(categories)
        self.categories = self._objects.categories
        self._chosen = None if split is None else _read_split(path, split)

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Whether a path looks like the root of DAVIS or YouTube-VOS."""
        return (path / MASKS).is_dir() and (path / FRAMES).is_dir()

    def videos(self) -> list[SourceVideo]:
        """See :meth:`AnnotationSource.videos`."""
        frame_folders = folders_with(self._frames_root)
        masks = _group_masks(self._masks_root, frame_folders)
        if not masks:
            raise DataError(f'"{self._masks_root}" has no folders of PNG masks: expected VIDEO/FRAME.png or '
                            'VIDEO/OBJECT/FRAME.png')
        names = {folder: video_name(folder, self._frames_root) for folder in masks}
        if self._chosen is not None:
            missing = [name for name in self._chosen if name not in names.values()]
            if missing:
                raise DataError(f'"{self._masks_root}" has no masks for the videos {named(missing)} of the split')
        videos = []
        for folder in sorted(masks, key=natural_key):
            if self._chosen is not None and names[folder] not in self._chosen:
                continue
            frames = frames_in(frame_folders[folder])
            others = [name for name in masks[folder] if name not in frames]
            if others:
                raise DataError(f'video "{names[folder]}": "{frame_folders[folder]}" has no images for the masks '
                                f'{named(others)}: give masks and images the same names')
            videos.append(video_of_images(names[folder], frames, masks[folder], masks[folder]))
        return videos

    def regions(self, video: SourceVideo) -> Iterator[list[Region]]:
        """See :meth:`AnnotationSource.regions`."""
        masks = video.key
        assert isinstance(masks, dict)
        seen: set[int] = set()
        for frame in video.frames:
            if not frame.labelled:
                continue
            regions: list[Region] = []
            for object_id, path in masks[frame.name].items():
                if object_id is None and not self.binary:
                    regions += read_id_mask(path, video, self._objects, seen)
                    continue
                mask, track = read_binary_mask(path, video.size), 1 if object_id is None else object_id
                if mask.any():
                    regions.append(Region(self._objects.index(video.name, track), mask, track))
            yield regions


def read_id_mask(path: Path, video: SourceVideo, categories: ObjectCategories, seen: set[int]) -> list[Region]:
    """Read an id mask and split it into its objects.

    Args:
        path (Path): The file.
        video (SourceVideo): Its video.
        categories (ObjectCategories): The category of each object.
        seen (set[int]): Ids in the masks of the video so far; those of this mask are added.

    Returns:
        list[Region]: A region for each object, in the order of their ids, and one for void (255).

    Raises:
        DataError: The mask cannot be read, has another size, has an object without a category, or seems to be the mask
            of one object.
    """
    ids = read_sized_map(path, video.size)
    values = [int(value) for value in np.unique(ids) if value not in (VOID_ID, VOID_LABEL)]
    seen.update(values)
    regions = [Region(categories.index(video.name, value), ids == value, value) for value in values]
    void = ids == VOID_LABEL
    if void.any():
        if not seen:
            raise DataError(f'mask "{path}" has no value but 0 and 255, which stands for void: if 255 is an object, '
                            'say that each mask shows one object (--binary)')
        regions.append(Region(VOID_CATEGORY, void))
    return regions


def read_binary_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read the mask of one object: bool (H, W), where the image is not 0.

    Args:
        path (Path): The file.
        size (tuple[int, int]): Height and width of the video.

    Raises:
        DataError: The mask cannot be read, has another size, or has more than one value besides 0.
    """
    values = read_sized_map(path, size)
    mask = values != 0
    found = np.unique(values[mask])
    if len(found) > 1:
        raise DataError(f'mask "{path}" has the values {named([str(value) for value in found])} besides 0: the mask '
                        'of one object has only one. Save it without smoothing, or give id masks as VIDEO/FRAME.png')
    return mask


def read_sized_map(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read a map of ids that must have the size of its video; see :func:`read_id_map`.

    Args:
        path (Path): The file.
        size (tuple[int, int]): Height and width of the video.

    Raises:
        DataError: It cannot be read, or has another size.
    """
    ids = read_id_map(path)
    if ids.shape != size:
        raise DataError(f'mask "{path}" has the size {ids.shape}, its video {size} (height, width): save the '
                        'masks with the size of the frames, resized without interpolation')
    return ids


def _find_roots(path: Path, images: Path | None) -> tuple[Path, Path]:
    """Folders that hold the folders of masks, and of frames."""
    masks = path / MASKS if (path / MASKS).is_dir() else path
    if not masks.is_dir():
        raise UsageError(f'"{path}" is no folder: give the root of the dataset or the folder of the masks')
    resolutions = [name for name in _RESOLUTIONS if (masks / name).is_dir()]
    if len(resolutions) > 1:
        raise UsageError(f'"{masks}" has masks in {len(resolutions)} resolutions: give the folder of one of them, '
                         f'such as "{masks / resolutions[0]}"')
    masks = masks.joinpath(*resolutions)
    if images is None:
        images = _frames_of(masks.absolute())
        if images is None or not images.is_dir():
            raise UsageError(f'the frames of the masks in "{masks}" are not known: give their folder (--images)')
    elif not images.is_dir():
        raise UsageError(f'"{images}" is no folder: give the folder of the frames, VIDEO/FRAME.jpg (--images); for a '
                         'video file, take the format video-and-masks')
    else:
        below = [name for name in _RESOLUTIONS if (images / name).is_dir()]
        images = images / masks.name if masks.name in below else images
    return masks, images


def _frames_of(masks: Path) -> Path | None:
    """The folder of masks with ``JPEGImages`` in place of ``Annotations`` (or ``Annotations_unsupervised``)."""
    named_so = [folder for folder in (masks, *masks.parents) if folder.name.startswith(MASKS)]
    return named_so[0].with_name(FRAMES) / masks.relative_to(named_so[0]) if named_so else None


def _group_masks(root: Path, frame_folders: Mapping[str, Path]) -> dict[str, Masks]:
    """Masks by folder of the frames. A folder of masks without frames of its name holds those of one object."""
    found: dict[str, Masks] = {}
    for folder, path in folders_with(root, PREDICTION_SUFFIXES).items():
        parent = PurePosixPath(folder).parent.as_posix()
        if folder in frame_folders:
            video, object_id = folder, None
        elif folder != '.' and parent in frame_folders:
            name = path.name
            video, object_id = parent, int(name) if name.isdecimal() else name
        else:
            raise DataError(f'there are no frames for the masks in "{path}": give the folder of the frames '
                            '(--images), in which each video has a folder of the same name')
        for frame, mask in files_in(path, PREDICTION_SUFFIXES).items():
            masks = found.setdefault(video, {}).setdefault(frame, {})
            if object_id in masks or None in masks:
                raise DataError(f'"{mask}" is a second mask for the frame "{frame}": remove one of the folders')
            masks[object_id] = mask
    return found


def _read_split(path: Path, split: str) -> list[str]:
    """Names of the videos in a list of ``ImageSets``: one per line, or the paths of an image and its mask."""
    folder = path / SPLITS
    lists = sorted(file for file in folder.rglob('*.txt')
                   if file.relative_to(folder).with_suffix('').as_posix().endswith(split))
    lists = [file for file in lists if file.stem == PurePosixPath(split).name]
    if len(lists) != 1:
        raise UsageError(f'"{folder}" has {len(lists)} lists "{split}.txt" ({named([str(file) for file in lists])}): '
                         'name one of them, such as 2017/val')
    names = [line.split()[0] for line in read_names(lists[0])]
    return list(dict.fromkeys(PurePosixPath(name).parent.name if name.endswith(('.jpg', '.png')) else name
                              for name in names))
