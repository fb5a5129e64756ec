# Copyright (c) The mmvc contributors. All rights reserved.
"""Finds the frames that belong to annotations: images in folders, and the frames of video files."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from mmvc.apis.video_files import open_video
from mmvc.utils.errors import DataError
from mmvc.utils.files import IMAGE_SUFFIXES, files_in
from mmvc.utils.image_files import find_damage, read_size
from mmvc.utils.names import find_name_fault
from mmvc.utils.natural_order import natural_key
from mmvc.utils.progress import ProgressBars

from .source import SourceFrame, SourceVideo

VIDEO_SUFFIXES = ('.mp4', '.mov', '.avi', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv', '.gif')
_NUMBERED = re.compile(r'frame_(\d{1,9})', re.IGNORECASE)
_LONG_VIDEO = 1000  # frames; counting those of shorter videos takes a few seconds
_UPLOAD_PREFIX = re.compile(r'^[0-9a-f]{6,8}-')  # Label Studio puts it before the name of an uploaded file

_SERVED = ('/data/local-files/', '/data/upload/')  # by Label Studio


def folders_with(root: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> dict[str, Path]:
    """List the folders that directly hold files with some endings, ``root`` included.

    Hidden folders are skipped, and links to folders are followed.

    Args:
        root (Path): Top folder.
        suffixes (tuple[str, ...]): Endings in lower case. Defaults to those of images.

    Returns:
        dict[str, Path]: Folder by its path relative to the root, in natural order; the root itself is ``'.'``.
    """
    found = {}
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = [name for name in subfolders
                         if not name.startswith('.') and not _leads_back(Path(folder, name), root)]
        if any(name.lower().endswith(suffixes) and not name.startswith('.') for name in names):
            found[Path(folder).relative_to(root).as_posix()] = Path(folder)
    return {name: found[name] for name in sorted(found, key=natural_key)}


def _leads_back(folder: Path, root: Path) -> bool:
    """Whether a folder is a link to one that a walk from the root has passed, so that the walk would not end."""
    if not folder.is_symlink():
        return False
    target = Path(os.path.realpath(folder))
    passed = [Path(os.path.realpath(parent)) for parent in folder.parents if parent.is_relative_to(root)]
    return any(place.is_relative_to(target) for place in passed)


def video_name(folder: str, root: Path) -> str:
    """Name of the video in a folder of :func:`folders_with`: its path, or the name of the root for the root itself."""
    return folder if folder != '.' else root.resolve().name or 'video'


def video_of_images(name: str, images: Mapping[str, Path], labelled: Iterable[str], key: object = None,
                    size: tuple[int, int] | None = None) -> SourceVideo:
    """Describe a video whose frames are image files.

    Args:
        name (str): Name of the video.
        images (Mapping[str, Path]): Image by name of the frame, in order.
        labelled (Iterable[str]): Names of the frames with labels.
        key (object, optional): See :class:`SourceVideo`. Defaults to None.
        size (tuple[int, int], optional): Height and width that the annotations name. Defaults to None: that of the
            first image.

    Returns:
        SourceVideo: The video.

    Raises:
        DataError: An image cannot be read, or has another size than the first one or the annotations.
    """
    labelled = set(labelled)
    first = None
    for path in images.values():
        found = read_size(path)
        if found is None:
            damage = find_damage(path.read_bytes())
            raise DataError(f'image "{path}" cannot be read ({damage or "it is not an image"}): restore the file, or '
                            'remove it and its labels')
        found = found[::-1]
        if size is not None and first is None and found != size:
            raise DataError(f'"{path}" has the size {found}, its annotations are for {size} (height, width): give the '
                            'images that were labelled')
        first = first or (path, found)
        if found != first[1]:
            raise DataError(f'"{path}" has the size {found}, and "{first[0]}" has {first[1]} (height, width): all '
                            'frames of a video must have one size. Put the frames of each video into a folder of '
                            'their own')
    if first is None:
        raise DataError(f'video "{name}" has no images: give the folder of the images (--images)')
    frames = [SourceFrame(frame, path, index, frame in labelled) for index, (frame, path) in enumerate(images.items())]
    return SourceVideo(name, first[1], frames, key=key)


def video_of_file(name: str, path: Path, labelled: Iterable[int] | None, key: object = None,
                  remedy: str = 'give the video that was labelled') -> SourceVideo:
    """Describe a video file. It is decoded once, because the number of frames in a header may be an estimate.

    Args:
        name (str): Name of the video.
        path (Path): The file.
        labelled (Iterable[int], optional): Positions of the frames with labels, from 0. None: all frames.
        key (object, optional): See :class:`SourceVideo`. Defaults to None.
        remedy (str): What to do if a label is for a frame that the video does not have, for the error. Defaults to
            'give the video that was labelled'.

    Returns:
        SourceVideo: The video. The name of a frame is its position with eight digits.

    Raises:
        UsageError: The file is no video.
        DataError: A frame cannot be decoded, or a label is for a frame that the video does not have.
    """
    size, count = None, 0
    with open_video(str(path)) as video:
        is_long = video.num_frames is None or video.num_frames >= _LONG_VIDEO
        with ProgressBars('frames', enabled=is_long) as progress:
            for index, content, _ in progress.track(video.read(), video.num_frames, f'counting {path.name}'):
                if isinstance(content, str):
                    raise DataError(f'"{path}", frame {index}: {content}')
                size, count = size or content.shape[:2], index + 1
    assert size is not None  # open_video has decoded a frame
    labelled = set(range(count) if labelled is None else labelled)
    outside = sorted(index for index in labelled if not 0 <= index < count)
    if outside:
        raise DataError(f'video "{name}" has labels for the frame {outside[-1]}, but "{path}" has {count} frames, 0 '
                        f'to {count - 1}: {remedy}')
    frames = [SourceFrame(f'{index:08d}', None, index, index in labelled) for index in range(count)]
    return SourceVideo(name, (size[0], size[1]), frames, path, key)


class FileFinder:
    """Finds the files that annotations name, wherever they lie now below a folder.

    Annotations name files by addresses of another machine. The file with the same name is taken; of several, the one
    whose folders agree best. A file outside of the folder is never found.

    Args:
        root (Path): The folder.
        suffixes (tuple[str, ...]): Endings of the files, in lower case. Defaults to those of images.
        any_suffix (bool): Whether a file with another ending is taken if there is none with the right one: CVAT names
            the frames of a video without an ending, or with one that its users change. Defaults to False.
    """

    def __init__(self, root: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES, any_suffix: bool = False) -> None:
        self.root = root
        self._any_suffix = any_suffix
        self._files: dict[str, list[Path]] = defaultdict(list)
        for folder in folders_with(root, suffixes).values():
            for name in os.listdir(folder):
                if name.lower().endswith(suffixes) and not name.startswith('.'):
                    self._files[name].append(folder / name)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for paths in self._files.values():
            for path in paths:
                self._by_stem[path.stem].append(path)

    def find(self, address: str, where: str) -> Path:
        """Find a file.

        Args:
            address (str): Its path or URL in the annotations.
            where (str): Annotation file and key, for the error.

        Returns:
            Path: The file.

        Raises:
            DataError: There is no file of this name, or there are several that fit equally well.
        """
        parts = path_of(address).split('/')
        if find_name_fault(parts[-1], where) is not None:
            raise DataError(f'{where}: {address[:100]!r} names no file')
        candidates = self._files.get(parts[-1]) or self._files.get(_UPLOAD_PREFIX.sub('', parts[-1]), [])
        if not candidates and self._any_suffix:
            candidates = self._by_stem.get(parts[-1]) or self._by_stem.get(Path(parts[-1]).stem, [])
        agreement = [self._agreement(path, parts) for path in candidates]
        best = [path for path, value in zip(candidates, agreement) if value == max(agreement)]
        if not best:
            raise DataError(f'{where}: no file "{parts[-1]}" in "{self.root}": give the folder that it lies in '
                            '(--images)')
        if len(best) > 1:
            raise DataError(f'{where}: {address[:100]!r} may be "{best[0]}" or "{best[1]}": give a folder that has '
                            'only one of them (--images)')
        return best[0]

    @staticmethod
    def _agreement(path: Path, parts: list[str]) -> int:
        """Number of folders, from the file upwards, in which a path agrees with an address."""
        count = 0
        for own, other in zip(path.parts[-2::-1], parts[-2::-1]):
            if own != other:
                break
            count += 1
        return count


def path_of(address: str) -> str:
    """Path with slashes in an address: a path of any system, a URL, or an address of Label Studio's server."""
    if '://' in address or address.startswith(_SERVED):
        url = urlsplit(address)
        local = parse_qs(url.query).get('d') if url.path.startswith(_SERVED) else None
        address = local[0] if local else unquote(url.path)
    return address.replace('\\', '/')


def use_slashes(entries: Iterable[dict]) -> None:
    """Replace the backslashes of Windows in the ``file_name`` of entries of a COCO file."""
    for entry in entries:
        entry['file_name'] = entry['file_name'].replace('\\', '/')


def frames_in(folder: Path) -> dict[str, Path]:
    """Images of a folder by name of the frame, in natural order; see :func:`mmvc.utils.files.files_in`."""
    return files_in(folder, IMAGE_SUFFIXES)


def frame_number(name: str) -> int | None:
    """Number in the name that CVAT gives to a frame of a video, such as ``frame_000012``; None for other names."""
    match = _NUMBERED.fullmatch(name)
    return None if match is None else int(match[1])
