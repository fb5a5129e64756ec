# Copyright (c) The mmvc contributors. All rights reserved.
"""Categories of the objects in id masks, which store no categories themselves."""

from pathlib import Path

from mmvc.formats.json_files import find_fault, read_json
from mmvc.utils.errors import DataError
from mmvc.utils.natural_order import natural_key

from .source import Category

_NAMES_BY_VIDEO = 'the category of each object: {"VIDEO": {"OBJECT_ID": "CATEGORY"}}, or the meta.json of YouTube-VOS'


class ObjectCategories:
    """Names the category of each object of each video.

    Args:
        path (Path, optional): JSON ``{video: {object id: category}}``, or ``meta.json`` of YouTube-VOS
            (``{"videos": {video: {"objects": {object id: {"category": category}}}}}``). Defaults to None: all objects
            have the category ``object``.

    Attributes:
        categories (list[Category]): The categories, sorted by name.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file has another form.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._names = None if path is None else _read_names(path)
        found = ['object'] if self._names is None else {name for ids in self._names.values() for name in ids.values()}
        self._index = {name: index for index, name in enumerate(sorted(found, key=natural_key))}
        self.categories = [Category(name, is_thing=True) for name in self._index]

    def index(self, video: str, object_id: int | str) -> int:
        """Index of the category of an object.

        Args:
            video (str): Name of the video.
            object_id (int | str): Id of the object.

        Raises:
            DataError: The file does not have the object.
        """
        if self._names is None:
            return 0
        name = self._names.get(video, {}).get(str(object_id))
        if name is None:
            raise DataError(f'"{self.path}" has no category for the object {object_id} of the video "{video}": add it')
        return self._index[name]


def has_object_categories(path: Path) -> bool:
    """Whether a file is the ``meta.json`` of YouTube-VOS; other datasets use this name for other things."""
    try:
        return find_fault(read_json(path, dict, _NAMES_BY_VIDEO), _YOUTUBE_VOS) is None
    except (OSError, DataError):
        return False


_YOUTUBE_VOS = {'videos': dict}


def _read_names(path: Path) -> dict[str, dict[str, str]]:
    content = read_json(path, dict, _NAMES_BY_VIDEO)
    names = content
    if find_fault(content, _YOUTUBE_VOS) is None:
        _require(content['videos'], {'objects': dict}, path)
        for video in content['videos'].values():
            _require(video['objects'], {'category': str}, path)
        names = {name: {key: item['category'] for key, item in video['objects'].items()}
                 for name, video in content['videos'].items()}
    _require(names, dict, path)
    for ids in names.values():
        _require(ids, str, path)
    if not any(names.values()):
        raise DataError(f'"{path}" names no object: expected {_NAMES_BY_VIDEO}')
    # masks in folders such as "003" have the same object as the key "3"
    return {name: {key.lstrip('0') or key: value for key, value in ids.items()} for name, ids in names.items()}


def _require(entries: dict, schema: object, path: Path) -> None:
    for key, value in entries.items():
        fault = find_fault(value, schema, str(key)[:60])
        if fault is not None:
            raise DataError(f'"{path}"{fault}: expected {_NAMES_BY_VIDEO}')
