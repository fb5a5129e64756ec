# Copyright (c) The mmvc contributors. All rights reserved.
"""Tracing an online model, and writing the program as ONNX or as a file of ``torch.export``."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mmvc.models.cpu import cpu_kernels_enabled, use_cpu_kernels
from mmvc.models.video_segmentors import BaseVideoSegmentor
from mmvc.utils.errors import UsageError

from .online_graph import OUTPUTS, OnlineGraph

FRAME = 'frame'
_EXAMPLE_SIZE = (2, 3)  # of a frame that is traced, in multiples of its divisor: sides that differ, and are not 1
_LARGEST_SIDE = 2**14
_MAX_ONNX_BYTES = 2**31 - 2**22  # of one file
_CHATTY = ('torch.onnx', 'torch.export', 'onnxscript', 'onnx_ir')


@contextmanager
def exportable(model: BaseVideoSegmentor) -> Iterator[OnlineGraph]:
    """Bring a model into the state in which it is traced, and back at the end.

    Args:
        model (BaseVideoSegmentor): The model.

    Yields:
        OnlineGraph: Its step, in evaluation mode, without the kernels that exist only on CPUs.

    Raises:
        UsageError: The model is offline, or torch is too old.
    """
    graph = OnlineGraph(model)
    if not hasattr(torch.compiler, 'is_exporting'):
        raise UsageError(f'torch {torch.__version__} cannot export these models: install 2.7 or newer')
    training, kernels = model.training, cpu_kernels_enabled()
    graph.eval()
    use_cpu_kernels(False)
    try:
        yield graph
    finally:
        use_cpu_kernels(kernels)
        model.train(training)


def trace(graph: OnlineGraph, multiple_of: int, size: tuple[int, int] | None = None) -> torch.export.ExportedProgram:
    """Trace a step of a model.

    Args:
        graph (OnlineGraph): The step, see :func:`exportable`.
        multiple_of (int): Number that divides the height and width of padded frames.
        size (tuple[int, int], optional): Height and width of the only frames that fit. Defaults to None: any
            multiples of ``multiple_of``, at least two of them.

    Returns:
        ExportedProgram: The program.

    Raises:
        UsageError: ``size`` is not divisible.
    """
    if size is not None and any(side % multiple_of or side <= 0 for side in size):
        fitting = tuple(-(-max(side, 1) // multiple_of) * multiple_of for side in size)
        raise UsageError(f'width and height of a fixed size are multiples of {multiple_of}, got '
                         f'{size[1]}x{size[0]}: use {fitting[1]}x{fitting[0]}')
    height, width = size or tuple(multiple_of * count for count in _EXAMPLE_SIZE)
    device = next(graph.parameters()).device
    state = [torch.zeros(shape, device=device) for _, shape in graph.state]
    shapes: Any = None
    if size is None:
        largest = _LARGEST_SIDE // multiple_of
        sides = [multiple_of * torch.export.Dim(f'{name}_units', min=2, max=largest) for name in ('height', 'width')]
        shapes = ({2: sides[0], 3: sides[1]}, tuple(None for _ in state))
    with torch.no_grad(), _quiet():
        return torch.export.export(
            graph, (torch.zeros(1, 3, height, width, device=device), *state), dynamic_shapes=shapes, strict=False)


def state_names(graph: OnlineGraph) -> list[tuple[str, str]]:
    """Names of the state: for each tensor that of the input and that of the output."""
    return [(tensor.name, f'next_{tensor.name}') for tensor in graph.state]


def write_onnx(program: torch.export.ExportedProgram, graph: OnlineGraph, path: Path) -> None:
    """Convert a program to ONNX and write it.

    Args:
        program (ExportedProgram): Output of :func:`trace`.
        graph (OnlineGraph): What it was traced from.
        path (Path): File to write.

    Raises:
        UsageError: The weights do not fit into one file.
    """
    size = sum(value.numel() * value.element_size() for value in program.state_dict.values())
    if size > _MAX_ONNX_BYTES:
        raise UsageError(f'the weights take {size / 2**30:.1f} GiB, and an ONNX file holds 2: use --format '
                         'torch-export')
    names = state_names(graph)
    with torch.no_grad(), _quiet():
        converted = torch.onnx.export(
            program,
            input_names=[FRAME, *(name for name, _ in names)],
            output_names=[*OUTPUTS, *(name for _, name in names)],
            dynamo=True,
            verbose=False)
    assert converted is not None  # as it is without dynamo
    _name_sizes(converted.model)
    for node in converted.model.graph.all_nodes():
        node.metadata_props.clear()  # lines of code with their paths, a ninth of a small file
    converted.save(path)


def write_torch_export(program: torch.export.ExportedProgram, path: Path) -> None:
    """Write a program for ``torch.export.load``.

    Args:
        program (ExportedProgram): Output of :func:`trace`.
        path (Path): File to write.
    """
    with _quiet():
        torch.export.save(program, path)


def _name_sizes(model: Any) -> None:
    """Give the sizes that vary names that tell what they are, for viewers of graphs."""
    frame, masks = model.graph.inputs[0], model.graph.outputs[OUTPUTS.index('masks')]
    for value, names in ((frame, ('height', 'width')), (masks, ('mask_height', 'mask_width'))):
        sides = [name if not isinstance(side, int) else side for side, name in zip(value.shape[-2:], names)]
        value.shape = type(value.shape)([*value.shape[:-2], *sides])


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what torch and its exporter say of their own code."""
    loggers: Sequence[logging.Logger] = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
