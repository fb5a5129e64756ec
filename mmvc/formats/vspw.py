# Copyright (c) The mmvc contributors. All rights reserved.
"""VSPW: folders of frames and of masks with one class index per pixel, and a list of videos for each split.

Other datasets have this layout with other folders. The functions therefore take templates of folders, with ``{video}``
in the place of a video's name.
"""

import os
import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmvc.utils.errors import DataError, named
from mmvc.utils.files import FRAME_SUFFIXES, files_in, files_of, read_names, require_placeholder
from mmvc.utils.names import check_name, output_path
from mmvc.utils.typing import PathLike

from .label_maps import VOID_LABEL, encode_label_map

SPLITS = ('train', 'val', 'test')
VIDEOS = 'data'  # folder of the videos' folders
FRAMES, MASKS = f'{VIDEOS}/{{video}}/origin', f'{VIDEOS}/{{video}}/mask'
FRAME_SUFFIX, MASK_SUFFIX = '.jpg', '.png'
LABEL_OFFSET = 1  # mask value of class 0
VOID_VALUES = (0, 252, 253, 254, VOID_LABEL)


def list_file(split: str) -> str:
    """Name of the list of a split's videos."""
    return f'{split}.txt'


def folder_of(root: PathLike, template: str, video: str) -> Path:
    """Folder of a video.

    Args:
        root (str | Path): Root of the dataset.
        template (str): Such as ``FRAMES`` or ``MASKS``.
        video (str): Name of the video.
    """
    return Path(root, template.replace('{video}', video))


def listed_videos(path: PathLike) -> list[str]:
    """Read the names in a list of videos as they are, with repetitions; ``./left`` and ``left/`` are ``left``.

    Args:
        path (str | Path): Text file with one name per line.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is not text.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'"{path}" does not exist; it must be a text file with one video name per line')
    return [posixpath.normpath(name) for name in read_names(path)]


def read_video_list(path: PathLike) -> list[str]:
    """Read the names of a split's videos.

    Args:
        path (str | Path): Text file with one name per line.

    Returns:
        list[str]: At least one name, none of them twice.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is not text, empty, has a name twice, or has a name that leads out of its folder.
    """
    videos = listed_videos(path)
    if not videos:
        raise DataError(f'video list "{path}" is empty; write one video name per line')
    for video in videos:
        check_name(video, f'video list "{path}"')
    if len(set(videos)) != len(videos):
        twice = sorted({video for video in videos if videos.count(video) > 1})
        raise DataError(f'video list "{path}" names videos twice: {", ".join(twice)}')
    return videos


def list_masks(root: PathLike, ann_file: str = list_file('val'), masks: str = MASKS,
               ending: str = MASK_SUFFIX) -> dict[str, list[str]]:
    """List the ground truth of a split.

    Args:
        root (str | Path): Root of the dataset.
        ann_file (str): List of the videos, relative to the root. Defaults to that of VSPW's validation set.
        masks (str): Folder of a video's masks, relative to the root. Defaults to VSPW's.
        ending (str): Ending of the masks' file names. Defaults to '.png'.

    Returns:
        dict[str, list[str]]: Mask files in the order of the frames, by video, in the order of the list.

    Raises:
        FileNotFoundError: The list or a video's folder is missing.
        DataError: The list names no video or one twice, a video has no masks, or two masks are of one frame.
    """
    require_placeholder(masks)
    path = Path(root, ann_file)
    files = {}
    for video in read_video_list(path):
        folder = folder_of(root, masks, video)
        if not os.path.isdir(folder):
            raise FileNotFoundError(f'video "{video}" of "{path}" has no folder "{folder}"; download the masks, or '
                                    'take the video off the list')
        files[video] = [str(file) for file in files_in(folder, (ending, )).values()]
        if not files[video]:
            raise DataError(f'video "{video}" has no "*{ending}" masks in "{folder}"; download the masks, or '
                            'take the video off the list')
    return files


def frame_of(path: PathLike, ending: str = MASK_SUFFIX) -> str:
    """Name of the frame that a file is of: the name of the file without its ending.

    Args:
        path (str | Path): The file.
        ending (str): Its ending; of a file that ends in something else, the suffix is taken off. Defaults to '.png'.
    """
    name = os.path.basename(path)
    return name[:-len(ending)] if name.lower().endswith(ending.lower()) else os.path.splitext(name)[0]


def find_unlabelled(root: PathLike, masks: Mapping[str, Sequence[str]], images: str = FRAMES,
                    mask_ending: str = MASK_SUFFIX, image_endings: Sequence[str] = FRAME_SUFFIXES,
                    needs_images: bool = False) -> list[str]:
    """List the frames that have an image and no mask, ``<video>/<frame>``.

    Args:
        root (str | Path): Root of the dataset.
        masks (Mapping[str, Sequence[str]]): Ground truth, see :func:`list_masks`.
        images (str): Folder of a video's images, relative to the root; videos without one are skipped. Defaults to
            VSPW's.
        mask_ending (str): Ending of the masks' file names. Defaults to '.png'.
        image_endings (Sequence[str]): Endings of the images' file names. Defaults to the usual ones.
        needs_images (bool): Whether each video must have images. Defaults to False.

    Raises:
        FileNotFoundError: A video has no images, and they are needed.
        DataError: A video has images, and masks without an image.
    """
    unlabelled = []
    for video, paths in masks.items():
        folder = folder_of(root, images, video)
        labelled = [frame_of(path, mask_ending) for path in paths]
        frames = files_of(folder, image_endings, labelled)
        if needs_images and not frames:
            raise FileNotFoundError(f'video "{video}" has no images in "{folder}", which tell where frames without '
                                    'labels are; give their folder with --images')
        unlabelled += [f'{video}/{frame}' for frame in frames if frame not in labelled]
        if frames:
            require_frames(video, folder, frames, labelled)
    return unlabelled


def require_frames(video: str, folder: PathLike, frames: Collection[str], masks: Iterable[str]) -> None:
    """Raise an error if masks have no frame: numbers over the other frames would be taken for those of the video.

    Args:
        video (str): Name of the video.
        folder (str | Path): Folder of its frames, for the error.
        frames (Collection[str]): Names of the frames.
        masks (Iterable[str]): Names of the frames that the masks are of.

    Raises:
        DataError: There is a mask without a frame.
    """
    orphans = [name for name in masks if name not in frames]
    if orphans:
        raise DataError(f'video "{video}": {len(orphans)} masks have no frame in "{folder}": {named(orphans)}. '
                        'Restore or rename the frames, or remove these masks')


def prediction_file(folder: PathLike, video: str, name: str) -> Path:
    """File of the prediction for a frame: class indices, 255 = no prediction.

    Args:
        folder (str | Path): Folder of the predictions.
        video (str): Name of the video.
        name (str): Name of the frame, without suffix.
    """
    return output_path(folder, video, name, suffix='.png')


class PredictionWriter:
    """Writes the predictions for one video, frame by frame, as the server of VSPW takes them.

    Args:
        folder (str | Path): Folder of the video's predictions.
        write (Callable): How to write a file: called with its path and content. Defaults to :meth:`Path.write_bytes`.
    """

    def __init__(self, folder: PathLike, write: Callable[[Path, bytes], Any] = Path.write_bytes) -> None:
        self._folder, self._write = Path(folder), write

    def add(self, name: str, labels: np.ndarray) -> None:
        """Write a frame.

        Args:
            name (str): Name of the frame, without suffix.
            labels (np.ndarray): Class indices, 255 = no prediction, integer, shape (H, W).
        """
        self._write(output_path(self._folder, name, suffix='.png'), encode_label_map(labels))
