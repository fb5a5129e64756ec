# Copyright (c) The mmvc contributors. All rights reserved.
"""The export of an online model: the graph, and its description beside it."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmvc.models.video_segmentors import BaseVideoSegmentor
from mmvc.utils.atomic import atomic_path, require_writable
from mmvc.utils.choices import GRAPH_FORMATS
from mmvc.utils.errors import UsageError
from mmvc.version import __version__

from .checking import largest_differences
from .description import GraphDescription
from .online_graph import OUTPUTS, OnlineGraph
from .packages import require_package
from .quantization import quantize_weights
from .tracing import FRAME, exportable, state_names, trace, write_onnx, write_torch_export

_PACKAGES_OF_ONNX = ('onnx', 'onnxscript', 'onnxruntime')


@dataclass(frozen=True)
class ExportSettings:
    """How a model is exported.

    Args:
        format (str): ``'onnx'`` or ``'torch-export'``. Defaults to 'onnx'.
        size (tuple[int, int], optional): Height and width of the only frames that fit, padding included. Defaults to
            None: any.
        int8 (bool): Whether the weights of matrix products are quantised. Only ONNX. Defaults to False.

    Raises:
        UsageError: They contradict each other.
    """

    format: str = 'onnx'
    size: tuple[int, int] | None = None
    int8: bool = False

    def __post_init__(self) -> None:
        if self.format not in GRAPH_FORMATS:
            raise UsageError(f'the format of an export is one of {", ".join(GRAPH_FORMATS)}, got {self.format!r}')
        if self.int8 and self.format != 'onnx':
            raise UsageError('int8 quantises ONNX graphs: use it with --format onnx')


@dataclass(frozen=True)
class Export:
    """What an export has written.

    Args:
        graph (Path): File of the graph.
        description (Path): Its description.
        differences (dict[str, float], optional): Largest difference of each output to that of PyTorch. None if it
            could not be compared.
    """

    graph: Path
    description: Path
    differences: dict[str, float] | None


def export_model(model: BaseVideoSegmentor,
                 path: Path,
                 task: str,
                 dataset_meta: dict[str, Any],
                 postprocessor: dict[str, Any],
                 config: str,
                 settings: ExportSettings = ExportSettings(),
                 report: Callable[[str], None] = lambda step: None) -> Export:
    """Export an online model, and compare the graph with it.

    The model stays as it is. Both files appear when the export has succeeded.

    Args:
        model (BaseVideoSegmentor): The model.
        path (Path): File of the graph, with the suffix of its format.
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``.
        dataset_meta (dict): ``classes`` and ``palette``.
        postprocessor (dict): Config of the model's post-processor.
        config (str): Text of the config for inferencers.
        settings (ExportSettings): Format, size and quantisation.
        report (Callable): Called with each step, before it begins.

    Returns:
        Export: The files, and the differences.

    Raises:
        UsageError: The model is offline, a package is missing, or the file has another suffix.
    """
    suffix = GRAPH_FORMATS[settings.format]
    if path.suffix != suffix:
        raise UsageError(f'a file of {settings.format} ends in {suffix}, got "{path.name}"')
    require_writable(path.parent)
    for package in _PACKAGES_OF_ONNX if settings.format == 'onnx' else ():
        require_package(package, 'the export to ONNX')  # tracing takes minutes
    with exportable(model) as graph, atomic_path(path, sync=True, keep_suffix=True) as draft:
        multiple_of = max(model.data_preprocessor.pad_size_divisor, 1)
        description = _describe(graph, multiple_of, task, dataset_meta, postprocessor, config, settings)
        report('trace the model')
        program = trace(graph, multiple_of, settings.size)
        report(f'write {path.name}')
        if settings.format == 'torch-export':
            write_torch_export(program, draft)
            differences = None
        else:
            _write_onnx(program, graph, draft, settings.int8)
            report('compare it with PyTorch')
            differences = largest_differences(draft, graph, multiple_of, settings.size)
    return Export(path, description.write(path), differences)


def _write_onnx(program: Any, graph: OnlineGraph, path: Path, int8: bool) -> None:
    if not int8:
        write_onnx(program, graph, path)
        return
    with tempfile.TemporaryDirectory(prefix='mmvc-export-') as folder:
        full = Path(folder, path.name)
        write_onnx(program, graph, full)
        quantize_weights(full, path)


def _describe(graph: OnlineGraph, multiple_of: int, task: str, dataset_meta: dict, postprocessor: dict, config: str,
              settings: ExportSettings) -> GraphDescription:
    preprocessor, model = graph.model.data_preprocessor, graph.model
    queries = graph.state[0].shape[1]
    shapes = dict(
        cls_scores=[queries, model.num_classes + 1], masks=[queries, 'mask_height', 'mask_width'],
        query_embeds=list(graph.state[0].shape[1:]))
    normalises = preprocessor._enable_normalize
    return GraphDescription(
        model=type(model).__name__,
        task=task,
        classes=list(dataset_meta['classes']),
        palette=[list(map(int, color)) for color in dataset_meta['palette']],
        input=dict(
            name=FRAME, dtype='float32', shape=[1, 3, *(settings.size or ('height', 'width'))],
            channels='RGB' if preprocessor._channel_conversion else 'BGR',
            mean=preprocessor.mean.flatten().tolist() if normalises else [0., 0., 0.],
            std=preprocessor.std.flatten().tolist() if normalises else [1., 1., 1.],
            pad_value=preprocessor.pad_value, multiple_of=multiple_of, minimum=2 * multiple_of,
            size=None if settings.size is None else list(settings.size)),
        outputs=[dict(name=name, shape=shapes[name]) for name in OUTPUTS],
        state=[dict(input=before, output=after, shape=list(tensor.shape))
               for (before, after), tensor in zip(state_names(graph), graph.state)],
        mask_stride=graph.mask_stride,
        postprocessor=postprocessor,
        int8=settings.int8,
        versions=dict(mmvc=__version__, **_versions()),
        config=config)


def _versions() -> dict[str, str]:
    found = {}
    for package in ('torch', *_PACKAGES_OF_ONNX):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
