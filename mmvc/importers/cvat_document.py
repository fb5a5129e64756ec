# Copyright (c) The mmvc contributors. All rights reserved.
"""The content of an XML file of CVAT ("CVAT for video 1.1" and "CVAT for images 1.1").

The format is described at https://docs.cvat.ai/docs/manual/advanced/xml_format. The file is read as a stream, without
document types, and so without entities that could grow or read other files.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from mmvc.utils.errors import DataError, UsageError

#: shapes with an area
AREAS = ('box', 'polygon', 'mask', 'ellipse')
#: labels of these types have none
_NO_AREA = ('points', 'polyline', 'cuboid', 'skeleton', 'tag')
#: shapes without one
_OTHERS = ('polyline', 'points', 'cuboid', 'skeleton')
_COLOR = re.compile(r'#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})')
_CHUNK = 1 << 20
_DEEPEST = 50  # elements within each other; CVAT has 10
_LONGEST_TEXT = 10000  # letters of a name or an attribute


@dataclass
class Shape:
    """A shape of a frame.

    Attributes:
        kind (str): One of ``AREAS``.
        label (str): Name of its label.
        line (int): Line of the file.
        values (dict[str, str]): Its XML attributes.
        track (str, optional): Id of its track, or of its group. Defaults to None.
    """

    kind: str
    label: str
    line: int
    values: dict[str, str]
    track: str | None = None

    @property
    def z_order(self) -> str:
        """Height over the other shapes, as text."""
        return self.values.get('z_order', '0')


@dataclass
class Image:
    """An image of "CVAT for images".

    Attributes:
        name (str): Path as in CVAT.
        line (int): Line of the file.
        values (dict[str, str]): Its XML attributes.
        shapes (list[Shape]): Its shapes.
    """

    name: str
    line: int
    values: dict[str, str]
    shapes: list[Shape] = field(default_factory=list)


@dataclass
class Document:
    """Content of a file.

    Attributes:
        path (Path): The file.
        meta (dict[str, str]): Texts of the task, such as ``name`` and ``original_size/width``.
        labels (dict[str, tuple[int, int, int] | None]): Colour of each label, by name, in order.
        images (list[Image]): The images of "CVAT for images".
        frames (dict[int, list[Shape]]): Visible shapes by number of the frame, of "CVAT for video".
        visible (dict[str, int]): Number of frames in which each track is visible.
        left_out (int): Number of shapes without an area.
    """

    path: Path
    meta: dict[str, str] = field(default_factory=dict)
    labels: dict[str, tuple[int, int, int] | None] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)
    frames: dict[int, list[Shape]] = field(default_factory=dict)
    visible: dict[str, int] = field(default_factory=dict)
    left_out: int = 0


def read_document(path: Path) -> Document:
    """Read a file.

    Args:
        path (Path): The file.

    Returns:
        Document: Its content.

    Raises:
        UsageError: There is no such file.
        DataError: It is not XML, has a document type, or is not of CVAT.
    """
    if not path.is_file():
        raise UsageError(f'"{path}" does not exist: give the XML file of CVAT, or the folder that it lies in')
    parser = _Parser(path)
    try:
        with open(path, 'rb') as file:
            while chunk := file.read(_CHUNK):
                parser.expat.Parse(chunk, False)
        parser.expat.Parse(b'', True)
    except (expat.ExpatError, LookupError) as error:  # LookupError: there is no such encoding
        raise DataError(f'"{path}" is not valid XML ({error}): export it again') from error
    return parser.document


class _Parser:
    """Fills a document while the file is read."""

    def __init__(self, path: Path) -> None:
        self.document = Document(path)
        self.expat = expat.ParserCreate()
        self.expat.buffer_text = True
        self.expat.StartDoctypeDeclHandler = self._refuse_document_type
        self.expat.StartElementHandler = self._start
        self.expat.EndElementHandler = self._end
        self.expat.CharacterDataHandler = self._add_text
        self._path: list[str] = []
        self._text: list[str] | None = None
        self._label: dict[str, str] = {}
        self._track: dict[str, str] | None = None
        self._image: Image | None = None
        self._shape: Shape | None = None
        self._attribute = ''

    @property
    def _line(self) -> int:
        return self.expat.CurrentLineNumber

    def _fail(self, what: str) -> DataError:
        return DataError(f'"{self.document.path}", line {self._line}: {what}')

    def _refuse_document_type(self, *_: object) -> None:
        raise self._fail('the file has a document type (DOCTYPE), which CVAT never writes: export it again')

    def _get(self, values: dict[str, str], key: str, tag: str) -> str:
        if key not in values:
            raise self._fail(f'<{tag}> has no "{key}": export the file again')
        return values[key]

    def _start(self, tag: str, values: dict[str, str]) -> None:
        if not self._path and tag != 'annotations':
            raise self._fail(f'the file begins with <{tag}>, not with <annotations>: it is not of CVAT')
        if len(self._path) == _DEEPEST:
            raise self._fail(f'the file has more than {_DEEPEST} elements within each other: it is not of CVAT')
        self._path.append(tag)
        inside = self._path[1:]
        self._text = [] if inside[:1] == ['meta'] or tag == 'attribute' else None
        if inside == ['track']:
            self._track = dict(id=self._get(values, 'id', tag), label=self._get(values, 'label', tag),
                               group=values.get('group_id', '0'))
        elif inside == ['image']:
            self._image = Image(self._get(values, 'name', tag), self._line, values)
            self.document.images.append(self._image)
        elif tag == 'attribute':
            self._attribute = values.get('name', '')
        elif len(inside) == 2 and inside[0] in ('track', 'image'):
            self._start_shape(tag, values)

    def _start_shape(self, tag: str, values: dict[str, str]) -> None:
        if tag in _OTHERS:
            self.document.left_out += 1
        if tag not in AREAS:
            return
        if self._image is not None:
            group = values.get('group_id', '0')
            self._shape = Shape(tag, self._get(values, 'label', tag), self._line, values,
                                None if group == '0' else f'group {group}')
            self._image.shapes.append(self._shape)
            return
        assert self._track is not None
        number = self._get(values, 'frame', tag)
        if not number.isdecimal() or len(number) > 9:
            raise self._fail(f'<{tag}> has the frame "{number[:20]}", which is no number: export the file again')
        if values.get('outside') == '1':
            return
        group, label = self._track['group'], self._track['label']
        # what is grouped is one object; masks cannot have tracks in CVAT, but groups
        track = f'track {self._track["id"]}' if group == '0' else f'group {group} {label}'
        self._shape = Shape(tag, label, self._line, values, track)
        self.document.frames.setdefault(int(number), []).append(self._shape)
        self.document.visible[track] = self.document.visible.get(track, 0) + 1

    def _add_text(self, text: str) -> None:
        if self._text is not None and sum(map(len, self._text)) < _LONGEST_TEXT:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        text = ''.join(self._text or ()).strip()
        inside = self._path[1:]
        if inside[:1] == ['meta']:
            self._end_meta(inside[1:], text)
        elif tag == 'attribute' and self._attribute == 'track_id' and self._image is not None and self._shape:
            self._shape.track = f'track {text}'
        elif inside == ['track']:
            self._track = None
        elif inside == ['image']:
            self._image = None
        elif len(inside) == 2:
            self._shape = None
        self._path.pop()
        self._text = None

    def _end_meta(self, inside: list[str], text: str) -> None:
        if inside[1:] == ['tasks', 'task']:
            self.document.meta['num_tasks'] = str(int(self.document.meta.get('num_tasks', '0')) + 1)
        if inside[1:] == ['labels', 'label']:
            color = _COLOR.fullmatch(self._label.get('color', ''))
            if self._label.get('type') not in _NO_AREA:
                self.document.labels[self._label.get('name', '')] = None if color is None else \
                    (int(color[1], 16), int(color[2], 16), int(color[3], 16))
            self._label = {}
        elif inside[1:3] == ['labels', 'label'] and len(inside) == 4:
            self._label[inside[3]] = text
        elif len(inside) in (2, 3):
            self.document.meta.setdefault('/'.join(inside[1:]), text)
        elif len(inside) == 1 and inside[0] in ('task', 'job', 'project'):
            self.document.meta['kind'] = inside[0]
