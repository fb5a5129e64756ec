# Copyright (c) The mmvc contributors. All rights reserved.
"""The formats that can be imported, by name."""

from pathlib import Path

from mmvc.utils.errors import UsageError

from .coco_panoptic import CocoPanoptic
from .coco_tracks import CocoTracks
from .cvat_masks import CvatMasks
from .cvat_xml import CvatXml
from .id_masks import IdMasks
from .label_studio import LabelStudio
from .labelme import LabelMe
from .mots_png import MotsPng
from .reader import FileReader
from .video_and_masks import VideoAndMasks
from .yolo_seg import YoloSeg

READERS: dict[str, type[FileReader]] = {
    reader.NAME: reader
    for reader in (CvatXml, CvatMasks, MotsPng, CocoTracks, CocoPanoptic, LabelMe, LabelStudio, YoloSeg, IdMasks,
                   VideoAndMasks)
}
_MOST_FOLDERS = 20  # in which a format is looked for
_ARCHIVES = ('.zip', '.tar', '.gz', '.tgz', '.7z', '.rar')


def find_reader(path: Path, name: str | None = None) -> type[FileReader]:
    """Find the reader of a file or folder.

    Args:
        path (Path): File or folder of the annotations.
        name (str, optional): Name of the format. Defaults to None: the one that the file looks like.

    Returns:
        type[FileReader]: The class of the reader.

    Raises:
        UsageError: The path does not exist or is an archive, there is no such format, or not exactly one fits.
    """
    if not path.exists():
        raise UsageError(f'"{path}" does not exist: give the file or folder that the annotation tool exported')
    if path.is_file() and path.name.lower().endswith(_ARCHIVES):
        raise UsageError(f'"{path}" is an archive: unpack it, and give the folder')
    if name is not None:
        if name not in READERS:
            raise UsageError(f'there is no format "{name}": choose one of {", ".join(READERS)}')
        return READERS[name]
    found = _formats_of(path)
    if len(found) == 1:
        return READERS[found[0]]
    below = next((folder for folder in _folders_in(path) if _formats_of(folder)), None) if not found else None
    if below is not None:
        raise UsageError(f'"{path}" is in no format that can be recognised, but "{below}" is: give this folder')
    problem = f'may be {" or ".join(found)}' if found else 'is in no format that can be recognised'
    raise UsageError(f'"{path}" {problem}: name its format (--format {"|".join(found or READERS)})')


def _formats_of(path: Path) -> list[str]:
    return [key for key, reader in READERS.items() if reader.matches(path)]


def _folders_in(path: Path) -> list[Path]:
    """Some of the folders in a folder, in which an unpacked archive may have what it holds."""
    try:
        folders = sorted(each for each in path.iterdir() if each.is_dir()) if path.is_dir() else []
    except OSError:
        return []
    return [each for each in folders if not each.name.startswith(('.', '__'))][:_MOST_FOLDERS]
