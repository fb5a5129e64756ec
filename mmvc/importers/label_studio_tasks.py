# Copyright (c) The mmvc contributors. All rights reserved.
"""The tasks of an export of Label Studio: their image or video, and their regions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmvc.formats.json_files import ID, find_fault, read_json
from mmvc.utils.errors import DataError
from mmvc.utils.files import IMAGE_SUFFIXES

from .frame_files import VIDEO_SUFFIXES, path_of

BRUSH, POLYGON, BOX, VIDEO_BOX = KINDS = ('brush', 'polygon', 'rectangle', 'videorectangle')
_LABELS = 'labels'  # a result that only labels the region with the same id; also the end of types with their labels
_POINT = 'keypoint'
_UNREAD_AREAS = ('ellipse', 'bitmask', 'vector', 'videovector')
_TASK = {'id': ID, 'data': dict, 'annotations?': [{'result': [dict], 'was_cancelled?': bool, 'ground_truth?': bool}]}
_REGION = {'value': dict, 'id?': ID, 'original_width?': int, 'original_height?': int, 'image_rotation?': float}
_EXPECTED = 'an export of Label Studio in the format JSON'


@dataclass(frozen=True)
class TaskRegion:
    """A region of a task.

    Attributes:
        kind (str): One of ``KINDS``.
        label (str): Its label.
        id (int | str): Its id, which a region of a video keeps through the frames.
        value (dict): Its geometry.
        size (tuple[int, int], optional): Height and width of the image that it was drawn on.
        where (str): File, task and region, for errors.
    """

    kind: str
    label: str
    id: int | str
    value: dict[str, Any]
    size: tuple[int, int] | None
    where: str


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        address (str): Address of its image or video.
        is_video (bool): Whether it is a video.
        regions (list[TaskRegion], optional): Its regions. None: nobody has finished the task.
        where (str): File and task, for errors.
        num_points (int): Number of its key points, which have no area. Defaults to 0.
    """

    address: str
    is_video: bool
    regions: list[TaskRegion] | None
    where: str
    num_points: int = 0


def read_tasks(path: Path) -> list[Task]:
    """Read an export.

    Args:
        path (Path): The JSON.

    Returns:
        list[Task]: Its tasks.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is no such export; a task has no or several images, or several annotations; or a region has a
            kind that cannot be read, or not one label.
    """
    content = read_json(path, list, _EXPECTED)
    for task in content:
        if not isinstance(task, dict) or 'data' not in task:
            is_old = isinstance(task, dict) and 'completions' in task
            other = 'one of an old version' if is_old else 'JSON-MIN'
            raise DataError(f'"{path}" is no list of tasks with data and annotations, but looks like {other}: export '
                            'again, in the format JSON')
    fault = find_fault(content, [_TASK])
    if fault is not None:
        raise DataError(f'"{path}"{fault}: expected {_EXPECTED}')
    if not content:
        raise DataError(f'"{path}" has no tasks: export again, with the labelled tasks')
    return [_read_task(task, f'"{path}", task {task["id"]}') for task in content]


def _read_task(task: dict, where: str) -> Task:
    media = {key: value for key, value in task['data'].items()
             if isinstance(value, str) and path_of(value).lower().endswith(IMAGE_SUFFIXES + VIDEO_SUFFIXES)}
    if len(media) != 1:
        raise DataError(f'{where}: its data have {len(media)} images or videos ({", ".join(media)[:100]}), not one')
    address = next(iter(media.values()))
    annotation = _annotation_of(task, where)
    regions = None if annotation is None else _read_regions(annotation['result'], where)
    num_points = sum(_kind(result) == _POINT for result in annotation['result']) if annotation else 0
    return Task(address, path_of(address).lower().endswith(VIDEO_SUFFIXES), regions, where, num_points)


def _annotation_of(task: dict, where: str) -> dict | None:
    done = [entry for entry in task.get('annotations') or () if not entry.get('was_cancelled')]
    done = [entry for entry in done if entry.get('ground_truth')] or done
    if len(done) > 1:
        raise DataError(f'{where} has {len(done)} annotations: mark the right one as ground truth, or delete the '
                        'others, and export again')
    return done[0] if done else None


def _read_regions(results: list[dict], where: str) -> list[TaskRegion]:
    labels: dict[object, list] = {}
    for result in results:
        if result.get('type') == _LABELS and isinstance(result.get('value'), dict):
            labels.setdefault(result.get('id'), []).extend(_as_list(result['value'].get(_LABELS)))
    regions = []
    for number, result in enumerate(results):
        kind = _kind(result)
        here = f'{where}, result[{number}] ({str(result.get("type"))[:30]})'
        if kind in _UNREAD_AREAS:
            raise DataError(f'{here} is not read: draw it with the brush or as a polygon')
        if kind not in KINDS:
            continue  # texts, choices and key points have no area
        fault = find_fault(result, _REGION)
        if fault is not None:
            raise DataError(f'{here}{fault}: expected {_EXPECTED}')
        value, key = result['value'], str(result['type'])
        own = _as_list(value.get(key if key.endswith(_LABELS) else _LABELS)) or labels.get(result.get('id'), [])
        if len(own) != 1 or not isinstance(own[0], str):
            raise DataError(f'{here} has {len(own)} labels: give each region one label')
        if result.get('image_rotation'):
            raise DataError(f'{here} was drawn on an image that was turned by {result["image_rotation"]} degrees: '
                            'turn the image file itself, and label it again')
        width, height = result.get('original_width'), result.get('original_height')
        regions.append(TaskRegion(kind, own[0], result.get('id') or number, value,
                                  (height, width) if height and width else None, here))
    return regions


def _kind(result: dict) -> str:
    return str(result.get('type')).removesuffix(_LABELS)


def _as_list(value: object) -> list:
    return value if isinstance(value, list) else []
