# Copyright (c) The mmvc contributors. All rights reserved.
"""The JSON file beside a graph: all that a program needs to know to use it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmvc.utils.atomic import atomic_write
from mmvc.utils.checksums import file_digest
from mmvc.utils.errors import UsageError

FORMAT = 'mmvc online graph'
VERSION = 1

_SCHEMA: dict[str, type] = dict(
    model=str, task=str, classes=list, palette=list, input=dict, outputs=list, state=list, mask_stride=int,
    postprocessor=dict, int8=bool, versions=dict, config=str, sha256=str)
_ITEMS: dict[str, type] = dict(classes=str, palette=list, outputs=dict, state=dict)


@dataclass
class GraphDescription:
    """What is known of a graph.

    Attributes:
        model (str): Class of the model.
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``.
        classes (list[str]): Names of the K classes. Class logits have K + 1 entries; the last is the empty class.
        palette (list[list[int]]): RGB colour of each class.
        input (dict): ``name``, ``dtype`` and ``shape`` of the frame; ``channels``, ``mean`` and ``std`` of its
            normalisation; ``pad_value`` for what padding on the right and below adds after normalisation;
            ``multiple_of``, which divides the padded height and width; ``minimum``, the least padded height and width;
            ``size``, the padded height and width if only one fits, else None.
        outputs (list[dict]): ``name`` and ``shape`` of each output before the state.
        state (list[dict]): ``input`` and ``output``, the names of a tensor of the state, and its ``shape``. It is all
            zeros for the first frame.
        mask_stride (int): Pixels of the padded frame for each pixel of a mask.
        postprocessor (dict): Config of the post-processor.
        int8 (bool): Whether weights are quantised to 8 bits.
        versions (dict[str, str]): Versions of the packages that wrote the graph.
        config (str): What an inferencer of this package reads of the config, as text that is data.
        sha256 (str): Digest of the graph's file.
    """

    model: str
    task: str
    classes: list[str]
    palette: list[list[int]]
    input: dict[str, Any]
    outputs: list[dict[str, Any]]
    state: list[dict[str, Any]]
    mask_stride: int
    postprocessor: dict[str, Any]
    int8: bool
    versions: dict[str, str]
    config: str
    sha256: str = ''

    def write(self, graph: Path) -> Path:
        """Write the description of a complete graph beside it.

        Args:
            graph (Path): File of the graph.

        Returns:
            Path: The file.
        """
        self.sha256 = file_digest(graph)
        path = description_path(graph)
        content = dict(format=FORMAT, version=VERSION, **asdict(self))
        atomic_write(path, (json.dumps(content, indent=2) + '\n').encode())
        return path

    @classmethod
    def read(cls, graph: Path) -> 'GraphDescription':
        """Read the description of a graph, and check that it belongs to it.

        Args:
            graph (Path): File of the graph.

        Returns:
            GraphDescription: The description.

        Raises:
            UsageError: A file is missing, is not one of ours, or belongs to another graph.
        """
        if not graph.is_file():
            raise UsageError(f'there is no file "{graph}": correct the path, or write it by mmvc export')
        path = description_path(graph)
        if not path.is_file():
            raise UsageError(f'"{graph}" has no description "{path.name}" beside it: mmvc export writes both, and '
                             'they stay in one folder; graphs of other programs cannot be used')
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise UsageError(f'"{path}" is no valid JSON ({error}): export the model again') from error
        if not isinstance(content, dict) or content.get('format') != FORMAT:
            raise UsageError(f'"{path}" does not describe a graph of mmvc (format is not "{FORMAT}"): use a file that '
                             'mmvc export has written')
        if content.get('version') != VERSION:
            raise UsageError(f'"{path}" has version {content.get("version")!r} of its format, and this mmvc reads '
                             f'{VERSION}: export the model again')
        for key, kind in _SCHEMA.items():
            if not isinstance(content.get(key), kind):
                raise UsageError(f'"{path}": "{key}" is missing or of another type than {kind.__name__}: export the '
                                 'model again')
        for key, kind in _ITEMS.items():
            if not all(isinstance(item, kind) for item in content[key]):
                raise UsageError(f'"{path}": an entry of "{key}" is of another type than {kind.__name__}: export the '
                                 'model again')
        if file_digest(graph) != content['sha256']:
            raise UsageError(f'"{path.name}" describes another file than "{graph}" (the SHA-256 differs): copy both '
                             'files again, or export the model again')
        return cls(**{key: content[key] for key in _SCHEMA})


def description_path(graph: Path) -> Path:
    """Path of the description of a graph: ``x.onnx`` has ``x.onnx.json``."""
    return graph.with_name(f'{graph.name}.json')
